//! What a scripted server does with a query, and how it treats connections.

use std::time::Duration;

use hickory_proto::op::Message;
use resolver::action::Transport;

/// The server's reactions to queries.
pub trait Script: Send + Sync + 'static {
    /// The steps for `query`, which has exactly one question.
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep>;
}

/// One step of a reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptStep {
    /// Waits.
    Wait(Duration),
    /// Sends octets as one message.
    Send(Vec<u8>),
    /// Sends octets without a length prefix, on TCP too.
    Raw(Vec<u8>),
    /// Sends octets as one message; on TCP octet by octet with this pause after each.
    Drip(Vec<u8>, Duration),
    /// Closes the connection; nothing on UDP.
    Close,
    /// Resets the connection; nothing on UDP.
    Reset,
}

/// Order of the responses on one TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseOrder {
    /// One query is answered before the next is read, as in CoreDNS.
    #[default]
    InOrder,
    /// Each query is answered when its response is ready (RFC 7766 section 6.2.1.1).
    OutOfOrder,
}

/// Options of a server's TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Order of responses on one connection.
    pub order: ResponseOrder,
    /// Idle time after which a connection is closed.
    pub idle: Duration,
}

impl Default for ServerOptions {
    /// CoreDNS's: in order, closed after 10 s.
    fn default() -> Self {
        Self { order: ResponseOrder::InOrder, idle: Duration::from_secs(10) }
    }
}
