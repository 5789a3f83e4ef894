//! The hand-over of a node from one instance of this program to the next, without a lost query.
//!
//! The instance in service listens at a [`Server`] in a directory of the node. One that starts knocks there
//! ([`request_offer()`]) and is given duplicates of every listening socket and the cache, while the first serves on. When its
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

pub(crate) use client::{OfferResponse, PredecessorLink, ReceivedOffer, request_offer};
pub(crate) use directory::SocketDirectory;
pub(crate) use protocol::ProtocolError;
pub(crate) use server::{Offer, Request, Server, SuccessorLink, SuccessorOutcome};
pub(crate) use status::{InstanceStatus, query_status};
