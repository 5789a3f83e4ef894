//! Outcome of a query in flight: its response is written to the cache and sent to every waiter, or it
//! ends with a fallback response or as failed.

use std::time::Instant;

use wire::answer::ResponseTtl;
use wire::header::{Class, Flags, Rcode};
use wire::response::ResponseType;
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{AttemptFailure, Outbox};
use crate::cache::ttl::Cacheability;
use crate::cache::write::{CacheTarget, FailedQuery};
use crate::counters::Plugin;
use crate::effects::Effects;
use crate::inflight::query::{InflightQuery, Role};
use crate::result::{QueryResult, SharedAnswer};
use crate::timers::{AttemptId, QueryId};
use crate::transport::Transport;
use crate::upstream::attempt::Attempt;
use crate::upstream::connection_use::ConnectionUse;
use crate::upstream::disposition::Disposition;
use crate::upstream::fallback::FallbackResponse;
use crate::upstream::query::UpstreamQuery;

impl Resolver {
    /// A message with the ID of an attempt.
    pub(crate) fn respond_attempt(
        &mut self,
        now: Instant,
        id: AttemptId,
        packet: &[u8],
        outbox: &mut Outbox,
    ) {
        let Some(attempt) = self.upstreams.attempts.get(id) else { return };
        let over_udp = attempt.transport == Transport::Udp;
        let response = Response::parse(packet).ok();
        let matching = response.filter(|response| response.matches_question(attempt.query.sent_question()));
        let Some(response) = matching else { return self.mismatch(now, id, packet, outbox) };
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        if response.has_trailing_octets && !over_udp {
            self.upstreams.out_of_step(id, &mut effects);
        }
        self.upstreams.responded(id, &mut effects);
        if over_udp && response.header.flags.has(Flags::TC) {
            self.upstreams.record_truncated(now, id);
            return self.retry_truncated(now, id, &response, outbox);
        }
        self.accept(now, id, &response, outbox);
    }

    /// Takes a response that matches its attempt.
    fn accept(&mut self, now: Instant, id: AttemptId, response: &Response<'_>, outbox: &mut Outbox) {
        self.upstreams.record_response(now, id, response.rcode);
        let Some(attempt) = self.upstreams.attempts.get(id) else { return };
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
                self.complete(now, attempt, response, outbox);
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

    /// Completes a query with the response of an attempt, or has another CNAME target looked up
    /// before.
    fn complete(&mut self, now: Instant, attempt: Attempt, response: &Response<'_>, outbox: &mut Outbox) {
        let id = self.completed_by(now, &attempt, outbox);
        let changes_response = attempt.query.rewritten.is_some();
        let mut attempt = Some(attempt);
        if changes_response && self.look_up_target(now, id, (&mut attempt, response), outbox) {
            return;
        }
        let Some(attempt) = attempt else { return };
        let changed = attempt.query.client_response(response);
        self.finish(now, (id, &attempt), changed.as_ref().unwrap_or(response), outbox);
    }

    /// The query that a response of an attempt completes: the one in flight for its question, or its
    /// own, which ends if that is another one.
    fn completed_by(&mut self, now: Instant, attempt: &Attempt, outbox: &mut Outbox) -> QueryId {
        let coalesced = attempt.query.shared_key().and_then(|key| self.inflight.find(&key.hashed()));
        let id = coalesced.unwrap_or(attempt.query_id);
        if id != attempt.query_id {
            self.take_inflight(now, attempt.query_id, outbox);
        }
        id
    }

    /// Writes the response of an attempt to the cache, if it is cacheable, and sends it to all waiters
    /// of its query.
    pub(crate) fn finish(
        &mut self,
        now: Instant,
        (id, attempt): (QueryId, &Attempt),
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        let query = &attempt.query;
        let cache = query.route.block.cache_for(query.name()).filter(|_| query.qclass == Class::IN);
        let cacheability = cache.map(|cache| Cacheability::of(response, query.name(), cache));
        let target = cache_target(query);
        let answer = Answer::from_response(response);
        let mut cached = None;
        let replaces_stale = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
            && !response.header.flags.has(Flags::TC)
            && !target.is_some_and(|target| self.cache.prefers_cached(now, target, response.response_type));
        // The cache is written before anyone gets a response: a query sent upon it, to any worker,
        // hits.
        if let Some(target) = target.filter(|_| replaces_stale) {
            let may_cache = !query.dnssec_ok || self.cache.are_rrsigs_valid(now, response);
            let cacheability = cacheability.filter(|_| may_cache);
            cached = self.cache.cache_answer(now, target, cacheability, answer.borrowed());
        } else if let Some(target) = target.filter(|_| self.inflight.contains(id)) {
            self.cache.suppress_refresh(now, target);
            let is_servfail = response.response_type == ResponseType::ServerFailure;
            let cacheability = cacheability.filter(|_| is_servfail);
            cached = self.cache.cache_servfail(now, target, cacheability, answer.borrowed());
        }
        self.learn_cut(now, query, response, outbox);
        let Some(mut inflight) = self.take_inflight(now, id, outbox) else {
            return self.counters.late_responses.add(1);
        };
        inflight.upstream = query.upstream(attempt.upstream).map(|upstream| upstream.id);
        if let Some(target) = target.filter(|_| inflight.is_refresh) {
            self.cache.suppress_prefetch(now, target);
        }
        let ttl = cacheability.map_or(ResponseTtl::AsReceived, |cached| ResponseTtl::Uniform(cached.ttl));
        let block = &query.route.block;
        let without_cache = || block.writer(query.rewritten.as_deref(), Plugin::Forward);
        let plugin = cacheability.map_or_else(without_cache, |_| Plugin::Cache);
        let answer = cached.map_or_else(|| SharedAnswer::Relayed(answer.into()), SharedAnswer::Cached);
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
        let mut attempts = inflight.attempts.iter().filter_map(|&id| self.upstreams.attempts.get(id));
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
            Some((attempt, Ok(response))) => {
                let completed = self.completed_by(now, attempt, outbox);
                let changed = attempt.query.client_response(&response);
                let response = changed.as_ref().unwrap_or(&response);
                self.finish(now, (completed, attempt), response, outbox);
            }
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
        let response = query.client_error(response);
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
                    name: query.name(),
                    rcode: response.rcode,
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

/// Where the result of a query is cached, if it is.
pub(crate) fn cache_target(query: &UpstreamQuery) -> Option<CacheTarget<'_>> {
    let block = &query.route.block;
    Some(CacheTarget { block, options: block.cache_for(query.name())?, key: query.shared_key()?.hashed() })
}
