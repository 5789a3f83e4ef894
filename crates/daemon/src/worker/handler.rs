//! Handlers: how the I/O of a worker passes packets on to its event loop.
//!
//! The event loop owns the UDP server, the TCP server and the upstream connections, and implements
//! these traits; they know nothing else of it.

use std::rc::Rc;

use resolver::action::{AttemptFailure, Client, UpstreamConnectionId};
use wire::frame::FrameDecoder;

/// Receives what clients send.
pub(super) trait QueryHandler: 'static {
    /// Packets of clients that arrived together.
    fn on_queries<'a>(self: &Rc<Self>, packets: impl Iterator<Item = (Client, &'a [u8])>);

    /// True while a query is in flight; a client of this or of another worker may wait for it.
    fn has_inflight(&self) -> bool;
}

/// Receives what upstreams send, and the state of connections to them.
pub(super) trait ResponseHandler: 'static {
    /// A TCP or TLS connection is established.
    fn on_connected(self: &Rc<Self>, id: UpstreamConnectionId);

    /// The upstream's host has not acknowledged octets sent on a connection, or its SYN. Reported
    /// only after a check.
    fn on_unacknowledged(self: &Rc<Self>, id: UpstreamConnectionId);

    /// A message that arrived on a connection.
    fn on_response(self: &Rc<Self>, id: UpstreamConnectionId, message: &[u8]);

    /// The complete messages that have arrived on a stream, which are taken from `frames`.
    fn on_responses(self: &Rc<Self>, id: UpstreamConnectionId, frames: &mut FrameDecoder);

    /// A connection could not be established, or has ended.
    fn on_disconnected(self: &Rc<Self>, id: UpstreamConnectionId, failure: AttemptFailure);
}
