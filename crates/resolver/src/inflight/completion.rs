//! How a question ends, and what those who wait are told.

use std::time::Instant;

use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::response::ResponseType;
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{Action, AttemptFailure, Cause, Outbox, QueryError};
use crate::cache::ttl::Cacheability;
use crate::counters::Plugin;
use crate::inflight::query::Attempt;
use crate::inflight::result::{ErrorResponse, QueryResult, SharedResult};
use crate::policy::Route;
use crate::timers::QueryId;

impl Resolver {
    /// Keeps the answer that an attempt has brought, if it may be kept, and tells everyone who waits for it.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        attempt: &Attempt,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        let query = &attempt.query;
        let joined = query.key.as_ref().and_then(|key| self.by_key.get(key).copied());
        let inflight = joined.unwrap_or(attempt.inflight);
        let cache = query.route.block.cache_for(&query.name).filter(|_| query.qclass == Class::IN);
        let cacheability = cache.map(|cache| Cacheability::of(response, &query.name, cache));
        let ttl = cacheability
            .map_or(ResponseTtl::AsReceived, |cacheability| ResponseTtl::Uniform(cacheability.ttl));
        let plugin = if cacheability.is_some() { Plugin::Cache } else { Plugin::Forward };
        let answer = Answer::from_response(response);
        let says_something = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        let replaces_stale = says_something
            && !response.header.flags.has(Flags::TC)
            && !self.is_outdone(now, query, response.response_type);
        // Kept before anyone is told: who asks again at once, in any worker, finds it.
        if replaces_stale {
            let cacheability = cacheability.filter(|_| self.signatures_hold(now, query, response));
            self.cache_answer(now, query, cacheability, &answer);
        } else if self.inflight.contains_key(&inflight) {
            self.suppress_refresh(now, query);
            let cacheability = cacheability.filter(|_| response.response_type == ResponseType::ServerFailure);
            self.cache_servfail(now, query, cacheability, &answer);
        }
        match self.take_inflight(inflight, outbox) {
            Some(inflight) => {
                let result = SharedResult(QueryResult::Response { answer, ttl, plugin, replaces_stale });
                self.respond_all(now, &inflight, &result, outbox);
            }
            None => self.counters.late_responses.add(1),
        }
    }

    /// Tells everyone who waits that there is no answer.
    pub(crate) fn fail(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.take_inflight(id, outbox) else { return };
        let query = &inflight.query;
        let nothing_came = || Some((AttemptFailure::TimedOut, inflight.transport, query.upstream(0)?.addr));
        let trouble = inflight.trouble.or_else(nothing_came);
        let failure = trouble.map_or(AttemptFailure::TimedOut, |(failure, ..)| failure);
        if !inflight.waiters.is_empty() && inflight.stale_answer.is_none() {
            let cause = trouble.map_or(Cause::NoForward, |(failure, transport, upstream)| {
                Cause::Upstream(failure, transport, upstream)
            });
            report(&query.route, (Rcode::SERVFAIL, query.qtype, &query.name), cause, outbox);
        }
        let error = if inflight.only_silence && failure.nothing_received() {
            ExtendedError::NO_REACHABLE_AUTHORITY
        } else {
            ExtendedError::NETWORK_ERROR
        };
        if failure != AttemptFailure::Local {
            self.suppress_refresh(now, query);
            self.cache_failure(now, &inflight);
        }
        let error = ErrorResponse { rcode: Rcode::SERVFAIL, error: Some(error) };
        self.respond_all(now, &inflight, &SharedResult(QueryResult::Error(error)), outbox);
    }
}

/// Records why a query ended without an answer.
pub(crate) fn report(route: &Route, query: (Rcode, RecordType, &[u8]), cause: Cause, outbox: &mut Outbox) {
    let (rcode, qtype, name) = query;
    let start = outbox.bytes.len();
    outbox.bytes.extend_from_slice(name);
    if let Some(name) = outbox.since(start) {
        outbox.actions.push(Action::ReportError(QueryError { route: route.id, rcode, qtype, name, cause }));
    }
}
