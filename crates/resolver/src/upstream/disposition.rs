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
use crate::inflight::query::{Attempt, Due, FlightId, Inquiry, Reply};
use crate::inflight::shared::{QueryResult, SharedResult};
use crate::policy::ForwardPolicy;
use crate::respond::Refusal;
use crate::upstream::selection::Plan;

/// What is done with an answer.
enum Verdict {
    /// It ends the question.
    Told,
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
        let (verdict, flight) = (self.verdict(attempt, response), attempt.flight);
        if matches!(verdict, Verdict::WithoutEdns) {
            return self.ask_without_edns(now, id, outbox);
        }
        let Some(attempt) = self.drop_attempt(id) else { return };
        if attempt.keeps_open() {
            outbox.actions.push(Action::CancelAttempt(id));
        }
        let open = self.flights.get_mut(&flight);
        match (verdict, open) {
            (Verdict::Told | Verdict::WithoutEdns, _) => {
                self.probe_overtaken(now, &attempt, outbox);
                self.conclude(now, &attempt, response, outbox);
            }
            (Verdict::NextUpstream, Some(flight)) => {
                let (id, packet) = (attempt.flight, response.packet.into());
                flight.second_best = Some(Reply { attempt, packet });
                self.next_step(now, id, outbox);
            }
            (Verdict::NextForward(forward), Some(_)) => self.hand_over(now, flight, forward, outbox),
            // Not good enough for clients, and nobody waits any more: not good enough for the cache.
            (_, None) => self.counters.late_responses.add(1),
        }
    }

    fn count_answer(&mut self, now: Instant, id: AttemptId, response: &Response<'_>) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let inquiry = &attempt.inquiry;
        let Some((forward, upstream)) = inquiry.forward().zip(inquiry.upstream(attempt.upstream)) else {
            return;
        };
        let took = now.saturating_duration_since(attempt.asked);
        if let Some(durations) = upstream.counters.request_durations.get(rcode_index(response.rcode)) {
            durations.observe(took);
        }
        if let Some(pace) = self.paces.get_mut(&upstream.id) {
            pace.observe(took.min(forward.read_timeout));
        }
        forward.state.responses.fetch_add(1, Relaxed);
        upstream.state.failed_probes.store(0, Relaxed);
    }

    fn verdict(&self, attempt: &Attempt, response: &Response<'_>) -> Verdict {
        let (inquiry, rcode) = (&attempt.inquiry, response.rcode);
        let Some(forward) = inquiry.forward() else { return Verdict::Told };
        if attempt.edns && matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP) && !response.has_opt() {
            return Verdict::WithoutEdns;
        }
        if forward.failover.contains(&rcode) && self.has_others(attempt, forward) {
            return Verdict::NextUpstream;
        }
        let has_nothing = rcode == Rcode::NOERROR && response.response_type != ResponseType::Positive;
        if forward.next.contains(&rcode) || forward.next_on_nodata && has_nothing {
            let behind =
                inquiry.forward.and_then(|from| inquiry.route.block.next_forward(from, &inquiry.name));
            return behind.map_or(Verdict::Told, Verdict::NextForward);
        }
        Verdict::Told
    }

    /// True when another upstream may still answer the question. When nobody waits any more it does not matter.
    fn has_others(&self, attempt: &Attempt, forward: &ForwardPolicy) -> bool {
        let Some(flight) = self.flights.get(&attempt.flight) else { return true };
        let is_other = |open: &Attempt| !open.late && open.upstream != attempt.upstream;
        flight.plan.peek(forward).is_some_and(|step| !step.again())
            || flight.attempts.iter().filter_map(|id| self.attempts.get(id)).any(is_other)
    }

    /// Probes the upstreams that have left this question open although they were asked before the one that has answered.
    /// Their attempts over UDP end with the question, so that their time will not tell whether they are down.
    fn probe_overtaken(&mut self, now: Instant, winner: &Attempt, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get(&winner.flight) else { return };
        let open = flight.attempts.iter().filter_map(|id| self.attempts.get(id));
        let overtaken = open.filter(|open| {
            let is_other = open.upstream != winner.upstream;
            is_other && open.transport == Transport::Udp && open.asked < winner.asked
        });
        let overtaken: Vec<usize> = overtaken.map(|open| open.upstream).collect();
        for upstream in overtaken {
            self.probe(now, &winner.inquiry, upstream, outbox);
        }
    }

    /// The question goes to another `forward` of its block, in the time it has left.
    fn hand_over(&mut self, now: Instant, id: FlightId, forward: usize, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let inquiry = Rc::new(Inquiry { forward: Some(forward), ..Inquiry::clone(&flight.inquiry) });
        let Some((from, to)) = flight.inquiry.forward().zip(inquiry.forward()) else { return };
        if to.is_full() {
            return self.refuse_flight(now, id, to.max_concurrent, outbox);
        }
        from.state.inflight_queries.fetch_sub(1, Relaxed);
        to.state.inflight_queries.fetch_add(1, Relaxed);
        flight.plan = Plan::new(to, &mut self.random);
        flight.transport = to.transport.for_client(inquiry.came_by);
        flight.second_best = None;
        flight.heard = to.state.responses.load(Relaxed);
        flight.inquiry = inquiry;
        self.timers.remove(&(flight.timer, Due::Flight(id)));
        flight.timer = flight.deadline;
        self.timers.insert((flight.timer, Due::Flight(id)));
        for attempt in std::mem::take(&mut flight.attempts) {
            self.drop_attempt(attempt);
            outbox.actions.push(Action::CancelAttempt(attempt));
        }
        self.next_step(now, id, outbox);
    }

    /// The next `forward` has as many questions open as it may.
    fn refuse_flight(&mut self, now: Instant, id: FlightId, limit: u32, outbox: &mut Outbox) {
        let Some(flight) = self.end_flight(id, outbox) else { return };
        let Inquiry { route, qtype, name, .. } = &*flight.inquiry;
        route.block.counters.max_concurrent_rejects.add(1);
        report(route, (Rcode::REFUSED, *qtype, name), Cause::TooManyConcurrent(limit), outbox);
        self.tell_all(
            now,
            &flight,
            &SharedResult(QueryResult::Failed(Refusal::bare(Rcode::REFUSED))),
            outbox,
        );
    }
}
