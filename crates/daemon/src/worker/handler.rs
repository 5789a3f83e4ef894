//! Handlers: how the I/O of a worker passes packets on to its event loop.
//!
//! The event loop owns the UDP server, the TCP server and the upstream connections, and implements
//! these traits; they know nothing else of it.

use std::rc::Rc;

use resolver::action::{AttemptFailure, AttemptId, Client};

/// Receives what clients send.
pub(super) trait QueryHandler: 'static {
    /// Packets of clients that arrived together.
    fn on_queries<'a>(self: &Rc<Self>, packets: impl Iterator<Item = (Client, &'a [u8])>);

    /// True while a query is in flight; a client of this or of another worker may wait for it.
    fn has_inflight(&self) -> bool;
}

/// Receives what upstreams send, and failures to reach them.
pub(super) trait ResponseHandler: 'static {
    /// A message that arrived for an attempt. It may not be the response: the resolver matches.
    fn on_response(self: &Rc<Self>, attempt: AttemptId, message: &[u8]);

    /// An upstream attempt failed without a response.
    fn on_failure(self: &Rc<Self>, attempt: AttemptId, failure: AttemptFailure);
}
