//! Counters as plain fields. Each has one writer, its worker; others read them at a scrape. A read may see
//! one field a moment before another: they are figures, not an account.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use wire::header::{Rcode, RecordType};

/// A number that one thread raises and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Raises it. A load and a store: there is only one writer, and no bus lock is paid for.
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the duration histograms in seconds: 0.00025 doubled fifteen times, as CoreDNS has them.
pub const DURATION_BOUNDS: [f64; 16] = [
    0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048,
    4.096, 8.192,
];

/// Upper bounds of the size histograms in octets, as CoreDNS has them.
pub const SIZE_BOUNDS: [f64; 14] = [
    0.0, 100.0, 200.0, 300.0, 400.0, 511.0, 1023.0, 2047.0, 4095.0, 8291.0, 16000.0, 32000.0, 48000.0,
    64000.0,
];

/// Observations by upper bound; the last place counts what is above all bounds.
#[derive(Debug)]
pub struct Histogram<const PLACES: usize> {
    places: [Counter; PLACES],
    sum: Counter,
}

/// Durations, by [`DURATION_BOUNDS`]; the sum is in nanoseconds.
pub type Durations = Histogram<17>;
/// Sizes, by [`SIZE_BOUNDS`]; the sum is in octets.
pub type Sizes = Histogram<15>;

impl<const PLACES: usize> Default for Histogram<PLACES> {
    fn default() -> Self {
        Self { places: std::array::from_fn(|_| Counter::default()), sum: Counter::default() }
    }
}

impl<const PLACES: usize> Histogram<PLACES> {
    /// Observations per place, not cumulative; the last place is above all bounds.
    pub fn places(&self) -> impl Iterator<Item = u64> {
        self.places.iter().map(Counter::get)
    }

    /// Sum of all observed values: nanoseconds or octets.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    fn count(&self, place: usize, value: u64) {
        if let Some(counter) = self.places.get(place) {
            counter.add(1);
        }
        self.sum.add(value);
    }
}

impl Durations {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place =
            DURATION_BOUNDS.iter().position(|&bound| seconds <= bound).unwrap_or(DURATION_BOUNDS.len());
        self.count(place, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl Sizes {
    /// Counts one size.
    pub fn observe(&self, octets: u16) {
        let size = f64::from(octets);
        let place = SIZE_BOUNDS.iter().position(|&bound| size <= bound).unwrap_or(SIZE_BOUNDS.len());
        self.count(place, u64::from(octets));
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

/// Response codes with a place of their own: 0 to 23 (RFC 6895 section 2.3), and the last for all above.
pub const COUNTED_RCODES: usize = 25;

/// Requests by transport (UDP, TCP), family (IPv4, IPv6) and type ([`COUNTED_TYPES`], ANY, other).
pub type RequestCounters = [[[Counter; COUNTED_TYPES.len() + 2]; 2]; 2];

/// What is counted for one zone on one listener.
#[derive(Debug, Default)]
pub struct RouteCounters {
    /// Queries, indexed by transport, family, type.
    pub requests: RequestCounters,
    /// Octets of queries, by transport.
    pub request_sizes: [Sizes; 2],
    /// Octets of answers before OPT and cutting, by transport.
    pub response_sizes: [Sizes; 2],
    /// From query to answer.
    pub durations: Durations,
    /// Queries with DO.
    pub do_requests: Counter,
    /// Answers by response code, of the writers in [`Writer`]'s order.
    pub responses: [[Counter; COUNTED_RCODES]; 3],
}

/// Who wrote an answer: the `plugin` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The cache, on hits and on misses of blocks that have one: `cache`.
    Cache = 0,
    /// The forwarder of a block without cache: `forward`.
    Forward = 1,
    /// Our own failure or refusal: the empty label.
    Server = 2,
}

/// What is counted for the cache of one block on one listener's behalf.
#[derive(Debug, Default)]
pub struct BlockCounters {
    /// Queries the cache was asked for.
    pub cache_requests: Counter,
    /// Of these, answered from an entry with records.
    pub cache_success_hits: Counter,
    /// Of these, answered from an entry that says there is nothing.
    pub cache_denial_hits: Counter,
    /// Of these, not found.
    pub cache_misses: Counter,
    /// Responses that did not match their question.
    pub cache_drops: Counter,
    /// Questions asked in the background, to renew an answer before or after its end.
    pub prefetches: Counter,
    /// Queries answered with what is over.
    pub served_stale: Counter,
    /// Answers too big to be kept.
    pub cache_oversized: Counter,
    /// Queries that joined a question already asked: upstream queries saved.
    pub joined: Counter,
    /// Queries refused by `max_concurrent`.
    pub max_concurrent_rejects: Counter,
    /// Questions that found all upstreams of their `forward` down.
    pub healthcheck_broken: Counter,
}

/// What is counted for one upstream.
#[derive(Debug, Default)]
pub struct UpstreamCounters {
    /// From question to answer, by response code.
    pub exchanges: [Durations; COUNTED_RCODES],
    /// Questions on a connection that was open: UDP, TCP, TLS.
    pub connection_hits: [Counter; 3],
    /// Questions that opened one: UDP, TCP, TLS.
    pub connection_misses: [Counter; 3],
    /// Attempts that failed.
    pub failures: Counter,
    /// Attempts repeated on a fresh connection because a used one had closed.
    pub redone: Counter,
    /// Messages of the upstream that answered nothing we asked.
    pub mismatches: Counter,
    /// Attempts that such messages ended: over UDP the question went on by TCP, a stream was given up.
    pub distrusted: Counter,
    /// Attempts without answer in the time that is usual for this upstream, for which another was made early.
    pub hedged: Counter,
    /// Attempts for which none was made because too many had been (see [`crate::policy::Limits::hedges`]).
    pub hedges_withheld: Counter,
    /// Questions repeated without OPT, because the answer to the one with OPT was FORMERR or NOTIMP.
    pub without_edns: Counter,
    /// Probes that failed.
    pub healthcheck_failures: Counter,
}

/// What is counted for a worker as a whole.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Packets that got silence: too short, or responses.
    pub silenced: Counter,
    /// Packets that got FORMERR.
    pub format_errors: Counter,
    /// Packets that got NOTIMP.
    pub not_implemented: Counter,
    /// Packets that got BADVERS.
    pub bad_versions: Counter,
    /// Queries refused for lack of room in the table of open questions.
    pub flights_full: Counter,
    /// Refreshes put off because as many are open as may be.
    pub refreshes_full: Counter,
    /// Queries refused because too many wait for the same question.
    pub waiters_full: Counter,
    /// Queries refused because too many of their client wait already.
    pub clients_full: Counter,
    /// Answers of upstreams that no client waited for any more; they fill the cache.
    pub late_answers: Counter,
    /// Panics caught while one packet was worked on.
    pub panics: Counter,
}

/// The place of a type in [`RequestCounters`].
pub fn type_place(qtype: RecordType) -> usize {
    let any = COUNTED_TYPES.len();
    match COUNTED_TYPES.iter().position(|&counted| counted == qtype) {
        Some(place) => place,
        None if qtype == RecordType::ANY => any,
        None => any + 1,
    }
}

/// The place of a response code in a row of [`COUNTED_RCODES`].
pub fn rcode_place(rcode: Rcode) -> usize {
    usize::from(rcode.0).min(COUNTED_RCODES - 1)
}
