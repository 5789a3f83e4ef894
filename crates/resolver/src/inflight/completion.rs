//! Completion of an in-flight query: responses to its waiters, the result for other workers, and
//! error reports.

use std::borrow::Cow;
use std::rc::Rc;

use wire::edns::ExtendedError;
use wire::header::{Rcode, RecordType};

use super::completed::{Completed, CompletedQuery, Outcome};
use super::query::InflightQuery;
use crate::action::{Action, AttemptFailure, Cause, Outbox, QueryError, ShareResult};
use crate::cache::stale::{StaleAnswer, respond_stale};
use crate::effects::Effects;
use crate::policy::Route;
use crate::policy::rewrite::Rewritten;
use crate::request::RoutedQuery;
use crate::respond::QueryCounters;
use crate::result::{ErrorResponse, QueryResult, SharedResult};
use crate::upstream::query::UpstreamQuery;

impl InflightQuery {
    /// Responds to all waiters, with the stale answer if the result does not replace it, and shares
    /// the result with the subscribed workers.
    pub(super) fn respond_all(
        &mut self,
        result: &QueryResult,
        completed: &mut Completed,
        effects: &mut Effects<'_>,
    ) {
        if !self.is_stale_preferred(result) || !self.respond_all_stale(completed, effects) {
            self.respond_waiters(Outcome::Result(Cow::Borrowed(result)), completed, effects);
        }
        let subscribers = std::mem::take(&mut self.subscribers);
        let Some(key) = self.query.shared_key() else { return };
        for to in subscribers {
            let result = SharedResult { result: result.clone(), upstream: self.upstream };
            let notice = ShareResult { to, key: key.clone(), result };
            effects.outbox.actions.push(Action::ShareResult(notice));
        }
    }

    /// Responds to all waiters with the stale answer; false when there is none.
    pub(super) fn respond_all_stale(&mut self, completed: &mut Completed, effects: &mut Effects<'_>) -> bool {
        let has_cache = self.query.route.block.cache_for(self.query.name()).is_some();
        let Some(stale_answer) = self.stale_answer.take().filter(|_| has_cache) else { return false };
        self.respond_waiters(Outcome::Stale(stale_answer.entry), completed, effects);
        true
    }

    fn respond_waiters(
        &mut self,
        outcome: Outcome<'_>,
        completed: &mut Completed,
        effects: &mut Effects<'_>,
    ) {
        let waiters = std::mem::take(&mut self.waiters);
        let upstream = self.upstream.and_then(|id| self.query.route.block.upstream_addr(id));
        let completed_query = CompletedQuery::new((Rc::clone(&self.query), upstream), outcome, waiters);
        if !completed.respond(completed_query, effects) {
            let UpstreamQuery { route, qtype, .. } = &*self.query;
            let question = (*qtype, self.query.name());
            report_error(route, Rcode::SERVFAIL, question, Cause::TooManyInFlight, effects.outbox);
        }
    }

    /// True when a stale answer is served instead of this result: in an outage, and under
    /// `serve_stale` instead of failures of any kind.
    fn is_stale_preferred(&self, result: &QueryResult) -> bool {
        match result {
            QueryResult::Error { is_outage: true, .. } => true,
            QueryResult::Response { replaces_stale: true, .. } => false,
            _ => self.serves_stale(),
        }
    }

    /// Reports that the query failed, if a waiter gets an error response, and returns that response
    /// with the failure.
    pub(crate) fn report_failure(
        &self,
        is_outage: bool,
        outbox: &mut Outbox,
    ) -> (AttemptFailure, ErrorResponse) {
        let query = &self.query;
        let no_attempt_ended = || Some((AttemptFailure::TimedOut, self.transport, query.upstream(0)?.addr));
        let last_failure = self.last_failure.or_else(no_attempt_ended);
        let failure = last_failure.map_or(AttemptFailure::TimedOut, |(failure, ..)| failure);
        let is_stale_served = self.stale_answer.is_some() && (is_outage || self.serves_stale());
        if !self.waiters.is_empty() && !is_stale_served {
            let no_forward = || Cause::NoNextDirective(query.route.block.last_directive.unwrap_or_default());
            let cause = last_failure.map_or_else(no_forward, |(failure, transport, upstream)| {
                Cause::Upstream(failure, transport, upstream)
            });
            let question = (query.qtype, query.name());
            report_error(&query.route, Rcode::SERVFAIL, question, cause, outbox);
        }
        let error = if self.nothing_received && failure.nothing_received() {
            ExtendedError::NO_REACHABLE_AUTHORITY
        } else {
            ExtendedError::NETWORK_ERROR
        };
        (failure, ErrorResponse::new(Rcode::SERVFAIL).with_error(error))
    }
}

/// A query that is not sent upstream.
pub(crate) struct Rejected {
    pub(crate) cause: Cause,
    pub(crate) stale_answer: Option<StaleAnswer>,
    /// What `rewrite` has made of it.
    pub(crate) rewritten: Option<Box<Rewritten>>,
}

/// Responds to a query that is not sent upstream: with its stale answer under `serve_stale`, or
/// with an error.
pub(crate) fn reject(routed: &RoutedQuery<'_>, rejected: Rejected, outbox: &mut Outbox) {
    let RoutedQuery { query, requester, route, .. } = routed;
    let Rejected { cause, stale_answer, rewritten } = rejected;
    let now = requester.received;
    let cache = route.block.cache_for(query.name.as_wire());
    let stale_cache = cache.filter(|cache| cache.serve_stale.is_some());
    if let Some((stale_answer, cache)) = stale_answer.zip(stale_cache) {
        return respond_stale(&stale_answer.entry, requester, (route, cache), now, outbox);
    }
    let rcode = match cause {
        Cause::TooManyConcurrent(_) => Rcode::REFUSED,
        _ => Rcode::SERVFAIL,
    };
    report_error(route, rcode, (query.qtype, query.name.as_wire()), cause, outbox);
    let response = ErrorResponse::new(rcode);
    let response = rewritten.map_or(response, |rewritten| response.rewritten(&rewritten, cache.is_some()));
    requester.respond_error(response, QueryCounters::of(route), now, outbox);
}

/// Reports a query that got an error response of our own.
pub(crate) fn report_error(
    route: &Route,
    rcode: Rcode,
    (qtype, name): (RecordType, &[u8]),
    cause: Cause,
    outbox: &mut Outbox,
) {
    let start = outbox.bytes.len();
    outbox.bytes.extend_from_slice(name);
    if let Some(name) = outbox.since(start) {
        outbox.actions.push(Action::ReportError(QueryError { route: route.id, rcode, qtype, name, cause }));
    }
}
