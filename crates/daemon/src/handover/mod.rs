//! The hand-over of a node from one instance of this program to the next, without a lost query.
//!
//! The instance in service listens at a [`Door`] in a directory of the node. One that starts knocks there
//! ([`claim()`]) and is given duplicates of every listening socket and the cache, while the first serves on. When its
//! workers read from the sockets it says so; the first reads no more, answers what is open, and stands by until it is told
//! to leave. Should the successor end before that, the kernel closes the connection between them, and the first
//! reads on: what was queued in the sockets meanwhile is still there.
//!
//! Nothing the other side says is needed to serve: one that hangs, dies or speaks another version is as good as
//! none, and sockets are opened beside its own.

mod client;
mod directory;
mod protocol;
mod server;
mod status;

pub(crate) use client::{Claim, Estate, Lease, claim};
pub(crate) use directory::Place;
pub(crate) use protocol::PostError;
pub(crate) use server::{Door, Knock, Offer, Outcome, Succession};
pub(crate) use status::{Neighbour, neighbour};
