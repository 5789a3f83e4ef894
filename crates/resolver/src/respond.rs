//! Responses to clients: written into the outbox and counted.

use std::time::{Duration, Instant};

use wire::Answer;
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{ExtendedError, OptRecord, append_nsid, nsid_len};
use wire::header::{HEADER_LEN, Rcode, RecordType};
use wire::query::Rejection;

use crate::action::{Action, Client, ClientResponse, Outbox, ResponseInfo, ResponseSource};
use crate::counters::{Plugin, RouteCounters, WorkerCounters, rcode_index, type_index};
use crate::policy::{Listener, LoadBalance, Route, RouteId};
use crate::request::{ReplyEdns, Requester, is_status_query};
use crate::result::ErrorResponse;
use crate::transport::Transport;

/// UDP payload size of clients without EDNS (RFC 1035 section 4.2.1).
const MIN_UDP_SIZE: u16 = 512;

/// Request and response counters of the matching zone, or of the listener when no zone matches, and
/// what else its responses depend on.
#[derive(Clone, Copy)]
pub(crate) struct QueryCounters<'a> {
    id: RouteId,
    counters: Option<&'a RouteCounters>,
    /// Of the server block, whose responses are counted.
    load_balance: Option<&'a LoadBalance>,
    /// Of the server block: the identifier of the server.
    nsid: Option<&'a [u8]>,
}

impl<'a> QueryCounters<'a> {
    pub(crate) fn of(route: &'a Route) -> Self {
        let block = &route.block;
        let (load_balance, nsid) = (block.load_balance.as_ref(), block.nsid.as_deref());
        Self { id: route.id, counters: route.counters.as_deref(), load_balance, nsid }
    }

    pub(crate) fn dropped(listener: &'a Listener) -> Self {
        Self { id: listener.dropped_id, counters: Some(&listener.dropped), load_balance: None, nsid: None }
    }

    /// The same for responses of directives in front of `loadbalance`.
    pub(crate) fn in_front(self) -> Self {
        Self { load_balance: None, ..self }
    }

    pub(crate) fn count_request(&self, requester: &Requester<'_>, qtype: RecordType) {
        let Some(counters) = self.counters else { return };
        let transport = requester.client.first_transport().index();
        let family = usize::from(requester.client.peer.is_ipv6());
        let counter = counters.requests.get(transport).and_then(|families| families.get(family));
        if let Some(counter) = counter.and_then(|types| types.get(type_index(qtype))) {
            counter.add(1);
        }
        if let Some(sizes) = counters.request_sizes.get(transport) {
            sizes.observe(u32::from(requester.query_len));
        }
        if requester.header.edns.is_some_and(|edns| edns.dnssec_ok) {
            counters.do_requests.add(1);
        }
    }

    fn count_response(&self, requester: &Requester<'_>, responded: Responded) {
        let Some(counters) = self.counters else { return };
        let Responded { rcode, plugin, len, duration } = responded;
        let Some(transport) = requester.client.counted_transport() else { return };
        if let Some(sizes) = counters.response_sizes.get(transport.index()) {
            sizes.observe(len);
        }
        counters.durations.observe(duration);
        let counter = counters.responses.get(plugin as usize).and_then(|row| row.get(rcode_index(rcode)));
        if let Some(counter) = counter {
            counter.add(1);
        }
    }
}

/// What is counted of a response.
#[derive(Clone, Copy)]
struct Responded {
    rcode: Rcode,
    plugin: Plugin,
    len: u32,
    duration: Duration,
}

/// An upstream's response and how it is presented to a client.
#[derive(Clone, Copy)]
pub(crate) struct ResponseSpec<'a> {
    pub(crate) answer: Answer<&'a [u8]>,
    pub(crate) ttl: ResponseTtl,
    pub(crate) plugin: Plugin,
    /// Extended error, for clients with EDNS.
    pub(crate) error: Option<ExtendedError>,
    /// Sets AA, whatever the upstream sent.
    pub(crate) authoritative: bool,
    pub(crate) source: ResponseSource,
}

impl<'a> ResponseSpec<'a> {
    /// A response as an upstream or a directive gave it, without an extended error of ours.
    pub(crate) fn resolved(answer: Answer<&'a [u8]>, ttl: ResponseTtl, plugin: Plugin) -> Self {
        Self { answer, ttl, plugin, error: None, authoritative: false, source: ResponseSource::Resolved }
    }
}

impl Requester<'_> {
    /// Writes an upstream's response for this client.
    pub(crate) fn respond(
        &self,
        spec: ResponseSpec<'_>,
        counters: QueryCounters<'_>,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let start = outbox.bytes.len();
        let ResponseSpec { ttl, error, authoritative, mut plugin, source, .. } = spec;
        let ReplyEdns { udp_size, keepalive } = self.reply_edns;
        let nsid = self.requested_nsid(counters);
        let (max_len, reserved) = (self.size_limit(), nsid.map_or(0, nsid_len));
        let options = ResponseOptions { ttl, max_len, error, authoritative, udp_size, keepalive, reserved };
        spec.answer.write(&self.header, options, &mut outbox.bytes);
        if let Some(load_balance) = counters.load_balance {
            spec.answer.arrange_addresses(load_balance, start, &mut outbox.bytes);
            plugin = Plugin::LoadBalance;
        }
        if let Some(nsid) = nsid {
            append_nsid(&mut outbox.bytes, OptRecord { udp_size, error, keepalive }, nsid);
        }
        let len = spec.answer.uncompressed_len();
        let duration = self.elapsed(now);
        let rcode = spec.answer.rcode();
        counters.count_response(self, Responded { rcode, plugin, len, duration });
        push_response(self.client, start, Some(self.info(counters.id, len, source)), outbox);
    }

    /// Writes an error response of our own for this client.
    pub(crate) fn respond_error(
        &self,
        response: ErrorResponse,
        counters: QueryCounters<'_>,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let start = outbox.bytes.len();
        let ErrorResponse { rcode, error, writer } = response;
        let ReplyEdns { udp_size, keepalive } = self.reply_edns;
        let opt = OptRecord { udp_size, error, keepalive };
        wire::reply::error(&self.header, rcode, opt, &mut outbox.bytes);
        if let Some(nsid) = self.requested_nsid(counters) {
            append_nsid(&mut outbox.bytes, opt, nsid);
        }
        let len = match writer {
            None => 0,
            // Without OPT.
            Some(Plugin::Cache) => HEADER_LEN + self.header.question.len(),
            Some(_) => outbox.bytes.len().saturating_sub(start),
        };
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let plugin = match (writer, counters.load_balance) {
            (Some(_), Some(_)) => Plugin::LoadBalance,
            (writer, _) => writer.unwrap_or(Plugin::Server),
        };
        let duration = self.elapsed(now);
        counters.count_response(self, Responded { rcode, plugin, len, duration });
        push_response(self.client, start, Some(self.info(counters.id, len, ResponseSource::Error)), outbox);
    }

    /// The time since the query was received, which is 0 for a hit.
    fn elapsed(&self, now: Instant) -> Duration {
        if now == self.received { Duration::ZERO } else { now.saturating_duration_since(self.received) }
    }

    /// The identifier of the server, if the client asks for it (RFC 5001).
    fn requested_nsid<'a>(&self, counters: QueryCounters<'a>) -> Option<&'a [u8]> {
        counters.nsid.filter(|_| self.header.edns.is_some_and(|edns| edns.wants_nsid))
    }

    /// Size at which the response is truncated.
    fn size_limit(&self) -> usize {
        usize::from(match (self.client.transport(), self.header.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => MIN_UDP_SIZE,
            (Transport::Udp, Some(edns)) => edns.udp_size.min(self.reply_edns.udp_size).max(MIN_UDP_SIZE),
        })
    }

    fn info(&self, route: RouteId, response_len: u32, source: ResponseSource) -> ResponseInfo {
        let buffer_size = match (self.client.transport(), self.header.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => MIN_UDP_SIZE,
            (Transport::Udp, Some(edns)) => edns.udp_size.max(MIN_UDP_SIZE),
        };
        let dnssec_ok = self.header.edns.is_some_and(|edns| edns.dnssec_ok);
        let Self { received, query_len, .. } = *self;
        ResponseInfo { route, received, query_len, response_len, buffer_size, dnssec_ok, source }
    }
}

/// Refuses a query that no directive of the listener handles.
pub(crate) fn respond_dropped(
    requester: &Requester<'_>,
    listener: &Listener,
    qtype: RecordType,
    outbox: &mut Outbox,
) {
    let counters = QueryCounters::dropped(listener);
    counters.count_request(requester, qtype);
    let response = ErrorResponse::new(Rcode::REFUSED).written_by(Plugin::Server);
    requester.respond_error(response, counters, requester.received, outbox);
}

/// Queues the octets from `start` on as a response to `client`.
pub(crate) fn push_response(client: Client, start: usize, info: Option<ResponseInfo>, outbox: &mut Outbox) {
    if let Some(message) = outbox.since(start) {
        outbox.actions.push(Action::Respond(ClientResponse { client, message, info }));
    }
}

/// Responds to a packet that is not a valid query, or drops it.
pub(crate) fn reject_packet(
    counters: &WorkerCounters,
    client: Client,
    (packet, rejection): (&[u8], Rejection),
    outbox: &mut Outbox,
) {
    match rejection {
        Rejection::Drop => counters.dropped.add(1),
        Rejection::NotImplemented if is_status_query(packet) => {}
        Rejection::NotImplemented => counters.not_implemented.add(1),
        Rejection::FormatError => counters.format_errors.add(1),
        Rejection::BadVersion => counters.bad_versions.add(1),
    }
    let start = outbox.bytes.len();
    wire::reply::rejection(packet, rejection, &mut outbox.bytes);
    if outbox.bytes.len() > start {
        push_response(client, start, None, outbox);
    }
}
