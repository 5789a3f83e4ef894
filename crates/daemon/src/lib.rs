//! daemon
#![forbid(unsafe_code)]

pub mod admin;
mod clock;
pub mod config;
pub mod environment;
pub mod flags;
pub mod metrics;
pub mod readiness;
pub mod tallies;
pub mod voice;
mod worker;
