//! A client's request: its source, what the response repeats of it, the matching zone, and checks
//! made before the cache lookup.

use std::sync::Arc;
use std::time::Instant;

use wire::Query;
use wire::edns::{DEFAULT_UDP_SIZE, Keepalive};
use wire::header::{Class, Flags, Header, Rcode, RecordType};
use wire::query::{Rejection, RequestHeader};

use crate::action::Client;
use crate::cache::LookupKey;
use crate::policy::{Listener, Route};
use crate::transport::Transport;

/// Opcode STATUS (RFC 1035 section 4.1.1).
const STATUS: u8 = 2;

/// A client and its query: borrowed from the packet on a cache hit, from a waiter later.
#[derive(Clone, Copy)]
pub(crate) struct Requester<'a> {
    pub(crate) client: Client,
    pub(crate) header: RequestHeader<'a>,
    /// When the query was received.
    pub(crate) received: Instant,
    pub(crate) query_len: u16,
    pub(crate) reply_edns: ReplyEdns,
}

impl Requester<'_> {
    /// The same with the `bufsize` of a server block.
    pub(crate) fn with_udp_size(self, udp_size: u16) -> Self {
        Self { reply_edns: ReplyEdns { udp_size, ..self.reply_edns }, ..self }
    }

    /// True when the query may be coalesced and its response cached: RD is set. A response to a
    /// query without RD reflects the state of the upstream's cache.
    pub(crate) fn wants_recursion(&self) -> bool {
        self.header.flags.has(Flags::RD)
    }
}

/// EDNS parameters of our response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyEdns {
    /// Our UDP payload size: a limit for our datagrams and, as stated in OPT, for the client's. RFC
    /// 6891 section 6.2.4 gives the responder one size, so `bufsize` sets both. CoreDNS repeats the
    /// client's size, lowered to `bufsize`, which states nothing about the server.
    pub(crate) udp_size: u16,
    /// edns-tcp-keepalive (RFC 7828), for a TCP client that sent the option.
    pub(crate) keepalive: Option<Keepalive>,
}

impl ReplyEdns {
    /// Before zone matching: the default payload size, and the listener's idle timeout as
    /// keepalive.
    pub(crate) fn new(listener: &Listener, client: &Client, header: &RequestHeader<'_>) -> Self {
        let requested = header.edns.is_some_and(|edns| edns.keepalive_len.is_some());
        let over_tcp = client.transport() == Transport::Tcp;
        let keepalive = (requested && over_tcp).then(|| Keepalive::of(listener.idle));
        Self { udp_size: DEFAULT_UDP_SIZE, keepalive }
    }
}

/// A query with the zone it matched.
#[derive(Clone, Copy)]
pub(crate) struct RoutedQuery<'a> {
    pub(crate) query: &'a Query<'a>,
    /// Of the query in its server block.
    pub(crate) key: &'a LookupKey<'a>,
    pub(crate) requester: Requester<'a>,
    pub(crate) route: &'a Arc<Route>,
}

/// Rejects an edns-tcp-keepalive option with a value on TCP; on UDP the option is ignored (RFC 7828
/// sections 3.2.1 and 3.3.1).
pub(crate) fn check_keepalive(query: &Query<'_>, client: &Client) -> Result<(), Rejection> {
    let keepalive_len = query.header.edns.and_then(|edns| edns.keepalive_len).unwrap_or(0);
    if keepalive_len > 0 && client.transport() == Transport::Tcp {
        return Err(Rejection::FormatError);
    }
    Ok(())
}

/// True for opcode STATUS, which the process sends to its own workers at intervals as a liveness
/// check.
pub(crate) fn is_status_query(packet: &[u8]) -> bool {
    Header::read(packet).is_some_and(|header| header.flags.opcode() == STATUS)
}

/// RCODE for unsupported queries: zone transfers (RFC 5936), TKEY and TSIG as QTYPE (RFC 2930,
/// RFC 8945), and in a block without `forward` other classes than IN, or everything if none of its
/// directives handles queries.
pub(crate) fn unsupported(query: &Query<'_>, route: &Route) -> Option<Rcode> {
    match query.qtype {
        RecordType::AXFR | RecordType::IXFR => Some(Rcode::REFUSED),
        RecordType::TKEY | RecordType::TSIG => Some(Rcode::NOTIMP),
        _ if route.block.forwards.is_empty() => {
            let is_in = query.qclass == Class::IN || !route.block.rewrites.is_empty();
            (!is_in || route.block.last_directive.is_none()).then_some(Rcode::REFUSED)
        }
        _ => None,
    }
}

/// True for a query of the `loop` directive that has returned.
pub(crate) fn is_loop(query: &Query<'_>, route: &Route) -> bool {
    let detector = route.loop_detector.as_ref().filter(|_| query.qtype == RecordType::HINFO);
    detector.is_some_and(|detector| detector.has_returned(query.name.as_wire()))
}
