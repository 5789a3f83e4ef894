//! Values of arguments: durations, integers, addresses.

pub(crate) mod address;
pub mod duration;
mod parse;

pub(crate) use parse::positive_port;
pub(crate) use parse::{duration, duration_named, duration_or, integer};
