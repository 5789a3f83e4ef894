//! Hand-over of a node from one instance of the program to the next, without a lost query.
//!
//! The active instance listens on a Unix socket in a directory of the node ([`Server`]). An
//! instance that starts connects ([`request_offer()`]) and receives duplicates of all listening
//! sockets (SCM_RIGHTS) and the cache, while the active instance keeps serving. When the
//! successor's workers read from the sockets it sends a message; the predecessor stops reading,
//! answers open queries, and stays on standby until it is terminated. If the successor exits before
//! that, the kernel closes the connection, and the predecessor reads again: what was queued in the
//! sockets meanwhile is still there.
//!
//! Serving does not depend on the peer: if it hangs, exits or speaks another version, the successor
//! binds its own sockets beside the predecessor's.

mod client;
mod contents;
mod directory;
mod message;
mod protocol;
mod server;
mod sockets;
mod status;

pub(crate) use client::{OfferResponse, PredecessorLink, ReceivedOffer, query_status, request_offer};
pub(crate) use directory::{FILES, SocketDirectory, SocketFile, SocketName, accept_peers};
pub(crate) use protocol::ProtocolError;
pub(crate) use server::{Offer, Request, Server, SuccessorLink, SuccessorOutcome};
pub(crate) use sockets::{describe_dns_socket, describe_http_socket};
pub(crate) use status::InstanceStatus;
