//! What the process says.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test ends at the first surprise, and needs some instant to count from"
)]

mod errors;
mod query_log;
mod sink;
