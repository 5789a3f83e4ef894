//! The path of a miss, top to bottom: coalesce with the query in flight or start one, select an
//! upstream, send.
//!
//! The response, the cache write and the waiters are in `outcome`; what happens when an attempt does
//! not lead to a response is in `retry`.

use std::rc::Rc;
use std::time::Instant;

use wire::answer::ResponseTtl;
use wire::header::Class;

use crate::Resolver;
use crate::action::{AttemptFailure, Cause, Outbox};
use crate::cache::stale::StaleAnswer;
use crate::counters::Plugin;
use crate::effects::Effects;
use crate::inflight::completion::{Rejected, reject};
use crate::inflight::memory::{Full, Reservation};
use crate::inflight::query::{InflightQuery, Role};
use crate::inflight::waiters::Waiter;
use crate::outcome::cache_target;
use crate::policy::rewrite::Rewritten;
use crate::request::RoutedQuery;
use crate::result::{QueryResult, SharedAnswer};
use crate::timers::QueryId;
use crate::upstream::attempt::AttemptSpec;
use crate::upstream::connection_use::ConnectionUse;
use crate::upstream::query::UpstreamQuery;

/// A query to put in flight.
pub(crate) struct NewQuery {
    pub(crate) query: UpstreamQuery,
    /// None for a refresh.
    pub(crate) waiter: Option<Waiter>,
    pub(crate) stale_answer: Option<StaleAnswer>,
    pub(crate) memory: Reservation,
}

impl Resolver {
    /// Answers from an NXDOMAIN cut or the block's own directives, adds the client to the query in flight
    /// for its question, or starts one. `stale_answer` is served if the upstreams fail or are too slow.
    pub(crate) fn miss(
        &mut self,
        routed: &RoutedQuery<'_>,
        stale_answer: Option<StaleAnswer>,
        outbox: &mut Outbox,
    ) {
        let RoutedQuery { query, route, .. } = *routed;
        if stale_answer.is_none() {
            if self.respond_from_cut(routed, outbox) {
                return;
            }
            if query.qclass == Class::IN && route.block.cache_for(query.name.as_wire()).is_some() {
                route.block.counters.cache_misses.add(1);
            }
        }
        let rewritten = match self.rewrite(routed) {
            Ok(rewritten) => rewritten,
            Err(cause) => {
                return reject(routed, Rejected { cause, stale_answer, rewritten: None }, outbox);
            }
        };
        if !route.block.plugins.is_empty() && self.answer_locally(routed, rewritten.as_deref(), outbox) {
            return;
        }
        if let Err(rejected) = self.coalesce_or_start(routed, stale_answer, rewritten, outbox) {
            reject(routed, rejected, outbox);
        }
    }

    /// Has the client wait for the response to a query in flight with the same question, or to a new one.
    fn coalesce_or_start(
        &mut self,
        routed: &RoutedQuery<'_>,
        stale_answer: Option<StaleAnswer>,
        rewritten: Option<Box<Rewritten>>,
        outbox: &mut Outbox,
    ) -> Result<(), Rejected> {
        let RoutedQuery { query, requester, route, .. } = *routed;
        let client = Some(requester.client.peer.ip());
        let memory = match self.waiting_memory.reserve(client, Waiter::octets(&requester)) {
            Ok(memory) => memory,
            Err(full) => return Err(Rejected { cause: self.count_full(full), stale_answer, rewritten }),
        };
        let can_coalesce = query.qclass == Class::IN && requester.wants_recursion();
        let key = self.cache.hashed(routed.key);
        let inflight = can_coalesce.then(|| self.inflight.find(&key)).flatten();
        let waiters = inflight.and_then(|id| Some((id, self.inflight.get(id)?.waiters.len())));
        match waiters {
            Some((_, waiters)) if waiters >= self.limits.waiters_per_query => {
                self.counters.waiters_full.add(1);
                Err(Rejected { cause: Cause::TooManyWaiters, stale_answer, rewritten })
            }
            Some((id, _)) => {
                route.block.counters.coalesced.add(1);
                let waiter = Waiter::new(&requester, memory);
                self.inflight.join(id, waiter, stale_answer, &mut self.timers);
                Ok(())
            }
            None => {
                let query = UpstreamQuery::new(routed, rewritten, (key, can_coalesce));
                match self.waiting_memory.reserve(client, InflightQuery::octets(&query)) {
                    Ok(query_memory) => {
                        let waiter = Some(Waiter::new(&requester, memory));
                        let new = NewQuery { query, waiter, stale_answer, memory: query_memory };
                        self.start(routed, new, outbox).map(drop)
                    }
                    Err(full) => {
                        let (cause, rewritten) = (self.count_full(full), query.rewritten);
                        Err(Rejected { cause, stale_answer, rewritten })
                    }
                }
            }
        }
    }

    /// Puts a query in flight. True when this worker sends it, false when another worker does
    /// already.
    pub(crate) fn start(
        &mut self,
        routed: &RoutedQuery<'_>,
        new: NewQuery,
        outbox: &mut Outbox,
    ) -> Result<bool, Rejected> {
        let NewQuery { query, waiter, stale_answer, memory } = new;
        if let Err(cause) = check_forward(&query) {
            return Err(Rejected { cause, stale_answer, rewritten: query.rewritten });
        }
        let query = Rc::new(query);
        let Some(forward) = query.forward() else { return Ok(false) };
        let now = routed.requester.received;
        let deadline = now + self.limits.query_deadline;
        let is_owner = self.inflight.become_owner(&query, now, deadline);
        let role = if is_owner { Role::Owner } else { Role::Subscriber };
        let is_refresh = waiter.is_none();
        if !is_owner && is_refresh {
            return Ok(false);
        }
        let selection = self.upstreams.select(forward);
        let inflight = InflightQuery {
            is_refresh,
            waiters: waiter.into_iter().collect(),
            stale_answer,
            role,
            ..InflightQuery::new(Rc::clone(&query), forward, selection, (deadline, memory))
        };
        let id = self.inflight.insert(inflight, &mut self.timers);
        if !is_owner {
            routed.route.block.counters.coalesced.add(1);
            return Ok(false);
        }
        if is_refresh || !self.complete_from_cache(now, id, outbox) {
            self.send_next(now, id, outbox);
        }
        Ok(true)
    }

    /// Counts a client's query for which there is no memory.
    pub(crate) fn count_full(&self, full: Full) -> Cause {
        match full {
            Full::Process => {
                self.counters.inflight_full.add(1);
                Cause::TooManyInFlight
            }
            Full::Client => {
                self.counters.client_quota_full.add(1);
                Cause::TooManyPerClient
            }
        }
    }

    /// Completes a query that another worker has answered and released between the cache lookup and
    /// [`crate::inflight::Inflight::become_owner`]; false when the cache has no answer.
    fn complete_from_cache(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) -> bool {
        let Some(inflight) = self.inflight.get(id) else { return false };
        let Some(target) = cache_target(&inflight.query) else { return false };
        let Some((entry, remaining)) = self.cache.get_fresh(&target.key, now) else { return false };
        let (answer, ttl) = (SharedAnswer::Cached(entry.clone()), ResponseTtl::Uniform(remaining));
        let result = QueryResult::Response { answer, ttl, plugin: Plugin::Cache, replaces_stale: true };
        if let Some(inflight) = self.take_inflight(now, id, outbox) {
            self.respond_all(now, inflight, &result, outbox);
        }
        true
    }

    /// Sends the query to the next candidate, or ends it when none is left.
    pub(crate) fn send_next(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(id) else { return };
        if now >= inflight.deadline || inflight.is_paused() || inflight.lookup.is_some() {
            return;
        }
        if inflight.selection.all_down && inflight.selection.is_unused() {
            inflight.query.route.block.counters.healthcheck_broken.add(1);
        }
        let is_first = inflight.selection.is_unused();
        let Some(candidate) = inflight.take() else { return self.end_if_exhausted(now, id, outbox) };
        let mut spec = AttemptSpec::new(id, &inflight.query, inflight.transport, candidate);
        if inflight.role == Role::Detached {
            spec.usage = ConnectionUse::Fresh;
        }
        spec.usage = inflight.losses.connection_use(spec.usage);
        self.send(now, spec, outbox);
        if is_first {
            self.probe(now, id, outbox);
        }
    }

    /// Sends an attempt of a query that is still in flight.
    pub(crate) fn send(&mut self, now: Instant, mut spec: AttemptSpec, outbox: &mut Outbox) {
        let id = spec.query_id;
        let Some(inflight) = self.inflight.get_mut(id).filter(|inflight| now < inflight.deadline) else {
            return;
        };
        let Some(upstream) = spec.query.upstream(spec.upstream) else { return };
        let next = inflight.hedge_candidate(spec.is_hedge);
        spec.has_alternative = next.is_some_and(|candidate| candidate.upstream != spec.upstream);
        spec.has_client = !inflight.waiters.is_empty();
        if spec.probe.is_none() {
            inflight.upstream = Some(upstream.id);
        }
        let is_optional = spec.usage == ConnectionUse::Unoccupied;
        let not_sent = Some((AttemptFailure::Local, spec.transport_to(upstream), upstream.addr));
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        match self.upstreams.send(spec, inflight.deadline, &mut effects) {
            Some(attempt) => inflight.attempts.push(attempt),
            None if is_optional => {}
            None => {
                inflight.last_failure = not_sent;
                // The response to another attempt may still arrive.
                if inflight.attempts.is_empty() {
                    self.end(now, id, outbox);
                }
            }
        }
    }
}

/// Checks that a `forward` covers the name, and its `max_concurrent`.
fn check_forward(query: &UpstreamQuery) -> Result<(), Cause> {
    let last = query.route.block.last_directive.unwrap_or_default();
    let forward = query.forward().ok_or(Cause::NoNextDirective(last))?;
    if forward.is_full() {
        query.route.block.counters.max_concurrent_rejects.add(1);
        return Err(Cause::TooManyConcurrent(forward.options.max_concurrent));
    }
    Ok(())
}
