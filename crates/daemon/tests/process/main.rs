//! The whole process on loopback: the real binary, without privileges, between real clients and scripted upstreams.
//!
//! `stage` has the actors, `replies` and `pipe` what is heard of them. Each test has a loopback address of its own, so that all of them can run at once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod coalescing;
mod coexistence;
mod connection_options;
mod environment;
mod failures;
mod foreign_directory;
mod foreign_peer;
mod foreign_predecessor;
mod foreign_successor;
mod forwarding_loops;
mod handover;
mod hits;
mod hostile_clients;
mod hostile_upstreams;
mod load;
mod log_lines;
mod log_output;
mod metrics_counts;
mod misses;
mod readiness;
mod reload;
mod responses;
mod shutdown;
mod spoofed_responses;
mod stale;
mod stale_concurrency;
mod startup_errors;
mod tcp_limits;
mod tcp_pipelining;
mod timeouts;
mod tls_upstreams;
mod udp_upstreams;
mod unpredictability;
mod upstream_files;
