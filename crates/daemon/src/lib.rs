//! The process `nodelocaldns`: flags, workers, reload, hand-over, HTTP endpoints, metrics and
//! logging.
//!
//! This crate has the clock, threads, sockets and files. It passes packets and times to `resolver`,
//! and carries out that crate's actions; it makes no decision about a response.
//!
//! Reading order: `control` (life cycle of the process), [`flags`], `worker` (packets in and out;
//! `worker::config` builds its configuration from settings), `handover` (to a successor),
//! `control_socket` (for the subcommands that look into the instance), [`snapshot`] (of the cache),
//! [`http`], [`metrics`], [`status`], `insight`, [`logging`].
#![forbid(unsafe_code)]

mod clock;
mod confined;
mod control;
mod control_socket;
pub mod counters;
pub mod environment;
pub mod flags;
mod handover;
pub mod host;
pub mod http;
mod insight;
mod job_thread;
pub mod logging;
mod memory_plan;
pub mod metrics;
mod panics;
pub mod readiness;
mod self_check;
pub mod snapshot;
pub mod status;
mod worker;

pub use control::run;
