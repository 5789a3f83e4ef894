//! What is known already: answers that live, failures that stand, and answers that are over but better than none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::{Class, Rcode};

use crate::Resolver;
use crate::action::Outbox;
use crate::cache::{Entry, Freshness, Key, Store};
use crate::counters::Plugin;
use crate::inflight::query::StaleAnswer;
use crate::policy::{Block, CacheOptions, Route, ServeStale, ServeStaleMode};
use crate::request::{Requester, RoutedQuery};
use crate::respond::{QueryCounters, ResponseSpec};

/// How long a client waits before it is told what is stale, if nothing else is configured: RFC 8767 section 5 calls it
/// the client response timer.
const CLIENT_RESPONSE_TIME: Duration = Duration::from_millis(1800);

impl Resolver {
    /// Answers from what is kept; false when an upstream must be asked.
    pub(crate) fn answer_from_cache(&mut self, routed: &RoutedQuery<'_>, outbox: &mut Outbox) -> bool {
        let RoutedQuery { query, requester, route } = *routed;
        let block = &route.block;
        let Some(cache) = block.cache_for(query.name.as_wire()) else { return false };
        if query.qclass != Class::IN {
            return false;
        }
        block.counters.cache_requests.add(1);
        let key = Key::new(block.id, query);
        let now = requester.received;
        match self.cache.get(key.as_bytes(), now, cache.stale_window()) {
            None => self.respond_cached_failure(routed, &key, outbox),
            Some((entry, Freshness::Stale)) => {
                let entry = Arc::clone(entry);
                self.answer_stale(routed, &key, entry, outbox)
            }
            Some((entry, Freshness::Fresh(remaining))) => {
                count_hit(block, entry);
                let shown = if cache.keep_ttl { entry.ttl } else { remaining };
                let ttl = ResponseTtl::Uniform(shown);
                requester.respond(hit(entry, ttl, cache), QueryCounters::of(route), now, outbox);
                let prefetch = cache.prefetch;
                let is_due =
                    prefetch.is_some_and(|prefetch| entry.hit_triggers_prefetch(prefetch, now, remaining));
                if is_due && self.failure(&key, now).is_none() {
                    self.refresh(routed, &key, outbox);
                }
                true
            }
        }
    }

    /// Tells a failure again that stands (RFC 9520 section 3.2).
    fn respond_cached_failure(&mut self, routed: &RoutedQuery<'_>, key: &Key, outbox: &mut Outbox) -> bool {
        let RoutedQuery { requester, route, .. } = *routed;
        let Some((failure, remaining)) = self.failure(key, requester.received) else {
            route.block.counters.cache_misses.add(1);
            return false;
        };
        count_hit(&route.block, failure);
        // The code speaks of SERVFAIL only (RFC 8914 section 4.14).
        let is_servfail = failure.answer.rcode() == Rcode::SERVFAIL;
        let spec = ResponseSpec {
            answer: &failure.answer,
            ttl: ResponseTtl::Uniform(remaining),
            plugin: Plugin::Cache,
            error: is_servfail.then_some(ExtendedError::CACHED_ERROR),
            authoritative: false,
        };
        requester.respond(spec, QueryCounters::of(route), requester.received, outbox);
        true
    }

    /// The failure of a question that stands at `now`, and its seconds left.
    pub(crate) fn failure(&mut self, key: &Key, now: Instant) -> Option<(&Arc<Entry>, u32)> {
        match self.cache.get(Key::of_failure(key.as_bytes()).as_bytes(), now, Duration::ZERO)? {
            (entry, Freshness::Fresh(remaining)) => Some((entry, remaining)),
            (_, Freshness::Stale) => None,
        }
    }

    /// Tells what is over, now or when the upstream proves to be no help, and sees to it that it is asked.
    fn answer_stale(
        &mut self,
        routed: &RoutedQuery<'_>,
        key: &Key,
        entry: Arc<Entry>,
        outbox: &mut Outbox,
    ) -> bool {
        let RoutedQuery { query, requester, route } = *routed;
        let Some((cache, stale)) = route.block.stale_for(query.name.as_wire()) else { return false };
        let now = requester.received;
        count_hit(&route.block, &entry);
        let may_ask = !entry.is_refresh_suppressed(now) && self.failure(key, now).is_none();
        if let (ServeStaleMode::Verify(patience), true) = (stale.mode, may_ask && requester.wants_recursion())
        {
            let verified_already = !patience.is_zero() && self.by_key.contains_key(key.as_bytes());
            if !verified_already {
                let patience = if patience.is_zero() { CLIENT_RESPONSE_TIME } else { patience };
                self.coalesce(routed, Some(StaleAnswer { entry, until: now + patience }), outbox);
                return true;
            }
        }
        respond_stale(&entry, &requester, (route, cache, stale), now, outbox);
        if may_ask {
            self.refresh(routed, key, outbox);
        }
        true
    }
}

impl Block {
    /// The `cache` directive and its `serve_stale`, for names it covers.
    pub(crate) fn stale_for(&self, name: &[u8]) -> Option<(&CacheOptions, ServeStale)> {
        let cache = self.cache_for(name)?;
        Some((cache, cache.serve_stale?))
    }
}

impl CacheOptions {
    /// How long after its end an answer is worth finding.
    pub(crate) fn stale_window(&self) -> Duration {
        self.serve_stale.map_or(Duration::ZERO, |stale| stale.duration)
    }
}

/// Tells an answer that is over (RFC 8767 section 4, RFC 8914 section 4).
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
    let spec = ResponseSpec { error: Some(error), ..hit(entry, ResponseTtl::Uniform(stale.ttl), cache) };
    requester.respond(spec, QueryCounters::of(route), now, outbox);
}

fn hit<'a>(entry: &'a Entry, ttl: ResponseTtl, cache: &CacheOptions) -> ResponseSpec<'a> {
    let authoritative = cache.authoritative;
    ResponseSpec { answer: &entry.answer, ttl, plugin: Plugin::Cache, error: None, authoritative }
}

fn count_hit(block: &Block, entry: &Entry) {
    match entry.store {
        Store::Success => block.counters.cache_success_hits.add(1),
        Store::Denial => block.counters.cache_denial_hits.add(1),
    }
}
