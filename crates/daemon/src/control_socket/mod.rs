//! Control socket: a Unix stream socket in the hand-over directory, by which subcommands look into the
//! active instance.
//!
//! A client sends one line of JSON, a [`Request`], and reads replies, one JSON object a line, until the
//! instance closes the connection. The directory and the socket (mode 0600) keep other users out, and
//! the kernel's credentials of the peer are checked as well. Connections, the length of a request and
//! the time for it are bounded, so that a client that sends garbage, or nothing, has no effect.

mod client;
mod protocol;
mod server;

pub(crate) use client::{ClientError, Replies, send};
pub(crate) use protocol::{CacheNames, Request};
pub(crate) use server::{Connection, Responder, Server};
