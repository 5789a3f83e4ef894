//! Answers and refusals into the outbox, with what is counted for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{DEFAULT_UDP_SIZE, ExtendedError, Keepalive, OptRecord};
use wire::header::{Flags, Rcode, RecordType};
use wire::query::{Rejection, RequestHeader};
use wire::{Answer, Query};

use crate::action::{Action, Client, ClientResponse, Outbox, ResponseInfo, Transport};
use crate::counters::{Plugin, RouteCounters, rcode_index, type_index};
use crate::policy::{Listener, Route, RouteId};

/// UDP payload every client takes (RFC 1035 section 4.2.1).
const LEAST_UDP_SIZE: u16 = 512;

/// One client and its question, on a hit as it came in, later as it was kept.
#[derive(Clone, Copy)]
pub(crate) struct Requester<'a> {
    pub(crate) client: Client,
    pub(crate) header: RequestHeader<'a>,
    pub(crate) asked: Instant,
    pub(crate) query_len: u16,
    pub(crate) reply_edns: ReplyEdns,
}

/// What our OPT offers a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyEdns {
    /// Datagrams to the client stay within it, and so does what the client may send: RFC 6891 section 6.2.4 leaves the
    /// responder one size to state, and an operator who gave `bufsize` has stated it. CoreDNS repeats the client's own
    /// size, lowered to `bufsize`, which tells the client nothing about us.
    udp_size: u16,
    /// For a client that came by TCP and wants to know.
    keepalive: Option<Keepalive>,
}

impl ReplyEdns {
    /// What a query gets on `listener`, before a block has taken it.
    pub(crate) fn of(listener: &Listener, client: &Client, header: &RequestHeader<'_>) -> Self {
        let wants = header.edns.is_some_and(|edns| edns.keepalive_len.is_some());
        let by_tcp = client.transport() == Transport::Tcp;
        let keepalive = (wants && by_tcp).then(|| Keepalive::of(listener.idle));
        Self { udp_size: DEFAULT_UDP_SIZE, keepalive }
    }
}

/// Rejects a fault that only one transport has: edns-tcp-keepalive with data in it. By UDP the option is none
/// (RFC 7828 sections 3.2.1 and 3.3.1).
pub(crate) fn check(query: &Query<'_>, client: &Client) -> Result<(), Rejection> {
    let keepalive_len = query.header.edns.and_then(|edns| edns.keepalive_len).unwrap_or(0);
    if keepalive_len > 0 && client.transport() == Transport::Tcp {
        return Err(Rejection::FormatError);
    }
    Ok(())
}

/// A query that a zone took.
#[derive(Clone, Copy)]
pub(crate) struct RoutedQuery<'a> {
    pub(crate) query: &'a Query<'a>,
    pub(crate) requester: Requester<'a>,
    pub(crate) route: &'a Arc<Route>,
}

/// Where a query is counted: a zone, or what no zone took.
#[derive(Clone, Copy)]
pub(crate) struct QueryCounters<'a> {
    id: RouteId,
    counters: Option<&'a RouteCounters>,
}

impl<'a> QueryCounters<'a> {
    pub(crate) fn of(route: &'a Route) -> Self {
        Self { id: route.id, counters: route.counters.as_deref() }
    }

    pub(crate) fn dropped(listener: &'a Listener) -> Self {
        Self { id: listener.dropped_id, counters: Some(&listener.dropped) }
    }

    /// Counts a query that came in.
    pub(crate) fn query(&self, requester: &Requester<'_>, qtype: RecordType) {
        let Some(counters) = self.counters else { return };
        let transport = place(requester.client.transport());
        let family = usize::from(requester.client.peer.is_ipv6());
        let counter = counters.requests.get(transport).and_then(|families| families.get(family));
        if let Some(counter) = counter.and_then(|types| types.get(type_index(qtype))) {
            counter.add(1);
        }
        if let Some(sizes) = counters.request_sizes.get(transport) {
            sizes.observe(requester.query_len);
        }
        if requester.header.edns.is_some_and(|edns| edns.dnssec_ok) {
            counters.do_requests.add(1);
        }
    }

    fn answer(&self, requester: &Requester<'_>, told: Responded) {
        let Some(counters) = self.counters else { return };
        if let Some(sizes) = counters.response_sizes.get(place(requester.client.transport())) {
            sizes.observe(told.len);
        }
        counters.durations.observe(told.after);
        let counter =
            counters.responses.get(told.plugin as usize).and_then(|row| row.get(rcode_index(told.rcode)));
        if let Some(counter) = counter {
            counter.add(1);
        }
    }
}

/// What is counted of an answer.
#[derive(Clone, Copy)]
struct Responded {
    rcode: Rcode,
    plugin: Plugin,
    len: u16,
    after: Duration,
}

/// An answer of an upstream and how a client is to see it.
#[derive(Clone, Copy)]
pub(crate) struct ResponseSpec<'a> {
    pub(crate) answer: &'a Answer,
    pub(crate) ttl: ResponseTtl,
    pub(crate) plugin: Plugin,
    /// Told to who sent OPT.
    pub(crate) error: Option<ExtendedError>,
    /// AA is set whatever the upstream said.
    pub(crate) authoritative: bool,
}

impl Requester<'_> {
    /// The same, in a block with `bufsize`.
    pub(crate) fn within(self, udp_size: u16) -> Self {
        Self { reply_edns: ReplyEdns { udp_size, ..self.reply_edns }, ..self }
    }

    /// Writes an upstream's answer for this client.
    pub(crate) fn respond(
        &self,
        spec: ResponseSpec<'_>,
        counters: QueryCounters<'_>,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let start = outbox.bytes.len();
        let ResponseSpec { ttl, error, authoritative, .. } = spec;
        let ReplyEdns { udp_size, keepalive } = self.reply_edns;
        let options = ResponseOptions { ttl, limit: self.limit(), error, authoritative, udp_size, keepalive };
        spec.answer.write(&self.header, options, &mut outbox.bytes);
        let len = u16::try_from(spec.answer.message_len()).unwrap_or(u16::MAX);
        let after = now.saturating_duration_since(self.asked);
        counters.answer(self, Responded { rcode: spec.answer.rcode(), plugin: spec.plugin, len, after });
        self.send(start, Some(self.info(counters.id, len)), outbox);
    }

    /// Writes an empty answer of our own with `rcode`.
    pub(crate) fn respond_error(
        &self,
        error: ErrorResponse,
        counters: QueryCounters<'_>,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let start = outbox.bytes.len();
        let ReplyEdns { udp_size, keepalive } = self.reply_edns;
        let opt = OptRecord { udp_size, error: error.error, keepalive };
        wire::reply::error(&self.header, error.rcode, opt, &mut outbox.bytes);
        let after = now.saturating_duration_since(self.asked);
        counters.answer(self, Responded { rcode: error.rcode, plugin: Plugin::Server, len: 0, after });
        self.send(start, Some(self.info(counters.id, 0)), outbox);
    }

    fn send(&self, start: usize, info: Option<ResponseInfo>, outbox: &mut Outbox) {
        push_answer(self.client, start, info, outbox);
    }

    fn limit(&self) -> usize {
        usize::from(match (self.client.transport(), self.header.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => LEAST_UDP_SIZE,
            (Transport::Udp, Some(edns)) => edns.udp_size.min(self.reply_edns.udp_size).max(LEAST_UDP_SIZE),
        })
    }

    fn info(&self, route: RouteId, response_len: u16) -> ResponseInfo {
        let buffer_size = match (self.client.transport(), self.header.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => LEAST_UDP_SIZE,
            (Transport::Udp, Some(edns)) => edns.udp_size.max(LEAST_UDP_SIZE),
        };
        let dnssec_ok = self.header.edns.is_some_and(|edns| edns.dnssec_ok);
        ResponseInfo {
            route,
            asked: self.asked,
            query_len: self.query_len,
            response_len,
            buffer_size,
            dnssec_ok,
        }
    }

    /// True when answers to this question may be joined and kept: the client wants recursion. What an upstream
    /// says without recursion is the state of its own cache.
    pub(crate) fn wants_recursion(&self) -> bool {
        self.header.flags.has(Flags::RD)
    }
}

/// A failure of our own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) rcode: Rcode,
    pub(crate) error: Option<ExtendedError>,
}

impl ErrorResponse {
    pub(crate) fn bare(rcode: Rcode) -> Self {
        Self { rcode, error: None }
    }
}

/// Hands the octets from `start` on to `client`.
pub(crate) fn push_answer(client: Client, start: usize, info: Option<ResponseInfo>, outbox: &mut Outbox) {
    if let Some(message) = outbox.since(start) {
        outbox.actions.push(Action::Respond(ClientResponse { client, message, info }));
    }
}

fn place(transport: Transport) -> usize {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
    }
}
