//! Directives of a server block.

mod bind;
mod block;
mod bufsize;
mod cache;
mod context;
mod errors;
mod forward;
mod health;
mod log;
mod loop_detection;
mod prometheus;
mod ready;
mod reload;
mod timeouts;

pub(crate) use block::{BlockDirectives, parse};
pub(crate) use context::DirectiveContext;
