//! Directives of a server block.

mod acl;
mod any;
mod bind;
mod block;
mod bufsize;
mod cache;
mod chaos;
mod context;
mod debug;
mod dns64;
mod dnstap;
mod errors;
mod forward;
mod header;
mod health;
mod hosts;
mod loadbalance;
mod local;
mod log;
mod loop_detection;
mod metadata;
mod minimal;
mod nsid;
mod pprof;
mod prometheus;
mod ready;
mod reload;
mod report_all;
mod rewrite;
mod template;
mod timeouts;
mod trace;
mod whoami;

pub(crate) use block::{BlockDirectives, parse};
pub(crate) use context::DirectiveContext;
