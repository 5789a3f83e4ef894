//! Outages of all upstreams without `serve_stale`: answers that expired a moment ago, and the
//! queries that show when the outage has ended.

use std::rc::Rc;
use std::time::Duration;

use wire::header::Flags;

use crate::Resolver;
use crate::action::Outbox;
use crate::cache::Entry;
use crate::cache::stale::{StaleAnswer, count_hit, respond_stale};
use crate::inflight::outage::OUTAGE_TIMER;
use crate::inflight::query::{InflightQuery, Role};
use crate::policy::{CacheOptions, Forward};
use crate::request::RoutedQuery;
use crate::upstream::query::UpstreamQuery;

/// Timeout of an outage check: others have followed, and a late response counts as well.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

impl Resolver {
    /// In an outage, responds with an answer that has expired, unless the block's own directives have
    /// one. Otherwise the query is a miss, or a hit on a cached failure; a miss has the answer in hand in
    /// case an outage begins.
    pub(crate) fn hit_expired(
        &mut self,
        routed: &RoutedQuery<'_>,
        (entry, cache): (Entry, &CacheOptions),
        outbox: &mut Outbox,
    ) {
        let RoutedQuery { query, requester, route, .. } = *routed;
        let now = requester.received;
        let rewritten = self.rewrite(routed).ok().flatten();
        let name = rewritten.as_ref().map_or(query.name.as_wire(), |rewritten| &rewritten.name);
        let forward = route.block.forward_for(name);
        if let Some(forward) = forward.and_then(|index| route.block.forwards.get(index))
            && forward.state.outage.is_ongoing()
        {
            if !route.block.plugins.is_empty() && self.answer_locally(routed, rewritten.as_deref(), outbox) {
                return route.block.counters.cache_misses.add(1);
            }
            count_hit(&route.block, &entry);
            respond_stale(&entry, &requester, (route, cache), now, outbox);
            self.check_outage(routed, forward, outbox);
        } else if !self.hit_failure(routed, outbox) {
            route.block.counters.cache_misses.add(1);
            self.miss(routed, Some(StaleAnswer { entry, until: now + OUTAGE_TIMER }), outbox);
        }
    }

    /// Starts an outage check, if one is due: a query without a waiter on a fresh connection, to
    /// each upstream in turn. Neither a cached failure nor a query in flight holds it up, and it
    /// leaves no cached failure.
    fn check_outage(&mut self, routed: &RoutedQuery<'_>, forward: &Forward, outbox: &mut Outbox) {
        let RoutedQuery { requester, route, .. } = *routed;
        let now = requester.received;
        let Some(number) = forward.state.outage.next_check_number(now) else { return };
        let Ok(rewritten) = self.rewrite(routed) else { return };
        let mut query = UpstreamQuery::new(routed, rewritten, (self.cache.hashed(routed.key), true));
        let Some(memory) = self.reserve_refresh(&query) else { return };
        query.flags = query.flags.with(Flags::RD);
        let mut selection = self.upstreams.select(forward);
        selection.rotate(number);
        let new = InflightQuery::new(Rc::new(query), forward, selection, (now + CHECK_TIMEOUT, memory));
        let check = InflightQuery { is_refresh: true, role: Role::Detached, ..new };
        let id = self.inflight.insert(check, &mut self.timers);
        route.block.counters.prefetches.add(1);
        self.send_next(now, id, outbox);
    }
}
