//! The path of a miss, top to bottom: coalesce with the query in flight or start one, select an
//! upstream, send, take the response, write the cache, respond to every waiter.
//!
//! What happens when an attempt does not lead to a response is in `retry`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use wire::answer::ResponseTtl;
use wire::header::{Class, Flags, Rcode};
use wire::response::ResponseType;
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{AttemptFailure, Cause, Outbox};
use crate::cache::Key;
use crate::cache::stale::StaleAnswer;
use crate::cache::ttl::Cacheability;
use crate::cache::write::{CacheTarget, FailedQuery};
use crate::counters::Plugin;
use crate::effects::Effects;
use crate::inflight::completion::reject;
use crate::inflight::memory::{Full, Reservation};
use crate::inflight::query::{InflightQuery, Role};
use crate::inflight::waiters::Waiter;
use crate::request::RoutedQuery;
use crate::result::QueryResult;
use crate::timers::{AttemptId, QueryId};
use crate::upstream::attempt::{Attempt, AttemptSpec};
use crate::upstream::connection_use::ConnectionUse;
use crate::upstream::disposition::Disposition;
use crate::upstream::fallback::FallbackResponse;
use crate::upstream::query::UpstreamQuery;

/// A query to put in flight.
pub(crate) struct NewQuery {
    pub(crate) query: UpstreamQuery,
    /// None for a refresh.
    pub(crate) waiter: Option<Waiter>,
    pub(crate) stale_answer: Option<StaleAnswer>,
    pub(crate) memory: Reservation,
}

/// Why a query is not put in flight, with its stale answer.
pub(crate) type Rejected = (Cause, Option<StaleAnswer>);

impl Resolver {
    /// Adds the client to the query in flight for its question, or starts one. `stale_answer` is
    /// served if the upstreams fail or are too slow.
    pub(crate) fn miss(
        &mut self,
        routed: &RoutedQuery<'_>,
        stale_answer: Option<StaleAnswer>,
        outbox: &mut Outbox,
    ) {
        let RoutedQuery { query, requester, route } = *routed;
        let client = Some(requester.client.peer.ip());
        let memory = match self.waiting_memory.reserve(client, Waiter::octets(&requester)) {
            Ok(memory) => memory,
            Err(full) => return reject(routed, self.count_full(full), stale_answer, outbox),
        };
        let can_coalesce = query.qclass == Class::IN && requester.wants_recursion();
        let key = can_coalesce.then(|| Key::new(route.block.id, query));
        let inflight = key.as_ref().and_then(|key| self.inflight.find(key.as_bytes()));
        let waiters = inflight.and_then(|id| Some((id, self.inflight.get(id)?.waiters.len())));
        let rejected = match waiters {
            Some((_, waiters)) if waiters >= self.limits.waiters_per_query => {
                self.counters.waiters_full.add(1);
                Err((Cause::TooManyWaiters, stale_answer))
            }
            Some((id, _)) => {
                route.block.counters.coalesced.add(1);
                let waiter = Waiter::new(&requester, memory);
                self.inflight.join(id, waiter, stale_answer, &mut self.timers);
                Ok(())
            }
            None => {
                let query = UpstreamQuery::new(routed, key.map(|key| Arc::from(key.as_bytes())));
                match self.waiting_memory.reserve(client, InflightQuery::octets(&query)) {
                    Ok(query_memory) => {
                        let waiter = Some(Waiter::new(&requester, memory));
                        let new = NewQuery { query, waiter, stale_answer, memory: query_memory };
                        self.start(routed, new, outbox).map(drop)
                    }
                    Err(full) => Err((self.count_full(full), stale_answer)),
                }
            }
        };
        if let Err((cause, stale_answer)) = rejected {
            reject(routed, cause, stale_answer, outbox);
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
            return Err((cause, stale_answer));
        }
        let query = Rc::new(query);
        let Some(forward) = query.forward() else { return Err((Cause::NoForward, stale_answer)) };
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
    fn count_full(&self, full: Full) -> Cause {
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
        let Some((entry, remaining)) = self.cache.get_fresh(target.key, now) else { return false };
        let (answer, ttl) = (entry.answer.clone(), ResponseTtl::Uniform(remaining));
        let result = QueryResult::Response { answer, ttl, plugin: Plugin::Cache, replaces_stale: true };
        if let Some(inflight) = self.take_inflight(now, id, outbox) {
            self.respond_all(now, inflight, &result, outbox);
        }
        true
    }

    /// Sends the query to the next candidate, or ends it when none is left.
    pub(crate) fn send_next(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(id) else { return };
        if now >= inflight.deadline || inflight.is_paused() {
            return;
        }
        if inflight.selection.all_down && inflight.selection.is_unused() {
            inflight.query.route.block.counters.healthcheck_broken.add(1);
        }
        let is_first = inflight.selection.is_unused();
        let Some(candidate) = inflight.take() else { return self.end_if_exhausted(now, id, outbox) };
        let mut spec = AttemptSpec::new(id, &inflight.query, inflight.transport, candidate);
        if inflight.has_lost_connection {
            spec.usage = ConnectionUse::Dedicated;
        } else if inflight.role == Role::Detached {
            spec.usage = ConnectionUse::Fresh;
        }
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

    /// Takes a response that matches its attempt.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        id: AttemptId,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        self.upstreams.record_response(now, id, response.rcode);
        let Some(attempt) = self.upstreams.attempt(id) else { return };
        let disposition = Disposition::of(attempt, response, || self.has_another_upstream(attempt));
        if disposition == Disposition::RetryWithoutEdns {
            return self.retry_without_edns(now, id, outbox);
        }
        let Some(attempt) = self.take_attempt(now, id, outbox) else { return };
        if attempt.usage == ConnectionUse::Proven {
            self.abandon_siblings(now, &attempt, outbox);
        }
        let query_id = attempt.query_id;
        match (disposition, self.inflight.get_mut(query_id)) {
            (Disposition::Ignore, _) => {}
            (Disposition::Complete, Some(inflight)) if inflight.prefers_fallback(response.rcode) => {
                self.send_next(now, query_id, outbox);
            }
            (Disposition::Complete | Disposition::RetryWithoutEdns, _) => {
                self.check_outrun_upstreams(now, &attempt, outbox);
                self.complete(now, &attempt, response, outbox);
            }
            (Disposition::NextUpstream, Some(inflight)) => {
                if !inflight.prefers_fallback(response.rcode) {
                    let packet = Box::from(&*response.packet);
                    inflight.fallback_response = Some(FallbackResponse { attempt, packet });
                }
                self.send_next(now, query_id, outbox);
            }
            (Disposition::NextForward(forward), Some(_)) => {
                self.try_forward(now, query_id, forward, outbox);
            }
            // Neither relayed nor cached: no client waits, and another upstream would have been
            // tried.
            (_, None) => self.counters.late_responses.add(1),
        }
    }

    /// Writes the response of an attempt to the cache, if it is cacheable, and responds to all
    /// waiters.
    fn complete(&mut self, now: Instant, attempt: &Attempt, response: &Response<'_>, outbox: &mut Outbox) {
        let query = &attempt.query;
        let coalesced = query.key.as_ref().and_then(|key| self.inflight.find(key));
        let id = coalesced.unwrap_or(attempt.query_id);
        if id != attempt.query_id {
            self.take_inflight(now, attempt.query_id, outbox);
        }
        let cache = query.route.block.cache_for(&query.name).filter(|_| query.qclass == Class::IN);
        let cacheability = cache.map(|cache| Cacheability::of(response, &query.name, cache));
        let target = cache_target(query);
        let answer = Answer::from_response(response);
        let replaces_stale = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
            && !response.header.flags.has(Flags::TC)
            && !target.is_some_and(|target| self.cache.prefers_cached(now, target, response.response_type));
        // The cache is written before anyone gets a response: a query sent upon it, to any worker,
        // hits.
        if let Some(target) = target.filter(|_| replaces_stale) {
            let may_cache = !query.dnssec_ok || self.cache.are_rrsigs_valid(now, response);
            let cacheability = cacheability.filter(|_| may_cache);
            self.cache.cache_answer(now, target, cacheability, &answer);
        } else if let Some(target) = target.filter(|_| self.inflight.contains(id)) {
            self.cache.suppress_refresh(now, target);
            let is_servfail = response.response_type == ResponseType::ServerFailure;
            let cacheability = cacheability.filter(|_| is_servfail);
            self.cache.cache_servfail(now, target, cacheability, &answer);
        }
        let Some(inflight) = self.take_inflight(now, id, outbox) else {
            return self.counters.late_responses.add(1);
        };
        if let Some(target) = target.filter(|_| inflight.is_refresh) {
            self.cache.suppress_prefetch(now, target);
        }
        let ttl = cacheability.map_or(ResponseTtl::AsReceived, |cached| ResponseTtl::Uniform(cached.ttl));
        let plugin = if cacheability.is_some() { Plugin::Cache } else { Plugin::Forward };
        let result = QueryResult::Response { answer, ttl, plugin, replaces_stale };
        self.respond_all(now, inflight, &result, outbox);
    }

    /// Ends a query when no attempt may deliver a response any more. Late ones are awaited, but not
    /// with a fallback response in hand, nor when all upstreams are down.
    pub(crate) fn end_if_exhausted(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get(id) else { return };
        if inflight.peek().is_some() {
            return;
        }
        let await_late = !inflight.selection.all_down && inflight.fallback_response.is_none();
        let mut attempts = inflight.attempts.iter().filter_map(|&id| self.upstreams.attempt(id));
        let may_deliver = |attempt: &Attempt| !attempt.is_probe() && !attempt.is_repeated;
        if !attempts.any(|attempt| may_deliver(attempt) && (await_late || !attempt.late)) {
            self.end(now, id, outbox);
        }
    }

    /// Ends a query with its fallback response, or as failed.
    pub(crate) fn end(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(id) else { return };
        let fallback = inflight.fallback_response.take();
        if inflight.last_failure.is_none() && inflight.selection.all_down && fallback.is_none() {
            let upstream = inflight.query.upstream(0).map(|upstream| upstream.addr);
            inflight.last_failure = upstream.map(|addr| (AttemptFailure::AllDown, inflight.transport, addr));
        }
        let response =
            fallback.as_ref().map(|fallback| (&fallback.attempt, Response::parse(&fallback.packet)));
        match response {
            Some((attempt, Ok(response))) => self.complete(now, attempt, &response, outbox),
            _ => self.fail(now, id, outbox),
        }
    }

    /// Caches that a query failed (RFC 9520) and responds SERVFAIL, or the stale answer, to all
    /// waiters.
    fn fail(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.take_inflight(now, id, outbox) else { return };
        let outage = inflight.failed_in_outage(now);
        let is_outage = outage.is_some() && !inflight.has_switched_forward();
        let (failure, response) = inflight.report_failure(is_outage, outbox);
        let query = &inflight.query;
        let target = cache_target(query).filter(|_| !failure.is_local());
        if let Some(target) = target {
            self.cache.suppress_refresh(now, target);
            if inflight.is_refresh {
                self.cache.suppress_prefetch(now, target);
            }
            // Only the owner has tried the upstreams, and a reload may have replaced them.
            if inflight.role == Role::Owner && self.policy.serves(&query.route) {
                let failed = FailedQuery {
                    question: &query.question,
                    name: &query.name,
                    has_timed_out: inflight.has_timed_out,
                    outage,
                };
                self.cache.cache_failure(now, target, failed);
            }
        }
        self.respond_all(now, inflight, &QueryResult::Error { response, is_outage }, outbox);
    }

    /// Removes a query from the in-flight table, and those of its attempts that are not to deliver a
    /// response any more.
    pub(crate) fn take_inflight(
        &mut self,
        now: Instant,
        id: QueryId,
        outbox: &mut Outbox,
    ) -> Option<InflightQuery> {
        let inflight = self.inflight.remove(id, &mut self.timers)?;
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        self.upstreams.remove_ended(&inflight.attempts, &mut effects);
        Some(inflight)
    }

    /// Removes an attempt, also from its query.
    pub(crate) fn take_attempt(
        &mut self,
        now: Instant,
        id: AttemptId,
        outbox: &mut Outbox,
    ) -> Option<Attempt> {
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        let attempt = self.upstreams.remove(id, &mut effects)?;
        self.inflight.remove_attempt(attempt.query_id, id);
        Some(attempt)
    }
}

/// Checks `max_concurrent`.
fn check_forward(query: &UpstreamQuery) -> Result<(), Cause> {
    let forward = query.forward().ok_or(Cause::NoForward)?;
    if forward.is_full() {
        query.route.block.counters.max_concurrent_rejects.add(1);
        return Err(Cause::TooManyConcurrent(forward.options.max_concurrent));
    }
    Ok(())
}

/// Where the result of a query is cached, if it is.
fn cache_target(query: &UpstreamQuery) -> Option<CacheTarget<'_>> {
    let block = &query.route.block;
    Some(CacheTarget { block, options: block.cache_for(&query.name)?, key: query.key.as_ref()? })
}
