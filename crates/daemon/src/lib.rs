//! The process `nodelocaldns`: flags, Corefile, workers, endpoints, life cycle.
//!
//! This room knows the clock, the threads and the files, and joins the others: it hands packets and times to
//! `resolver` and does what that wants done through `linux`. It decides nothing about an answer.
//!
//! Reading order: `control` (from start to end), [`flags`] and [`corefile`] (what the operator says), `assembly`
//! (settings become a worker's orders), `worker` (packets in, packets out), [`snapshot`] (what the cache held before a
//! crash), `http`, [`metrics`] and `logging` (what the operator sees).
#![forbid(unsafe_code)]

mod clock;
mod control;
pub mod counters;
pub mod environment;
pub mod flags;
mod handover;
pub mod host;
pub mod http;
pub mod logging;
mod memory_budget;
pub mod metrics;
pub mod readiness;
mod self_check;
pub mod snapshot;
mod worker;

pub use control::run;
