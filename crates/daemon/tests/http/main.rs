//! HTTP endpoints over loopback, with raw sockets.
#![expect(clippy::unwrap_used, reason = "a failed assertion ends a test")]

mod client;
mod fixture;
mod limits;
mod rebind;
mod responses;
