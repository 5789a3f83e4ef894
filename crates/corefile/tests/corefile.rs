//! The configuration language, from the outside: what loads, what it means, what is said when it does not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "corefiles/fake_host.rs"]
mod fake_host;
#[path = "corefiles/validate.rs"]
mod validate;

#[path = "corefiles/cache.rs"]
mod cache;
#[path = "corefiles/connection.rs"]
mod connection;
#[path = "corefiles/deployments.rs"]
mod deployments;
#[path = "corefiles/directives.rs"]
mod directives;
#[path = "corefiles/endpoints.rs"]
mod endpoints;
#[path = "corefiles/forward.rs"]
mod forward;
#[path = "corefiles/grammar.rs"]
mod grammar;
#[path = "corefiles/random_input.rs"]
mod random_input;
#[path = "corefiles/sources.rs"]
mod sources;
#[path = "corefiles/zones.rs"]
mod zones;
