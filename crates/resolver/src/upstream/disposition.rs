//! What an answer is worth: it is told, or another upstream is asked, or another `forward`.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use wire::Response;
use wire::header::Rcode;
use wire::response::ResponseType;

use crate::Resolver;
use crate::action::{Action, AttemptId, Cause, Outbox, Transport};
use crate::counters::rcode_index;
use crate::inflight::completion::report;
use crate::inflight::query::{Attempt, FallbackResponse, UpstreamQuery};
use crate::inflight::result::{ErrorResponse, QueryResult, SharedResult};
use crate::policy::Forward;
use crate::timers::{QueryId, Timer};
use crate::upstream::selection::Selection;

/// What is done with an answer.
enum Disposition {
    /// It ends the question.
    Complete,
    /// The upstream does not know EDNS: it is asked without.
    WithoutEdns,
    /// Another upstream may know better (`failover`).
    NextUpstream,
    /// Another `forward` of the block may (`next`, `next_on_nodata`).
    NextForward(usize),
}

impl Resolver {
    /// An upstream has answered an attempt.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        id: AttemptId,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        self.count_answer(now, id, response);
        let Some(attempt) = self.attempts.get(&id) else { return };
        let (disposition, inflight) = (self.disposition(attempt, response), attempt.inflight);
        if matches!(disposition, Disposition::WithoutEdns) {
            return self.retry_without_edns(now, id, outbox);
        }
        let Some(attempt) = self.drop_attempt(id) else { return };
        if attempt.keeps_open() {
            outbox.actions.push(Action::CancelAttempt(id));
        }
        let open = self.inflight.get_mut(&inflight);
        match (disposition, open) {
            (Disposition::Complete | Disposition::WithoutEdns, _) => {
                self.check_outrun_upstreams(now, &attempt, outbox);
                self.complete(now, &attempt, response, outbox);
            }
            (Disposition::NextUpstream, Some(inflight)) => {
                let (id, packet) = (attempt.inflight, response.packet.into());
                inflight.fallback_response = Some(FallbackResponse { attempt, packet });
                self.send_next(now, id, outbox);
            }
            (Disposition::NextForward(forward), Some(_)) => {
                self.forward_to_next(now, inflight, forward, outbox)
            }
            // Not good enough for clients, and nobody waits any more: not good enough for the cache.
            (_, None) => self.counters.late_responses.add(1),
        }
    }

    fn count_answer(&mut self, now: Instant, id: AttemptId, response: &Response<'_>) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let query = &attempt.query;
        let Some((forward, upstream)) = query.forward().zip(query.upstream(attempt.upstream)) else {
            return;
        };
        let took = now.saturating_duration_since(attempt.asked);
        if let Some(durations) = upstream.counters.request_durations.get(rcode_index(response.rcode)) {
            durations.observe(took);
        }
        if let Some(estimator) = self.estimators.get_mut(&upstream.id) {
            estimator.observe(took.min(forward.options.read_timeout));
        }
        forward.state.responses.fetch_add(1, Relaxed);
        upstream.state.failed_probes.store(0, Relaxed);
    }

    fn disposition(&self, attempt: &Attempt, response: &Response<'_>) -> Disposition {
        let (query, rcode) = (&attempt.query, response.rcode);
        let Some(forward) = query.forward() else { return Disposition::Complete };
        if attempt.edns && matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP) && !response.has_opt() {
            return Disposition::WithoutEdns;
        }
        if forward.options.failover.contains(&rcode) && self.has_others(attempt, forward) {
            return Disposition::NextUpstream;
        }
        let has_nothing = rcode == Rcode::NOERROR && response.response_type != ResponseType::Positive;
        if forward.options.next.contains(&rcode) || forward.options.next_on_nodata && has_nothing {
            let behind = query.forward.and_then(|from| query.route.block.next_forward(from, &query.name));
            return behind.map_or(Disposition::Complete, Disposition::NextForward);
        }
        Disposition::Complete
    }

    /// True when another upstream may still answer the question. When nobody waits any more it does not matter.
    fn has_others(&self, attempt: &Attempt, forward: &Forward) -> bool {
        let Some(inflight) = self.inflight.get(&attempt.inflight) else { return true };
        let is_other = |open: &Attempt| !open.late && open.upstream != attempt.upstream;
        inflight.selection.peek(forward).is_some_and(|candidate| !candidate.again())
            || inflight.attempts.iter().filter_map(|id| self.attempts.get(id)).any(is_other)
    }

    /// Probes the upstreams that have left this question open although they were asked before the one that has answered.
    /// Their attempts over UDP end with the question, so that their time will not tell whether they are down.
    fn check_outrun_upstreams(&mut self, now: Instant, winner: &Attempt, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get(&winner.inflight) else { return };
        let open = inflight.attempts.iter().filter_map(|id| self.attempts.get(id));
        let outrun = open.filter(|open| {
            let is_other = open.upstream != winner.upstream;
            is_other && open.transport == Transport::Udp && open.asked < winner.asked
        });
        let outrun: Vec<usize> = outrun.map(|open| open.upstream).collect();
        for upstream in outrun {
            self.health_check(now, &winner.query, upstream, outbox);
        }
    }

    /// The question goes to another `forward` of its block, in the time it has left.
    fn forward_to_next(&mut self, now: Instant, id: QueryId, forward: usize, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(&id) else { return };
        let query =
            Rc::new(UpstreamQuery { forward: Some(forward), ..UpstreamQuery::clone(&inflight.query) });
        let Some((from, to)) = inflight.query.forward().zip(query.forward()) else { return };
        if to.is_full() {
            return self.reject_inflight(now, id, to.options.max_concurrent, outbox);
        }
        from.state.inflight_queries.fetch_sub(1, Relaxed);
        to.state.inflight_queries.fetch_add(1, Relaxed);
        inflight.selection = Selection::new(to, &mut self.random);
        inflight.transport = to.options.transport.for_client(query.came_by);
        inflight.fallback_response = None;
        inflight.heard = to.state.responses.load(Relaxed);
        inflight.query = query;
        self.timers.cancel(inflight.timer, Timer::Query(id));
        inflight.timer = inflight.deadline;
        self.timers.schedule(inflight.timer, Timer::Query(id));
        for attempt in std::mem::take(&mut inflight.attempts) {
            self.drop_attempt(attempt);
            outbox.actions.push(Action::CancelAttempt(attempt));
        }
        self.send_next(now, id, outbox);
    }

    /// The next `forward` has as many questions open as it may.
    fn reject_inflight(&mut self, now: Instant, id: QueryId, limit: u32, outbox: &mut Outbox) {
        let Some(inflight) = self.take_inflight(id, outbox) else { return };
        let UpstreamQuery { route, qtype, name, .. } = &*inflight.query;
        route.block.counters.max_concurrent_rejects.add(1);
        report(route, (Rcode::REFUSED, *qtype, name), Cause::TooManyConcurrent(limit), outbox);
        self.respond_all(
            now,
            &inflight,
            &SharedResult(QueryResult::Error(ErrorResponse::new(Rcode::REFUSED))),
            outbox,
        );
    }
}
