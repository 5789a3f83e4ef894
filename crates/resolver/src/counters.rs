//! Counters of the resolver. Each has one writer, the thread of its worker, and is read by other
//! threads at a scrape; fields read together need not be from the same moment.

mod acl;
mod templates;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use wire::header::{Rcode, RecordType};

pub use acl::AclCounters;
pub use templates::{TemplateCounters, TemplateEvent, TemplateEventKind};

/// A counter that one thread increments and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Increments it by `count`. A load and a store instead of a locked addition: there is only one
    /// writer.
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A value that one thread sets and others read.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the duration histograms in seconds: 0.00025 doubled fifteen times, as in
/// CoreDNS.
pub const DURATION_BOUNDS: [f64; 16] = [
    0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048,
    4.096, 8.192,
];

/// The first of [`DURATION_BOUNDS`] in nanoseconds.
const FIRST_DURATION_BOUND: u64 = 250_000;

/// Upper bounds of the size histograms in octets, as in CoreDNS.
pub const SIZE_BOUNDS: [f64; 14] = [
    0.0, 100.0, 200.0, 300.0, 400.0, 511.0, 1023.0, 2047.0, 4095.0, 8291.0, 16000.0, 32000.0, 48000.0,
    64000.0,
];

/// [`SIZE_BOUNDS`] as integers.
const SIZE_BOUND_OCTETS: [u32; SIZE_BOUNDS.len()] =
    [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000];

/// A histogram with one bucket per upper bound and a last one for values above all bounds.
#[derive(Debug)]
pub struct Histogram<const BUCKETS: usize> {
    buckets: [Counter; BUCKETS],
    sum: Counter,
}

/// A histogram of durations with [`DURATION_BOUNDS`]; the sum is in nanoseconds.
pub type Durations = Histogram<17>;
/// A histogram of sizes with [`SIZE_BOUNDS`]; the sum is in octets.
pub type Sizes = Histogram<15>;

impl<const BUCKETS: usize> Default for Histogram<BUCKETS> {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Counter::default()), sum: Counter::default() }
    }
}

impl<const BUCKETS: usize> Histogram<BUCKETS> {
    /// Observations per bucket, not cumulative.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Counter::get)
    }

    /// Sum of all observed values: nanoseconds or octets.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    fn count(&self, bucket: usize, value: u64) {
        if let Some(counter) = self.buckets.get(bucket) {
            counter.add(1);
        }
        self.sum.add(value);
    }
}

impl Durations {
    /// Adds one observation.
    pub fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let last = DURATION_BOUNDS.len();
        let bucket = (0..last).find(|doublings| nanos <= FIRST_DURATION_BOUND << doublings).unwrap_or(last);
        self.count(bucket, nanos);
    }
}

impl Sizes {
    /// Adds one observation.
    pub fn observe(&self, octets: u32) {
        let bucket = SIZE_BOUND_OCTETS.iter().position(|bound| octets <= *bound);
        let bucket = bucket.unwrap_or(SIZE_BOUND_OCTETS.len());
        self.count(bucket, u64::from(octets));
    }
}

/// The record types that have a metric label of their own; all others are `other`.
pub const COUNTED_TYPES: [RecordType; 17] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::DNSKEY,
    RecordType::DS,
    RecordType::HTTPS,
    RecordType::MX,
    RecordType::NS,
    RecordType::NSEC,
    RecordType::NSEC3,
    RecordType::PTR,
    RecordType::RRSIG,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::TXT,
    RecordType::IXFR,
    RecordType::AXFR,
];

/// Response codes with an index of their own: 0 to 23 (RFC 6895 section 2.3); the last index is for
/// all above.
pub const COUNTED_RCODES: usize = 25;

/// Requests by transport (UDP, TCP), family (IPv4, IPv6) and type ([`COUNTED_TYPES`], ANY, other).
pub type RequestCounters = [[[Counter; COUNTED_TYPES.len() + 2]; 2]; 2];

/// Counters of one zone on one listener.
#[derive(Debug, Default)]
pub struct RouteCounters {
    /// Queries, indexed by transport, family, type.
    pub requests: RequestCounters,
    /// Sizes of queries in octets, by transport.
    pub request_sizes: [Sizes; 2],
    /// Sizes of responses in octets, before OPT and truncation and without name compression, by
    /// transport.
    pub response_sizes: [Sizes; 2],
    /// Time from query to response.
    pub durations: Durations,
    /// Queries with DO.
    pub do_requests: Counter,
    /// Responses, indexed by [`Plugin`] and response code.
    pub responses: [[Counter; COUNTED_RCODES]; PLUGIN_LABELS.len()],
}

/// The outermost directive that writes a response: the `plugin` label of
/// `coredns_dns_responses_total`, as in CoreDNS 1.13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// `cache`, on hits and misses.
    Cache = 0,
    /// A block without a cache: `forward`.
    Forward = 1,
    /// None: the empty label of an error in place of a missing response.
    Server = 2,
    /// A block without a cache: `whoami`.
    Whoami = 3,
    /// A block without a cache: `template`.
    Template = 4,
    /// A block without a cache: `hosts`.
    Hosts = 5,
    /// `any`, in front of the cache.
    Any = 6,
    /// `local`, in front of the cache.
    Local = 7,
    /// `chaos`, in front of the cache.
    Chaos = 8,
    /// `acl`, in front of the cache.
    Acl = 9,
    /// `dns64`, in front of the cache.
    Dns64 = 10,
    /// `loadbalance`, in front of the cache.
    LoadBalance = 11,
    /// A block without a cache: `rewrite`.
    Rewrite = 12,
    /// A block without a cache: `header`.
    Header = 13,
    /// A block without a cache: `minimal`.
    Minimal = 14,
}

/// The labels of [`Plugin`], in its order.
pub const PLUGIN_LABELS: [&str; 15] = [
    "cache",
    "forward",
    "",
    "whoami",
    "template",
    "hosts",
    "any",
    "local",
    "chaos",
    "acl",
    "dns64",
    "loadbalance",
    "rewrite",
    "header",
    "minimal",
];

/// Counters of one server block on one listener.
#[derive(Debug, Default)]
pub struct BlockCounters {
    /// Cache lookups.
    pub cache_requests: Counter,
    /// Cache hits on positive answers.
    pub cache_success_hits: Counter,
    /// Cache hits on negative answers and failures.
    pub cache_denial_hits: Counter,
    /// Cache misses.
    pub cache_misses: Counter,
    /// Upstream responses that did not match their query.
    pub cache_drops: Counter,
    /// Queries without a waiting client, which refresh an entry before or after it expires.
    pub prefetches: Counter,
    /// Queries answered from an expired entry under `serve_stale`.
    pub served_stale: Counter,
    /// Queries answered from an expired entry in an outage of all upstreams, without `serve_stale`.
    pub outage_stale: Counter,
    /// Queries answered NXDOMAIN because a name above theirs does not exist: hits on negative answers as
    /// well.
    pub nxdomain_cut_hits: Counter,
    /// Queries sent to learn or to renew these names.
    pub nxdomain_cut_queries: Counter,
    /// Such names learned.
    pub nxdomain_cuts_learned: Counter,
    /// Such names renewed before their TTL ended.
    pub nxdomain_cuts_renewed: Counter,
    /// Such names removed because a response has shown that they or a name below them exist.
    pub nxdomain_cuts_removed: Counter,
    /// Answers too large for the cache.
    pub cache_oversized: Counter,
    /// Queries coalesced with a query in flight: upstream queries saved.
    pub coalesced: Counter,
    /// Queries refused by `max_concurrent`.
    pub max_concurrent_rejects: Counter,
    /// Queries that found all upstreams of their `forward` down.
    pub healthcheck_broken: Counter,
    /// Queries by what `acl` did with them.
    pub acl: AclCounters,
    /// Queries for names below localhost. or with localhost as first label (`local`).
    pub localhost_requests: Counter,
    /// AAAA queries for which IPv4 addresses were looked up (`dns64`).
    pub translated: Counter,
    /// Queries that its templates matched, and those that they failed.
    pub templates: TemplateCounters,
}

/// Counters of one upstream.
#[derive(Debug, Default)]
pub struct UpstreamCounters {
    /// Time from query to response, by response code.
    pub request_durations: [Durations; COUNTED_RCODES],
    /// Queries sent on an open connection: UDP, TCP, TLS.
    pub connection_hits: [Counter; 3],
    /// Queries that opened a connection: UDP, TCP, TLS.
    pub connection_misses: [Counter; 3],
    /// Attempts that failed.
    pub failures: Counter,
    /// Queries repeated because their connection was lost or had delivered a mismatch.
    pub retried: Counter,
    /// Queries that had to wait for a connection.
    pub queued: Counter,
    /// Queries that failed because too many were waiting for a connection.
    pub queue_full: Counter,
    /// Connections opened for a single query that had lost its connection.
    pub dedicated_connections: Counter,
    /// Queries that had to wait because as many such connections were open as may be.
    pub dedicated_connections_full: Counter,
    /// New connections whose queries were moved to another one because they did not respond.
    pub suspect_connections: Counter,
    /// Messages from the upstream that match no query of ours, or on a stream end before their
    /// frame. Their connection gets no further query.
    pub mismatched_responses: Counter,
    /// Attempts repeated because no matching response followed such a message in time, or because a
    /// message did not end: over UDP on a fresh socket and then over TCP, over TCP on a connection of
    /// their own.
    pub mismatched_attempts: Counter,
    /// Attempts without a response within the retransmission timeout that were repeated without regard
    /// to the hedge budget: at another upstream, because nothing at all had been received from this
    /// one, or on another connection, because packets were lost.
    pub retransmissions: Counter,
    /// Copies of clients' queries sent to it while it was silent.
    pub probes: Counter,
    /// Attempts without a response within the retransmission timeout, for which a hedge was sent.
    pub hedged: Counter,
    /// Attempts for which the hedge budget was exhausted (see
    /// [`crate::policy::ResolverLimits::initial_hedges`]).
    pub hedges_throttled: Counter,
    /// Queries repeated without OPT after FORMERR or NOTIMP.
    pub edns_fallbacks: Counter,
    /// Health checks that failed.
    pub healthcheck_failures: Counter,
}

/// Counters of one worker.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Packets dropped without a response: shorter than a header, or responses.
    pub dropped: Counter,
    /// Packets answered with FORMERR.
    pub format_errors: Counter,
    /// Packets answered with NOTIMP.
    pub not_implemented: Counter,
    /// Packets answered with BADVERS.
    pub bad_versions: Counter,
    /// Queries refused because the memory of waiting queries, which holds large answers to them as
    /// well, is full.
    pub inflight_full: Counter,
    /// Refreshes not started because as many are in flight as may be.
    pub refreshes_full: Counter,
    /// Queries refused because too many wait for the same in-flight query.
    pub waiters_full: Counter,
    /// Queries refused because their client's share of that memory is in use.
    pub client_quota_full: Counter,
    /// Upstream responses that arrived after every client was answered; usable ones are cached.
    pub late_responses: Counter,
    /// Panics caught while a packet was processed.
    pub panics: Counter,
    /// Octets of the entries in the L1 cache.
    pub l1_octets: Gauge,
}

/// The index of a type in [`RequestCounters`].
pub fn type_index(qtype: RecordType) -> usize {
    let any = COUNTED_TYPES.len();
    match COUNTED_TYPES.iter().position(|&counted| counted == qtype) {
        Some(index) => index,
        None if qtype == RecordType::ANY => any,
        None => any + 1,
    }
}

/// The index of a response code, below [`COUNTED_RCODES`].
pub fn rcode_index(rcode: Rcode) -> usize {
    usize::from(rcode.0).min(COUNTED_RCODES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_bounds_are_those_that_are_exported() {
        assert_eq!(SIZE_BOUND_OCTETS.map(f64::from), SIZE_BOUNDS);
        for (bucket, bound) in DURATION_BOUNDS.into_iter().enumerate() {
            let bound = Duration::from_secs_f64(bound);
            for (duration, expected) in [(bound, bucket), (bound + Duration::from_nanos(1), bucket + 1)] {
                let durations = Durations::default();
                durations.observe(duration);
                assert_eq!(durations.buckets().position(|count| count == 1), Some(expected));
            }
        }
    }
}
