//! Responses from cache entries: hits, cached failures, and stale answers (serve-stale, RFC 8767).

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::Rcode;

use crate::action::Outbox;
use crate::cache::{Entry, Store};
use crate::counters::Plugin;
use crate::policy::{Block, CacheOptions, Route, ServeStale};
use crate::request::Requester;
use crate::respond::{QueryCounters, ResponseSpec};

/// An expired answer for clients that wait for a newer one.
#[derive(Debug)]
pub(crate) struct StaleAnswer {
    pub(crate) entry: Arc<Entry>,
    /// When waiting ends: the client response timer of RFC 8767 section 5.
    pub(crate) until: Instant,
}

impl Block {
    /// The `cache` directive and its `serve_stale`, for a name that it covers.
    pub(crate) fn serve_stale_for(&self, name: &[u8]) -> Option<(&CacheOptions, ServeStale)> {
        let cache = self.cache_for(name)?;
        Some((cache, cache.serve_stale?))
    }
}

impl CacheOptions {
    /// How long after its expiry an answer may be served stale.
    pub(crate) fn stale_window(&self) -> Duration {
        self.serve_stale.map_or(Duration::ZERO, |stale| stale.duration)
    }
}

/// Responds with a stale answer (RFC 8767 section 4), marked by an extended error (RFC 8914 section
/// 4).
pub(crate) fn respond_stale(
    entry: &Entry,
    requester: &Requester<'_>,
    (route, cache, stale): (&Route, &CacheOptions, ServeStale),
    now: Instant,
    outbox: &mut Outbox,
) {
    route.block.counters.served_stale.add(1);
    let error = match entry.answer.rcode() {
        Rcode::NXDOMAIN => ExtendedError::STALE_NXDOMAIN_ANSWER,
        _ => ExtendedError::STALE_ANSWER,
    };
    let spec = ResponseSpec { error: Some(error), ..hit_response(entry, stale.ttl, cache) };
    requester.respond(spec, QueryCounters::of(route), now, outbox);
}

/// The response of a cache hit.
pub(crate) fn hit_response<'a>(entry: &'a Entry, ttl: u32, cache: &CacheOptions) -> ResponseSpec<'a> {
    ResponseSpec {
        answer: &entry.answer,
        ttl: ResponseTtl::Uniform(ttl),
        plugin: Plugin::Cache,
        error: None,
        authoritative: cache.authoritative,
    }
}

/// The response from a cached failure (RFC 9520 section 3.2).
pub(crate) fn failure_response(failure: &Entry, ttl: u32) -> ResponseSpec<'_> {
    // "Cached Error" is defined for SERVFAIL only (RFC 8914 section 4.14).
    let is_servfail = failure.answer.rcode() == Rcode::SERVFAIL;
    ResponseSpec {
        answer: &failure.answer,
        ttl: ResponseTtl::Uniform(ttl),
        plugin: Plugin::Cache,
        error: is_servfail.then_some(ExtendedError::CACHED_ERROR),
        authoritative: false,
    }
}

pub(crate) fn count_hit(block: &Block, entry: &Entry) {
    match entry.store {
        Store::Success => block.counters.cache_success_hits.add(1),
        Store::Denial => block.counters.cache_denial_hits.add(1),
    }
}
