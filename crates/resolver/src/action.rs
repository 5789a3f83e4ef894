//! What the resolver wants done. It fills an outbox that its caller owns, empties and uses again.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use wire::header::{Rcode, RecordType};

use crate::inflight::shared::{SharedResult, WorkerId};
use crate::policy::{ListenerId, RouteId, UpstreamId};

pub use crate::transport::Transport;

/// A TCP connection of a client, numbered by the worker; a number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Who asked and where the answer goes. The resolver hands it back as it got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The listener that took the question.
    pub listener: ListenerId,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it asked, where the listener has more than one: the answer leaves from there.
    pub local: Option<IpAddr>,
    /// The connection, for a client that came by TCP.
    pub connection: Option<ConnectionId>,
}

impl Client {
    /// How the client came.
    pub fn transport(&self) -> Transport {
        if self.connection.is_some() { Transport::Tcp } else { Transport::Udp }
    }
}

/// One question on its way to one upstream; a number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub u64);

/// A thing to do. Ranges point into [`Outbox::bytes`].
#[derive(Clone, Debug)]
pub enum Action {
    /// Send an answer to a client.
    Respond(ClientResponse),
    /// Send a question to an upstream.
    SendQuery(SendQuery),
    /// This attempt is over: a queue drops it, a UDP socket closes, and what a stream still brings for it is
    /// not handed in.
    CancelAttempt(AttemptId),
    /// The stream that carries this attempt delivered something else (RFC 5452 section 9.1): it takes no more
    /// questions, and is closed when nobody waits for an answer on it. The right answer to this attempt may still
    /// follow, until it is forgotten.
    QuarantineConnection(AttemptId),
    /// Tell another worker how a question ended that it waits for.
    ShareResult(ShareResult),
    /// A query ended without an answer of an upstream.
    ReportError(QueryError),
    /// Our own loop question came back to us: forwarding goes in a circle.
    LoopDetected(Client, RouteId),
}

/// For [`crate::Resolver::on_shared_result`] of another worker.
#[derive(Clone, Debug)]
pub struct ShareResult {
    /// The worker.
    pub to: WorkerId,
    /// Its question.
    pub key: Arc<[u8]>,
    /// How it ended.
    pub result: SharedResult,
}

/// An answer for a client and what is worth telling about it.
#[derive(Clone, Copy, Debug)]
pub struct ClientResponse {
    /// Where it goes.
    pub client: Client,
    /// First octet and one past the last in the outbox.
    pub message: (u32, u32),
    /// For the query log and the duration histogram; nothing for replies made before routing (malformed
    /// packets), which no metric shows.
    pub info: Option<ResponseInfo>,
}

/// What the query log and the histograms want to know of an answered query.
#[derive(Clone, Copy, Debug)]
pub struct ResponseInfo {
    /// The zone that took it.
    pub route: RouteId,
    /// When the query came in.
    pub asked: Instant,
    /// Octets of the query as received.
    pub query_len: u16,
    /// Octets of the answer before OPT and cutting; 0 for failures of our own.
    pub response_len: u16,
    /// The client's UDP payload size: 512 without OPT, 65535 on TCP.
    pub buffer_size: u16,
    /// The client's DO.
    pub dnssec_ok: bool,
}

/// A question for an upstream.
#[derive(Clone, Copy, Debug)]
pub struct SendQuery {
    /// Names the answer or the failure when it is reported back.
    pub attempt: AttemptId,
    /// Where to.
    pub upstream: UpstreamId,
    /// How.
    pub transport: Transport,
    /// On a connection that has carried nothing yet.
    pub fresh: bool,
    /// When the attempt is over; dialling counts.
    pub until: Instant,
    /// First octet and one past the last in the outbox.
    pub message: (u32, u32),
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// No connection in time.
    DialTimedOut,
    /// The upstream's host said no (RST, or ICMP port unreachable).
    Refused,
    /// No route, or ICMP host or network unreachable.
    Unreachable,
    /// The connection ended before the answer.
    Closed {
        /// It had carried answers before: the upstream may just have closed an idle connection.
        reused: bool,
    },
    /// TLS was not agreed on: the upstream is not who it should be, or speaks no TLS.
    Handshake,
    /// No answer in time.
    TimedOut,
    /// This machine would not let us: no descriptors, no buffers, a filter. Says nothing about the upstream.
    Local,
    /// All upstreams are down and none was asked.
    AllDown,
}

impl AttemptFailure {
    /// True when nothing at all was heard from the upstream.
    pub(crate) fn is_silence(self) -> bool {
        matches!(self, Self::TimedOut | Self::DialTimedOut | Self::AllDown)
    }
}

/// A query that ended in a failure of our own making.
#[derive(Clone, Copy, Debug)]
pub struct QueryError {
    /// The zone that took it.
    pub route: RouteId,
    /// The response code the client got.
    pub rcode: Rcode,
    /// The type asked for.
    pub qtype: RecordType,
    /// The name asked for, lower case, in wire form: first octet and one past the last in the outbox.
    pub name: (u32, u32),
    /// Why.
    pub cause: Cause,
}

/// Why a query ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The last attempt failed so.
    Upstream(AttemptFailure, Transport, SocketAddr),
    /// `max_concurrent` of the block's `forward`, with its value.
    TooManyConcurrent(u32),
    /// The worker's own limit of open questions.
    TooManyInFlight,
    /// Too many clients wait for this question already.
    TooManyWaiters,
    /// This client has too many questions waiting already.
    TooManyOfClient,
    /// No `forward` of the block takes the name.
    NoForward,
}

/// A batch of 32 answers of the largest size that goes by UDP takes 40 KiB.
const KEPT_OCTETS: usize = 256 * 1024;
const KEPT_ACTIONS: usize = 1024;

/// Actions and the octets they point into, in order of creation.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The octets.
    pub bytes: Vec<u8>,
    /// The actions.
    pub actions: Vec<Action>,
}

impl Outbox {
    /// Empties it. What a batch of ordinary answers needs is kept; what one huge answer to many clients took is not.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.actions.clear();
        self.bytes.shrink_to(KEPT_OCTETS);
        self.actions.shrink_to(KEPT_ACTIONS);
    }

    /// The range of what was appended since there were `start` octets.
    pub(crate) fn since(&self, start: usize) -> Option<(u32, u32)> {
        Some((u32::try_from(start).ok()?, u32::try_from(self.bytes.len()).ok()?))
    }

    /// The octets a range names.
    pub fn octets(&self, (start, end): (u32, u32)) -> &[u8] {
        let range: Range<usize> = start as usize..end as usize;
        self.bytes.get(range).unwrap_or_default()
    }
}
