//! Several workers of one process, and more queries than a scenario has.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails"
)]

mod coalescing;
mod connections;
mod exchange;
mod failing_names;
mod invariants;
mod large_responses;
mod mixed_names;
mod nxdomain_cuts;
mod panics;
mod queue;
mod sockets;
mod timers;
mod upstreams;
mod worker;
