//! The whole process on loopback: the real binary, without privileges, between real clients and scripted upstreams.
//!
//! `stage` has the actors, `replies` and `pipe` what is heard of them. Each test has a loopback address of its own, so that all of them can run at once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod beside;
mod carriage;
mod chance;
mod connections;
mod counts;
mod crowds;
mod datagrams;
mod encrypted;
mod endings;
mod expiring;
mod failures;
mod handover;
mod herds;
mod hits;
mod hostile_clients;
mod hostile_upstreams;
mod liars;
mod lines;
mod load;
mod loops;
mod misses;
mod pipe;
mod readiness;
mod refusals;
mod reloading;
mod replies;
mod stage;
mod stale;
mod strange_places;
mod strange_predecessors;
mod strange_successors;
mod strangers;
mod timeouts;
mod upstream_files;
