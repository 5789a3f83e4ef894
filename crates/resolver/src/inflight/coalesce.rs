//! Who waits with whom: clients of one worker join an in-flight query, workers follow the one that asks.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use wire::answer::ResponseTtl;
use wire::header::{Class, Flags, Rcode};

use crate::Resolver;
use crate::action::{Action, Cause, Outbox, ShareResult, Transport};
use crate::cache::lookup::respond_stale;
use crate::cache::{Freshness, Key};
use crate::counters::Plugin;
use crate::inflight::completion::report;
use crate::inflight::query::{InflightQuery, StaleAnswer, UpstreamQuery, Waiter};
use crate::inflight::result::{ErrorResponse, QueryResult, SharedResult};
use crate::request::RoutedQuery;
use crate::respond::{QueryCounters, ResponseSpec};
use crate::timers::{QueryId, Timer};

impl Resolver {
    /// Joins the in-flight query for this question, or starts one. The client is told `stale_answer` if upstreams are no help in time.
    pub(crate) fn coalesce(
        &mut self,
        routed: &RoutedQuery<'_>,
        stale_answer: Option<StaleAnswer>,
        outbox: &mut Outbox,
    ) {
        let RoutedQuery { requester, route, .. } = *routed;
        let Some(permit) = self.quotas.acquire(requester.client.peer.ip(), self.limits.queries_per_client)
        else {
            self.counters.client_quota_full.add(1);
            return refuse(routed, Cause::TooManyOfClient, stale_answer, outbox);
        };
        let key = coalescable(routed).then(|| Key::new(route.block.id, routed.query));
        let open = key.as_ref().and_then(|key| self.by_key.get(key.as_bytes()));
        let refused = match open.and_then(|open| Some((*open, self.inflight.get_mut(open)?))) {
            Some((_, inflight)) if inflight.waiters.len() >= self.limits.waiters_per_query => {
                self.counters.waiters_full.add(1);
                Err((Cause::TooManyWaiters, stale_answer))
            }
            Some((id, inflight)) => {
                route.block.counters.coalesced.add(1);
                inflight.waiters.push(Waiter::new(&requester, permit));
                if let Some(stale_answer) = stale_answer.filter(|_| inflight.stale_answer.is_none()) {
                    self.timers.schedule(stale_answer.until, Timer::ClientResponse(id));
                    inflight.stale_answer = Some(stale_answer);
                }
                Ok(())
            }
            None => {
                let query = UpstreamQuery::new(routed, key.as_ref());
                let opening = Opening { query, waiter: Some(Waiter::new(&requester, permit)), stale_answer };
                self.start(routed, opening, outbox).map(|_| ())
            }
        };
        if let Err((cause, stale_answer)) = refused {
            refuse(routed, cause, stale_answer, outbox);
        }
    }

    /// Asks without a client that waits, unless someone asks already. The caller knows of no failure that stands.
    pub(crate) fn refresh(&mut self, routed: &RoutedQuery<'_>, key: &Key, outbox: &mut Outbox) {
        if self.by_key.contains_key(key.as_bytes()) || self.cache.update_from_shared(key.as_bytes()) {
            return;
        }
        let mut query = UpstreamQuery::new(routed, Some(key));
        query.flags = query.flags.with(Flags::RD);
        let opening = Opening { query, waiter: None, stale_answer: None };
        if self.refreshes >= self.limits.refreshes {
            return self.counters.refreshes_full.add(1);
        }
        // One that there is no other room for is left to the next hit too.
        if self.start(routed, opening, outbox).is_ok_and(|is_owner| is_owner) {
            routed.route.block.counters.prefetches.add(1);
        }
    }

    /// True when this worker asks; false when another one does already.
    fn start(
        &mut self,
        routed: &RoutedQuery<'_>,
        opening: Opening,
        outbox: &mut Outbox,
    ) -> Result<bool, (Cause, Option<StaleAnswer>)> {
        let RoutedQuery { requester, route, .. } = *routed;
        let Opening { query, waiter, stale_answer } = opening;
        if let Err(cause) = self.has_room_for(&query) {
            return Err((cause, stale_answer));
        }
        let query = Rc::new(query);
        let Some(policy) = query.forward() else { return Err((Cause::NoForward, stale_answer)) };
        let deadline = requester.received + self.limits.query_deadline;
        let claims = |key| self.shared_inflight.claim(key, self.worker, requester.received, deadline);
        let is_owner = query.key.as_ref().is_none_or(claims);
        if !is_owner && waiter.is_none() {
            return Ok(false);
        }
        let id = QueryId(self.next_number());
        if let Some(key) = &query.key {
            self.by_key.insert(Arc::clone(key), id);
        }
        if let Some(stale_answer) = &stale_answer {
            self.timers.schedule(stale_answer.until, Timer::ClientResponse(id));
        }
        self.refreshes += usize::from(waiter.is_none());
        let inflight = InflightQuery {
            is_refresh: waiter.is_none(),
            waiters: waiter.into_iter().collect(),
            stale_answer,
            is_owner,
            ..InflightQuery::new(Rc::clone(&query), policy, deadline, &mut self.random)
        };
        self.timers.schedule(deadline, Timer::Query(id));
        self.inflight.insert(id, inflight);
        if !is_owner {
            route.block.counters.coalesced.add(1);
            return Ok(false);
        }
        policy.state.inflight_queries.fetch_add(1, Relaxed);
        if !self.cached_meanwhile(routed, id, outbox) {
            self.send_next(requester.received, id, outbox);
        }
        Ok(true)
    }

    fn has_room_for(&self, query: &UpstreamQuery) -> Result<(), Cause> {
        let policy = query.forward().ok_or(Cause::NoForward)?;
        if self.inflight.len() >= self.limits.inflight_queries {
            self.counters.inflight_full.add(1);
            return Err(Cause::TooManyInFlight);
        }
        if policy.is_full() {
            query.route.block.counters.max_concurrent_rejects.add(1);
            return Err(Cause::TooManyConcurrent(policy.options.max_concurrent));
        }
        Ok(())
    }

    /// Another worker may have kept the answer and released the question between our look into the cache and our
    /// claim.
    fn cached_meanwhile(&mut self, routed: &RoutedQuery<'_>, id: QueryId, outbox: &mut Outbox) -> bool {
        if routed.route.block.cache_for(routed.query.name.as_wire()).is_none() {
            return false;
        }
        let now = routed.requester.received;
        let Some(inflight) = self.inflight.get(&id).filter(|inflight| !inflight.waiters.is_empty()) else {
            return false;
        };
        let key = inflight.query.key.clone();
        let found = key.and_then(|key| match self.cache.get(&key, now, Duration::ZERO)? {
            (entry, Freshness::Fresh(remaining)) => {
                let (answer, ttl) = (entry.answer.clone(), ResponseTtl::Uniform(remaining));
                Some(SharedResult(QueryResult::Response {
                    answer,
                    ttl,
                    plugin: Plugin::Cache,
                    replaces_stale: true,
                }))
            }
            (_, Freshness::Stale) => None,
        });
        let Some(result) = found else { return false };
        if let Some(inflight) = self.take_inflight(id, outbox) {
            self.respond_all(now, &inflight, &result, outbox);
        }
        true
    }

    /// Another worker's question has ended, and ours with it.
    pub(crate) fn coalesced_result(
        &mut self,
        now: Instant,
        key: &[u8],
        result: &SharedResult,
        outbox: &mut Outbox,
    ) {
        let Some(&id) = self.by_key.get(key) else { return };
        if self.inflight.get(&id).is_some_and(|inflight| inflight.is_owner) {
            return;
        }
        if let Some(inflight) = self.take_inflight(id, outbox) {
            self.respond_all(now, &inflight, result, outbox);
        }
    }

    /// Tells everyone who waits for `inflight`, here and in other workers, how it ended.
    pub(crate) fn respond_all(
        &self,
        now: Instant,
        inflight: &InflightQuery,
        result: &SharedResult,
        outbox: &mut Outbox,
    ) {
        if result.0.replaces_stale() || !respond_stale_all(now, inflight, outbox) {
            let counters = QueryCounters::of(&inflight.query.route);
            for requester in inflight.waiters.iter().map(Waiter::requester) {
                match &result.0 {
                    QueryResult::Error(error) => requester.respond_error(*error, counters, now, outbox),
                    QueryResult::Response { answer, ttl, plugin, .. } => {
                        let (ttl, plugin) = (*ttl, *plugin);
                        let spec = ResponseSpec { answer, ttl, plugin, error: None, authoritative: false };
                        requester.respond(spec, counters, now, outbox);
                    }
                }
            }
        }
        let Some(key) = &inflight.query.key else { return };
        for &to in &inflight.subscribers {
            let notice = ShareResult { to, key: Arc::clone(key), result: result.clone() };
            outbox.actions.push(Action::ShareResult(notice));
        }
    }

    /// Clients have waited long enough: they are told what is stale, and the question goes on without them.
    pub(crate) fn client_response_due(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(&id) else { return };
        respond_stale_all(now, inflight, outbox);
        inflight.waiters.clear();
        inflight.stale_answer = None;
    }

    /// Takes the in-flight query out of all tables. Its attempts over UDP end with it, so that no source port stays
    /// open for guesses; those on streams may still bring an answer for the cache.
    pub(crate) fn take_inflight(&mut self, id: QueryId, outbox: &mut Outbox) -> Option<InflightQuery> {
        let mut inflight = self.inflight.remove(&id)?;
        self.timers.cancel(inflight.timer, Timer::Query(id));
        self.refreshes -= usize::from(inflight.is_refresh);
        if let Some(stale_answer) = &inflight.stale_answer {
            self.timers.cancel(stale_answer.until, Timer::ClientResponse(id));
        }
        if let Some(key) = &inflight.query.key {
            self.by_key.remove(key);
            if inflight.is_owner {
                inflight.subscribers = self.shared_inflight.release(key, self.worker);
            }
        }
        if let Some(forward) = inflight.query.forward().filter(|_| inflight.is_owner) {
            forward.state.inflight_queries.fetch_sub(1, Relaxed);
        }
        for &attempt in &inflight.attempts {
            if self.attempts.get(&attempt).is_some_and(|attempt| attempt.transport == Transport::Udp) {
                self.drop_attempt(attempt);
                outbox.actions.push(Action::CancelAttempt(attempt));
            }
        }
        Some(inflight)
    }
}

/// What an in-flight query begins with.
struct Opening {
    query: UpstreamQuery,
    /// Nobody waits for a refresh.
    waiter: Option<Waiter>,
    stale_answer: Option<StaleAnswer>,
}

/// Tells those who wait what is stale; false when there is nothing of the kind.
fn respond_stale_all(now: Instant, inflight: &InflightQuery, outbox: &mut Outbox) -> bool {
    let route = &inflight.query.route;
    let Some(stale_answer) = &inflight.stale_answer else { return false };
    let Some((cache, stale)) = route.block.stale_for(&inflight.query.name) else { return false };
    for requester in inflight.waiters.iter().map(Waiter::requester) {
        respond_stale(&stale_answer.entry, &requester, (route, cache, stale), now, outbox);
    }
    true
}

/// Refuses a query that no upstream is asked for, or tells it what is stale.
fn refuse(routed: &RoutedQuery<'_>, cause: Cause, stale_answer: Option<StaleAnswer>, outbox: &mut Outbox) {
    let RoutedQuery { query, requester, route } = routed;
    let stale = route.block.stale_for(query.name.as_wire());
    if let Some((stale_answer, (cache, stale))) = stale_answer.zip(stale) {
        return respond_stale(
            &stale_answer.entry,
            requester,
            (route, cache, stale),
            requester.received,
            outbox,
        );
    }
    let rcode = match cause {
        Cause::TooManyConcurrent(_) => Rcode::REFUSED,
        _ => Rcode::SERVFAIL,
    };
    report(route, (rcode, query.qtype, query.name.as_wire()), cause, outbox);
    requester.respond_error(ErrorResponse::new(rcode), QueryCounters::of(route), requester.received, outbox);
}

fn coalescable(routed: &RoutedQuery<'_>) -> bool {
    routed.query.qclass == Class::IN && routed.requester.wants_recursion()
}
