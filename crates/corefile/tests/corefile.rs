//! The configuration language, from the outside: what loads, what it means, what is said when it does not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "corefiles/machine.rs"]
mod machine;
#[path = "corefiles/verdicts.rs"]
mod verdicts;

#[path = "corefiles/cache.rs"]
mod cache;
#[path = "corefiles/carriage.rs"]
mod carriage;
#[path = "corefiles/deployments.rs"]
mod deployments;
#[path = "corefiles/directives.rs"]
mod directives;
#[path = "corefiles/forward.rs"]
mod forward;
#[path = "corefiles/grammar.rs"]
mod grammar;
#[path = "corefiles/noise.rs"]
mod noise;
#[path = "corefiles/places.rs"]
mod places;
#[path = "corefiles/sources.rs"]
mod sources;
#[path = "corefiles/zones.rs"]
mod zones;
