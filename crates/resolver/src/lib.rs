//! What to answer, what to ask, what to remember.
#![forbid(unsafe_code)]

pub mod action;
pub mod cache;
pub mod policy;
pub mod tally;
