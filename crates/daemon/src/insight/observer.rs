//! Observer: reads what a worker receives and sends, for trace subscribers and statistics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Client, ClientResponse, ResponseSource};
use wire::header::Rcode;

use super::question::MessageQuestion;
use super::sample::Sample;
use super::sampler::Sampler;
use super::statistics::Statistics;
use super::trace::{TraceEvent, TraceHub, Traced, TracedResponse};

/// So that samples cost below 2 % of hits: at low rates a hit costs 9,500 instructions in user mode, and a
/// sample 8,000, half of them in moka.
const MIN_HITS_PER_SAMPLE: u32 = 64;
/// A miss costs several hits, and failing names are few.
const MIN_OTHERS_PER_SAMPLE: u32 = 4;

/// A response that a worker sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) response: &'a ClientResponse,
    pub(crate) message: &'a [u8],
    /// The upstream that it is from, or that was queried last.
    pub(crate) upstream: Option<SocketAddr>,
    pub(crate) now: Instant,
}

/// The observer of one worker.
#[derive(Debug)]
pub(crate) struct Observer {
    trace: Arc<TraceHub>,
    statistics: Option<Arc<Statistics>>,
    hits: Sampler,
    /// Of responses that are not from the cache.
    others: Sampler,
}

impl Observer {
    /// `statistics` is `None` with `-insight=false`; `seed` is random.
    pub(crate) fn new(trace: Arc<TraceHub>, statistics: Option<Arc<Statistics>>, seed: u32) -> Self {
        Self {
            trace,
            statistics,
            hits: Sampler::new(seed, MIN_HITS_PER_SAMPLE),
            others: Sampler::new(seed.rotate_left(16), MIN_OTHERS_PER_SAMPLE),
        }
    }

    /// True while someone traces. To be asked once per batch.
    pub(crate) fn is_tracing(&self) -> bool {
        self.trace.is_active()
    }

    /// Counts a response; true if it is a sample, to be passed to [`sample`](Self::sample). Also counts
    /// without statistics: a branch would cost a hit as much.
    #[inline]
    pub(crate) fn is_sample(&self, response: &ClientResponse) -> bool {
        response.info.is_some_and(|info| self.sampler(info.source).is_sample())
    }

    /// Adapts the samples to the rate of responses. To be called every few seconds.
    pub(crate) fn adapt(&self, now: Instant) {
        self.hits.expire(now);
        self.others.expire(now);
    }

    /// Takes a sampled response into the statistics.
    pub(crate) fn sample(&self, observed: &Observed<'_>) {
        let (Some(statistics), Some(info)) = (&self.statistics, observed.response.info) else { return };
        let weight = self.sampler(info.source).weight(observed.now);
        let Some(question) = MessageQuestion::read(observed.message) else { return };
        statistics.record(&Sample {
            client: observed.response.client.peer.ip(),
            name: question.name,
            qtype: question.qtype,
            rcode: question.header.flags.rcode(),
            source: info.source,
            duration: duration(observed),
            now: observed.now,
            weight,
        });
    }

    /// A packet has arrived.
    pub(crate) fn trace_query(&self, client: &Client, packet: &[u8], now: Instant) {
        let Some(question) = MessageQuestion::read(packet) else { return };
        self.trace.publish(&event(client, &question, Traced::Query(now)));
    }

    /// A response is sent.
    pub(crate) fn trace_response(&self, observed: &Observed<'_>) {
        let Some(question) = MessageQuestion::read(observed.message) else { return };
        let traced = Traced::Response(TracedResponse {
            rcode: rcode(observed.message, question.header.flags.rcode()),
            resolved: observed.response.info.map(|info| (info.route, info.source)),
            upstream: observed.upstream,
            duration: duration(observed),
        });
        self.trace.publish(&event(&observed.response.client, &question, traced));
    }

    #[inline]
    fn sampler(&self, source: ResponseSource) -> &Sampler {
        if source.is_cache() { &self.hits } else { &self.others }
    }
}

/// From the arrival of the query; zero for one that was rejected.
fn duration(observed: &Observed<'_>) -> Duration {
    let received = observed.response.info.map_or(observed.now, |info| info.received);
    observed.now.saturating_duration_since(received)
}

/// The extended RCODE (RFC 6891), if the message has one.
fn rcode(message: &[u8], basic: Rcode) -> Rcode {
    wire::Response::parse(message).map_or(basic, |response| response.rcode)
}

fn event(client: &Client, question: &MessageQuestion<'_>, traced: Traced) -> TraceEvent {
    TraceEvent {
        client: client.peer,
        is_tcp: client.connection.is_some(),
        id: question.header.id,
        name: question.name.to_ascii_lowercase().into(),
        qtype: question.qtype,
        traced,
    }
}
