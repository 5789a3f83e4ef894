//! daemon

pub mod config;
pub mod environment;
pub mod flags;
pub mod metrics;
pub mod readiness;
pub mod tallies;
pub mod voice;
