//! Logging: the writer thread, the query log and the error log.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed assertion ends a test; tests need a start time"
)]

mod errors;
mod query_log;
mod writer;
