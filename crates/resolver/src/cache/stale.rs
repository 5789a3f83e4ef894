//! Responses from cache entries: hits, cached failures, and stale answers (serve-stale, RFC 8767;
//! or in an outage of all upstreams).

use std::time::{Duration, Instant};

use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::Rcode;

use crate::action::{Outbox, ResponseSource};
use crate::cache::{Entry, Store};
use crate::counters::Plugin;
use crate::policy::{Block, CacheOptions, Route};
use crate::request::Requester;
use crate::respond::{QueryCounters, ResponseSpec};

/// How long after its expiry an answer is served in an outage without `serve_stale`.
const OUTAGE_WINDOW: Duration = Duration::from_secs(30);

/// TTL in seconds of an answer served in an outage without `serve_stale`.
const OUTAGE_TTL: u32 = 5;

/// An expired answer for clients that wait for a newer one.
#[derive(Debug)]
pub(crate) struct StaleAnswer {
    pub(crate) entry: Entry,
    /// When waiting ends, with `serve_stale` (the client response timer of RFC 8767 section 5) or
    /// in an outage.
    pub(crate) until: Instant,
}

impl Block {
    /// True when `serve_stale` applies to a lower-case wire name.
    pub(crate) fn serves_stale(&self, name: &[u8]) -> bool {
        self.cache_for(name).is_some_and(|cache| cache.serve_stale.is_some())
    }
}

impl CacheOptions {
    /// How long after its expiry an answer may be served stale, be it in an outage only.
    pub(crate) fn stale_window(&self) -> Duration {
        self.serve_stale.map_or_else(|| self.outage_window(), |stale| stale.duration)
    }

    /// How long after its expiry an answer may be served in an outage only: not with `serve_stale`,
    /// which has a window of its own.
    pub(crate) fn outage_window(&self) -> Duration {
        if self.stale_on_outage && self.serve_stale.is_none() { OUTAGE_WINDOW } else { Duration::ZERO }
    }
}

/// Responds with a stale answer (RFC 8767 section 4), marked by an extended error (RFC 8914 section
/// 4).
pub(crate) fn respond_stale(
    entry: &Entry,
    requester: &Requester<'_>,
    (route, cache): (&Route, &CacheOptions),
    now: Instant,
    outbox: &mut Outbox,
) {
    let counters = &route.block.counters;
    let (served, ttl) = match cache.serve_stale {
        Some(stale) => (&counters.served_stale, stale.ttl),
        None => (&counters.outage_stale, OUTAGE_TTL),
    };
    served.add(1);
    let error = match entry.answer().rcode() {
        Rcode::NXDOMAIN => ExtendedError::STALE_NXDOMAIN_ANSWER,
        _ => ExtendedError::STALE_ANSWER,
    };
    let spec =
        ResponseSpec { error: Some(error), source: ResponseSource::Stale, ..hit_response(entry, ttl, cache) };
    requester.respond(spec, QueryCounters::of(route), now, outbox);
}

/// The response of a cache hit.
pub(crate) fn hit_response<'a>(entry: &'a Entry, ttl: u32, cache: &CacheOptions) -> ResponseSpec<'a> {
    ResponseSpec {
        answer: entry.answer(),
        ttl: ResponseTtl::Uniform(ttl),
        plugin: Plugin::Cache,
        error: None,
        authoritative: cache.authoritative,
        source: ResponseSource::Cache,
    }
}

/// The response from a cached failure (RFC 9520 section 3.2).
pub(crate) fn failure_response(failure: &Entry, ttl: u32) -> ResponseSpec<'_> {
    // "Cached Error" is defined for SERVFAIL only (RFC 8914 section 4.14).
    let is_servfail = failure.answer().rcode() == Rcode::SERVFAIL;
    ResponseSpec {
        answer: failure.answer(),
        ttl: ResponseTtl::Uniform(ttl),
        plugin: Plugin::Cache,
        error: is_servfail.then_some(ExtendedError::CACHED_ERROR),
        authoritative: false,
        source: ResponseSource::Cache,
    }
}

pub(crate) fn count_hit(block: &Block, entry: &Entry) {
    match entry.store {
        Store::Success => block.counters.cache_success_hits.add(1),
        Store::Denial => block.counters.cache_denial_hits.add(1),
    }
}
