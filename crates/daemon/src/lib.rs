//! daemon

pub mod config;
pub mod environment;
pub mod flags;
