//! Actions: what the resolver asks its worker to do. They are collected in an [`Outbox`] that the
//! worker owns and reuses.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use wire::header::{Rcode, RecordType};
use wire::name::NameError;

use crate::cache::OwnedKey;
use crate::policy::{RouteId, UpstreamId};

pub(crate) use crate::client::LookupId;
pub use crate::client::{Client, ConnectionId};
pub use crate::result::SharedResult;
pub use crate::transport::Transport;

/// A worker, numbered from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub u16);

/// A connection to an upstream: TCP, TLS or a connected UDP socket. The resolver numbers those of an
/// upstream; no number is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamConnectionId {
    /// The upstream.
    pub upstream: UpstreamId,
    /// From 1.
    pub number: u64,
}

/// An action. Ranges point into [`Outbox::bytes`].
#[derive(Clone, Debug)]
pub enum Action {
    /// Send a response to a client.
    Respond(ClientResponse),
    /// Open a connection to an upstream. Its establishment is reported by
    /// [`crate::Resolver::on_connected`], unless it is a UDP socket, and its end by
    /// [`crate::Resolver::on_disconnected`], unless the resolver has ended it.
    Dial(Dial),
    /// Send a query on a connection, once it is established.
    SendQuery(SendQuery),
    /// Report by [`crate::Resolver::on_unacknowledged`] if octets sent on a TCP connection are not
    /// acknowledged by the upstream's host, or its SYN is not.
    CheckAcknowledged(CheckAcknowledged),
    /// Close a connection, or end its dial.
    Disconnect(UpstreamConnectionId),
    /// Hand a query's result to another worker.
    ShareResult(ShareResult),
    /// Log a query that failed without an upstream's response.
    ReportError(QueryError),
    /// A query of the `loop` directive returned: the forwarding path is a loop.
    LoopDetected(Client, RouteId),
}

/// Input of [`crate::Resolver::on_shared_result`] of another worker.
#[derive(Clone, Debug)]
pub struct ShareResult {
    /// The worker.
    pub to: WorkerId,
    /// Cache key of its query.
    pub key: OwnedKey,
    /// The result.
    pub result: SharedResult,
}

/// A response to a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientResponse {
    /// Its destination.
    pub client: Client,
    /// Start and end in the outbox.
    pub message: (u32, u32),
    /// For the query log and the duration histogram; none for queries rejected before zone
    /// matching.
    pub info: Option<ResponseInfo>,
}

/// Facts about a response for the query log and the histograms.
#[derive(Clone, Copy, Debug)]
pub struct ResponseInfo {
    /// The matching zone.
    pub route: RouteId,
    /// When the query was received.
    pub received: Instant,
    /// Octets of the query.
    pub query_len: u16,
    /// Octets of the response before OPT and truncation, without name compression; 0 for an error
    /// response in place of a missing one.
    pub response_len: u32,
    /// The client's UDP payload size: 512 without OPT, 65535 on TCP.
    pub buffer_size: u16,
    /// The client's DO.
    pub dnssec_ok: bool,
    /// What the response is made from.
    pub source: ResponseSource,
}

/// What a response is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseSource {
    /// A cached answer or failure that has not expired.
    Cache,
    /// A cached name above that of the query that does not exist (RFC 8020).
    NxdomainCut,
    /// An expired answer.
    Stale,
    /// A response of an upstream, if the query was sent to one, or else of directives of the server
    /// block.
    Resolved,
    /// Nothing: an error response in its place.
    Error,
}

impl ResponseSource {
    /// True when no upstream or directive was asked.
    pub const fn is_cache(self) -> bool {
        matches!(self, Self::Cache | Self::NxdomainCut | Self::Stale)
    }
}

/// A connection to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Identifies it.
    pub connection: UpstreamConnectionId,
    /// A TCP connection, with TLS if the upstream has it, or a connected UDP socket.
    pub transport: Transport,
}

/// A query to send on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendQuery {
    /// The connection.
    pub connection: UpstreamConnectionId,
    /// Start and end in the outbox.
    pub message: (u32, u32),
}

/// A check whether octets sent on a TCP connection are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckAcknowledged {
    /// The connection.
    pub connection: UpstreamConnectionId,
    /// Octets sent later do not matter: their acknowledgments may be on their way.
    pub sent_before: Instant,
}

/// Failure of an attempt, or the reason for the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// Connection not established in time.
    DialTimedOut,
    /// RST, or ICMP port unreachable.
    Refused,
    /// No route, or ICMP host or network unreachable.
    Unreachable,
    /// The connection was closed or reset before the response.
    Closed,
    /// Only messages that do not match the query arrived.
    Mismatched,
    /// TLS handshake or certificate verification failed.
    Handshake,
    /// No response in time.
    TimedOut,
    /// A local error (descriptors, buffers), not the upstream's.
    Local,
    /// A packet filter of this node rejected the query; a local error too.
    Filtered,
    /// All upstreams are down and none was tried.
    AllDown,
}

impl AttemptFailure {
    /// True when this node failed, not the upstream.
    pub fn is_local(self) -> bool {
        matches!(self, Self::Local | Self::Filtered)
    }

    /// True when nothing was received, neither a packet of the upstream nor an ICMP error.
    pub(crate) fn nothing_received(self) -> bool {
        matches!(self, Self::TimedOut | Self::DialTimedOut | Self::AllDown)
    }
}

/// A query that ended in an error response of our own.
#[derive(Clone, Copy, Debug)]
pub struct QueryError {
    /// The matching zone.
    pub route: RouteId,
    /// RCODE of the response.
    pub rcode: Rcode,
    /// QTYPE.
    pub qtype: RecordType,
    /// QNAME, lower case, in wire form: start and end in the outbox.
    pub name: (u32, u32),
    /// The reason.
    pub cause: Cause,
}

/// Reason for an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The last attempt failed.
    Upstream(AttemptFailure, Transport, SocketAddr),
    /// `max_concurrent` of the block's `forward`, with its value.
    TooManyConcurrent(u32),
    /// The memory of waiting queries is full.
    TooManyInFlight,
    /// The limit of clients waiting for one query.
    TooManyWaiters,
    /// The client's share of the memory of waiting queries is in use.
    TooManyPerClient,
    /// No directive of the block answers the name. The last one of its chain.
    NoNextDirective(&'static str),
    /// `rewrite` has made an invalid name of QNAME.
    InvalidName(NameError),
    /// A `template` has no record for the query: the section of the record, and the reason.
    Template(&'static str, &'static str),
}

/// Octets retained by [`Outbox::clear`]: a batch of 32 responses of 1232 octets takes 40 KiB.
/// Responses to waiting clients do not exceed them.
const RETAINED_OCTETS: usize = 256 * 1024;
/// Octets of the longest message.
const MAX_MESSAGE: usize = u16::MAX as usize;
/// Actions retained by [`Outbox::clear`].
const RETAINED_ACTIONS: usize = 1024;

/// Actions in order of creation, and the octets they point into.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The octets.
    pub bytes: Vec<u8>,
    /// The actions.
    pub actions: Vec<Action>,
    /// Responses to lookups of the resolver itself, taken before its worker gets the actions.
    lookup_responses: Vec<(LookupId, (u32, u32))>,
    /// Upstreams of responses, each with the start of its message.
    upstreams: Vec<(u32, SocketAddr)>,
}

/// A response to a lookup of the resolver itself.
#[derive(Debug)]
pub(crate) struct LookupResponse {
    pub(crate) id: LookupId,
    pub(crate) packet: Vec<u8>,
    /// As [`Outbox::upstream_of`].
    pub(crate) upstream: Option<SocketAddr>,
}

impl Outbox {
    /// Empties it, keeping the memory of ordinary batches but not of exceptionally large ones.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.actions.clear();
        self.lookup_responses.clear();
        self.upstreams.clear();
        self.bytes.shrink_to(RETAINED_OCTETS);
        self.actions.shrink_to(RETAINED_ACTIONS);
    }

    /// Removes all but the first `octets` and `actions`.
    pub fn truncate(&mut self, octets: usize, actions: usize) {
        self.bytes.truncate(octets);
        self.actions.truncate(actions);
        self.upstreams.retain(|(start, _)| (*start as usize) < octets);
    }

    /// The upstream that a response is from, or, without one, that was queried last. `None` if the
    /// query was not sent to any.
    pub fn upstream_of(&self, response: &ClientResponse) -> Option<SocketAddr> {
        self.upstream_at(response.message)
    }

    fn upstream_at(&self, (start, _): (u32, u32)) -> Option<SocketAddr> {
        let found = self.upstreams.iter().find(|(response, _)| *response == start);
        found.map(|(_, upstream)| *upstream)
    }

    /// Sets the upstream of the response that was queued last.
    pub(crate) fn set_upstream(&mut self, upstream: Option<SocketAddr>) {
        let (Some(upstream), Some(Action::Respond(response))) = (upstream, self.actions.last()) else {
            return;
        };
        self.upstreams.push((response.message.0, upstream));
    }

    /// Moves responses to lookups among the actions from `start` on to where the resolver takes them.
    pub(crate) fn capture_lookup_responses(&mut self, start: usize) {
        let mut index = start;
        while let Some(action) = self.actions.get(index) {
            match action {
                Action::Respond(response) if let Some(lookup) = response.client.lookup() => {
                    self.lookup_responses.push((lookup, response.message));
                    self.actions.remove(index);
                }
                _ => index += 1,
            }
        }
    }

    /// A response to a lookup.
    pub(crate) fn take_lookup_response(&mut self) -> Option<LookupResponse> {
        let (id, message) = self.lookup_responses.pop()?;
        Some(LookupResponse {
            id,
            packet: self.octets(message).to_vec(),
            upstream: self.upstream_at(message),
        })
    }

    /// True when a message of any length might take it above [`RETAINED_OCTETS`].
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() > RETAINED_OCTETS - MAX_MESSAGE
    }

    /// The range of the octets appended from `start` on.
    pub(crate) fn since(&self, start: usize) -> Option<(u32, u32)> {
        Some((u32::try_from(start).ok()?, u32::try_from(self.bytes.len()).ok()?))
    }

    /// Sets the ID of the message at a range.
    pub(crate) fn set_message_id(&mut self, (start, _): (u32, u32), id: u16) {
        let octets = self.bytes.get_mut(start as usize..).and_then(|octets| octets.first_chunk_mut());
        if let Some(octets) = octets {
            *octets = id.to_be_bytes();
        }
    }

    /// The octets of a range.
    pub fn octets(&self, (start, end): (u32, u32)) -> &[u8] {
        let range: Range<usize> = start as usize..end as usize;
        self.bytes.get(range).unwrap_or_default()
    }
}
