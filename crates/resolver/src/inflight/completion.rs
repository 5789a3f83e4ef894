//! How a question ends, and what those who wait are told.

use std::time::Instant;

use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::response::ResponseType;
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{Action, AttemptFailure, Cause, Outbox, QueryError};
use crate::cache::ttl::Life;
use crate::counters::Plugin;
use crate::inflight::query::{Attempt, FlightId};
use crate::inflight::shared::{QueryResult, SharedResult};
use crate::policy::Route;
use crate::respond::Refusal;

impl Resolver {
    /// Keeps the answer that an attempt has brought, if it may be kept, and tells everyone who waits for it.
    pub(crate) fn conclude(
        &mut self,
        now: Instant,
        attempt: &Attempt,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        let inquiry = &attempt.inquiry;
        let joined = inquiry.key.as_ref().and_then(|key| self.joinable.get(key).copied());
        let flight = joined.unwrap_or(attempt.flight);
        let cache = inquiry.route.block.cache_for(&inquiry.name).filter(|_| inquiry.qclass == Class::IN);
        let life = cache.map(|cache| Life::of(response, &inquiry.name, cache));
        let ttl = life.map_or(ResponseTtl::AsReceived, |life| ResponseTtl::Uniform(life.ttl));
        let plugin = if life.is_some() { Plugin::Cache } else { Plugin::Forward };
        let answer = Answer::from_response(response);
        let says_something = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        let helps = says_something
            && !response.header.flags.has(Flags::TC)
            && !self.is_outdone(now, inquiry, response.response_type);
        // Kept before anyone is told: who asks again at once, in any worker, finds it.
        if helps {
            let life = life.filter(|_| self.signatures_hold(now, inquiry, response));
            self.keep_answer(now, inquiry, life, &answer);
        } else if self.flights.contains_key(&flight) {
            self.keep_quiet(now, inquiry);
            let life = life.filter(|_| response.response_type == ResponseType::ServerFailure);
            self.keep_failure(now, inquiry, life, &answer);
        }
        match self.end_flight(flight, outbox) {
            Some(flight) => {
                let result = SharedResult(QueryResult::Answered { answer, ttl, plugin, helps });
                self.tell_all(now, &flight, &result, outbox);
            }
            None => self.counters.late_responses.add(1),
        }
    }

    /// Tells everyone who waits that there is no answer.
    pub(crate) fn give_up(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.end_flight(id, outbox) else { return };
        let inquiry = &flight.inquiry;
        let nothing_came = || Some((AttemptFailure::TimedOut, flight.transport, inquiry.upstream(0)?.addr));
        let trouble = flight.trouble.or_else(nothing_came);
        let failure = trouble.map_or(AttemptFailure::TimedOut, |(failure, ..)| failure);
        if !flight.waiters.is_empty() && flight.fallback.is_none() {
            let cause = trouble.map_or(Cause::NoForward, |(failure, transport, upstream)| {
                Cause::Upstream(failure, transport, upstream)
            });
            report(&inquiry.route, (Rcode::SERVFAIL, inquiry.qtype, &inquiry.name), cause, outbox);
        }
        let error = if flight.only_silence && failure.is_silence() {
            ExtendedError::NO_REACHABLE_AUTHORITY
        } else {
            ExtendedError::NETWORK_ERROR
        };
        if failure != AttemptFailure::Local {
            self.keep_quiet(now, inquiry);
            self.keep_unheard(now, &flight);
        }
        let refusal = Refusal { rcode: Rcode::SERVFAIL, error: Some(error) };
        self.tell_all(now, &flight, &SharedResult(QueryResult::Failed(refusal)), outbox);
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
