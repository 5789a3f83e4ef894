//! Values of arguments: durations, integers, addresses, regular expressions.

pub(crate) mod address;
pub mod duration;
mod parse;
mod regex;

pub(crate) use parse::positive_port;
pub(crate) use parse::{duration, duration_named, duration_or, integer};
pub(crate) use regex::regex;
