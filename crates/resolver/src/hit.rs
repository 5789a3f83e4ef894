//! Cache hits: answers, cached failures, stale answers, and the refreshes that they trigger.

use std::time::Duration;

use wire::header::{Class, Flags};

use crate::Resolver;
use crate::action::Outbox;
use crate::cache::stale::{StaleAnswer, count_hit, failure_response, hit_response, respond_stale};
use crate::cache::{Entry, Freshness};
use crate::inflight::memory::Reservation;
use crate::inflight::query::InflightQuery;
use crate::miss::NewQuery;
use crate::policy::{CacheOptions, ServeStale, ServeStaleMode};
use crate::request::RoutedQuery;
use crate::respond::QueryCounters;
use crate::upstream::query::UpstreamQuery;

/// Default client response timer (RFC 8767 section 5).
const CLIENT_RESPONSE_TIMER: Duration = Duration::from_millis(1800);

impl Resolver {
    /// Responds from the cache; false on a miss.
    pub(crate) fn hit(&mut self, routed: &RoutedQuery<'_>, outbox: &mut Outbox) -> bool {
        let RoutedQuery { query, requester, route, .. } = *routed;
        let block = &route.block;
        let Some(cache) = block.cache_for(query.name.as_wire()) else { return false };
        if query.qclass != Class::IN {
            return false;
        }
        block.counters.cache_requests.add(1);
        let (now, clock) = (requester.received, self.cache.clock());
        match self.cache.get(routed.key, now, cache) {
            None => self.hit_failure(routed, outbox),
            Some((entry, Freshness::Stale)) => {
                let entry = entry.clone();
                match cache.serve_stale {
                    Some(stale) => self.hit_stale(routed, (entry, cache, stale), outbox),
                    None => self.hit_expired(routed, (entry, cache), outbox),
                }
                true
            }
            Some((entry, Freshness::Fresh(remaining))) => {
                count_hit(block, entry);
                let ttl = if cache.keep_ttl { entry.ttl } else { remaining };
                requester.respond(hit_response(entry, ttl, cache), QueryCounters::of(route), now, outbox);
                let prefetch = cache.prefetch.is_some_and(|prefetch| {
                    let now = clock.time(now);
                    entry.hit_triggers_prefetch(prefetch, now, remaining) && !entry.is_refresh_suppressed(now)
                });
                if prefetch && self.cache.get_failure(routed.key, now).is_none() {
                    self.refresh(routed, outbox);
                }
                true
            }
        }
    }

    /// Responds from a cached failure (RFC 9520 section 3.2); false on a miss.
    pub(crate) fn hit_failure(&mut self, routed: &RoutedQuery<'_>, outbox: &mut Outbox) -> bool {
        let RoutedQuery { key, requester, route, .. } = *routed;
        let now = requester.received;
        let Some((failure, remaining)) = self.cache.get_failure(key, now) else {
            return false;
        };
        count_hit(&route.block, failure);
        requester.respond(failure_response(failure, remaining), QueryCounters::of(route), now, outbox);
        true
    }

    /// Responds with a stale answer, at once or when the upstreams fail, and refreshes it.
    fn hit_stale(
        &mut self,
        routed: &RoutedQuery<'_>,
        (entry, cache, stale): (Entry, &CacheOptions, ServeStale),
        outbox: &mut Outbox,
    ) {
        let RoutedQuery { key, requester, route, .. } = *routed;
        let now = requester.received;
        count_hit(&route.block, &entry);
        let is_suppressed = entry.is_refresh_suppressed(self.cache.clock().time(now));
        let may_refresh = !is_suppressed && self.cache.get_failure(key, now).is_none();
        if let (ServeStaleMode::Verify(timeout), true) =
            (stale.mode, may_refresh && requester.wants_recursion())
        {
            // With a timeout of its own, verification is left to the query already in flight.
            let is_verified = !timeout.is_zero() && self.inflight.find(&self.cache.hashed(key)).is_some();
            if !is_verified {
                let timeout = if timeout.is_zero() { CLIENT_RESPONSE_TIMER } else { timeout };
                return self.miss(routed, Some(StaleAnswer { entry, until: now + timeout }), outbox);
            }
        }
        respond_stale(&entry, &requester, (route, cache), now, outbox);
        if may_refresh {
            self.refresh(routed, outbox);
        }
    }

    /// Refreshes a cached answer without a waiter, unless a query for it is in flight in some
    /// worker. The caller has checked that no failure is cached.
    pub(crate) fn refresh(&mut self, routed: &RoutedQuery<'_>, outbox: &mut Outbox) {
        let Ok(rewritten) = self.rewrite(routed) else { return };
        if !routed.route.block.plugins.is_empty() && self.refresh_locally(routed, rewritten.as_deref()) {
            return routed.route.block.counters.prefetches.add(1);
        }
        let key = self.cache.hashed(routed.key);
        if self.inflight.find(&key).is_some() || self.cache.update_from_shared(&key) {
            return;
        }
        let mut query = UpstreamQuery::new(routed, rewritten, (key, true));
        query.flags = query.flags.with(Flags::RD);
        let Some(memory) = self.reserve_refresh(&query) else { return };
        // A rejected refresh is tried again on the next hit.
        let new = NewQuery { query, waiter: None, stale_answer: None, memory };
        if self.start(routed, new, outbox).is_ok_and(|is_owner| is_owner) {
            routed.route.block.counters.prefetches.add(1);
        }
    }

    /// Memory for a query without a client; `None`, and counted, when as many are in flight as may
    /// be.
    pub(crate) fn reserve_refresh(&self, query: &UpstreamQuery) -> Option<Reservation> {
        let has_room = self.inflight.refreshes() < self.limits.refreshes;
        let memory =
            has_room.then(|| self.waiting_memory.reserve(None, InflightQuery::octets(query)).ok()).flatten();
        if memory.is_none() {
            self.counters.refreshes_full.add(1);
        }
        memory
    }
}
