//! daemon

pub mod metrics;
pub mod tallies;
