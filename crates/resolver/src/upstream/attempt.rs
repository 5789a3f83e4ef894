//! A miss: whom to ask, when to ask again, and when to give up.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::RngExt;
use wire::Response;
use wire::edns::DEFAULT_UDP_SIZE;
use wire::header::Flags;

use crate::Resolver;
use crate::action::{Action, AttemptFailure, AttemptId, Outbox, SendQuery, Transport};
use crate::inflight::query::{Attempt, InflightQuery, UpstreamQuery};
use crate::timers::{QueryId, Timer};
use crate::upstream::hedge::RttEstimator;
use crate::upstream::selection::Candidate;

/// How long after its time an attempt on a stream may still bring an answer for the cache.
const LATE_GRACE: Duration = Duration::from_secs(5);

/// Draws for an ID that no open attempt has; with a few thousand open, one or two do.
const ID_DRAWS: usize = 64;

impl Resolver {
    /// Asks the next upstream of the in-flight query's selection, or ends the in-flight query when nothing more can come.
    pub(crate) fn send_next(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(&id) else { return };
        if now >= inflight.deadline || inflight.is_pausing() {
            return;
        }
        if inflight.selection.all_down && inflight.selection.is_untouched() {
            inflight.query.route.block.counters.healthcheck_broken.add(1);
        }
        match inflight.take() {
            Some(candidate) => {
                let spec =
                    AttemptSpec { fresh: candidate.again(), ..AttemptSpec::of(id, inflight, candidate) };
                self.send_attempt(now, spec, outbox);
            }
            None => self.end_if_over(now, id, outbox),
        }
    }

    /// Ends the in-flight query when no attempt may bring anything any more. Late ones may, but neither for a question that has an
    /// answer in hand nor for one whose upstreams are all down are they waited for.
    pub(crate) fn end_if_over(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get(&id) else { return };
        if inflight.peek().is_some() {
            return;
        }
        let waits_for_late = !inflight.selection.all_down && inflight.fallback_response.is_none();
        let may_bring = |id| self.attempts.get(id).is_some_and(|open| waits_for_late || !open.late);
        if !inflight.attempts.iter().any(may_bring) {
            self.end(now, id, outbox);
        }
    }

    /// Ends the in-flight query with the answer in hand, or with none.
    fn end(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(&id) else { return };
        let fallback_response = inflight.fallback_response.take();
        if inflight.trouble.is_none() && inflight.selection.all_down && fallback_response.is_none() {
            let upstream = inflight.query.upstream(0).map(|upstream| upstream.addr);
            inflight.trouble = upstream.map(|addr| (AttemptFailure::AllDown, inflight.transport, addr));
        }
        let answer = fallback_response.as_ref().map(|reply| (&reply.attempt, Response::parse(&reply.packet)));
        match answer {
            Some((attempt, Ok(response))) => self.complete(now, attempt, &response, outbox),
            _ => self.fail(now, id, outbox),
        }
    }

    pub(crate) fn send_attempt(&mut self, now: Instant, spec: AttemptSpec, outbox: &mut Outbox) {
        let number = AttemptId(self.next_number());
        let AttemptSpec { inflight: query_id, query, upstream: index, fresh, .. } = spec;
        let Some(inflight) = self.inflight.get_mut(&query_id).filter(|inflight| now < inflight.deadline)
        else {
            return;
        };
        let Some((forward, upstream)) = query.forward().zip(query.upstream(index)) else { return };
        let transport = if upstream.encrypted { Transport::Tcp } else { spec.transport };
        let Some(id) = draw_id(&mut self.random, &self.ids) else {
            inflight.trouble = Some((AttemptFailure::Local, transport, upstream.addr));
            return self.end(now, query_id, outbox);
        };
        inflight.attempts.push(number);
        self.ids.insert(id);
        let start = outbox.bytes.len();
        let outgoing = wire::query::OutgoingQuery {
            id,
            question: &query.question,
            recursion_desired: query.flags.has(Flags::RD),
            checking_disabled: query.flags.has(Flags::CD),
            edns: spec.edns,
            dnssec_ok: query.dnssec_ok,
            udp_size: query.route.block.udp_size.min(DEFAULT_UDP_SIZE),
        };
        outgoing.write(&mut outbox.bytes);
        if let Some(message) = outbox.since(start) {
            let (attempt, upstream, until) = (number, upstream.id, inflight.deadline);
            outbox.actions.push(Action::SendQuery(SendQuery {
                attempt,
                upstream,
                transport,
                fresh,
                until,
                message,
            }));
        }
        let until = (now + forward.options.read_timeout).min(inflight.deadline);
        let estimator = self
            .estimators
            .entry(upstream.id)
            .or_insert_with(|| RttEstimator::new(self.limits.initial_hedges));
        if !spec.is_hedge {
            estimator.refill();
        }
        let hedge_at = Some(now + estimator.rto()).filter(|at| *at < until && self.limits.initial_hedges > 0);
        let mut attempt = Attempt {
            inflight: query_id,
            upstream: index,
            transport,
            id,
            edns: spec.edns,
            asked: now,
            timer: until,
            until,
            hedge_at,
            mismatches: 0,
            mismatch_deadline: None,
            late: false,
            is_retry: spec.is_retry,
            is_hedge: spec.is_hedge,
            query: Rc::clone(&query),
        };
        attempt.timer = attempt.next_look();
        self.timers.schedule(attempt.timer, Timer::Attempt(number));
        self.attempts.insert(number, attempt);
    }

    /// An attempt that brought nothing: redo it, ask the next upstream, or give up.
    pub(crate) fn attempt_failed(
        &mut self,
        now: Instant,
        id: AttemptId,
        failure: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        if self.health_checks.contains_key(&id) {
            return self.health_check_failed(now, id, failure, outbox);
        }
        let Some(attempt) = self.drop_attempt(id) else { return };
        let Some(upstream) = attempt.query.upstream(attempt.upstream) else { return };
        if failure == (AttemptFailure::Closed { reused: true }) && !attempt.is_retry && !attempt.late {
            if self.inflight.contains_key(&attempt.inflight) {
                upstream.counters.retried.add(1);
            }
            let spec = AttemptSpec { fresh: true, is_retry: true, ..AttemptSpec::again(&attempt) };
            return self.send_attempt(now, spec, outbox);
        }
        if failure != AttemptFailure::Local && !attempt.late {
            upstream.counters.failures.add(1);
            if attempt.mismatches == 0 {
                self.health_check(now, &attempt.query, attempt.upstream, outbox);
            }
        }
        let Some(inflight) = self.inflight.get_mut(&attempt.inflight) else { return };
        inflight.trouble = Some((failure, attempt.transport, upstream.addr));
        inflight.only_silence &= failure.nothing_received();
        inflight.has_waited |= failure.nothing_received();
        match inflight.peek() {
            _ if attempt.late => self.end_if_over(now, attempt.inflight, outbox),
            Some(candidate) if candidate.again() => {
                self.send_next_at(now, now + candidate.pause(), attempt.inflight, outbox)
            }
            _ => self.send_next(now, attempt.inflight, outbox),
        }
    }

    /// The next thing happens to an attempt: doubt ends, another one is made early, its time is over.
    pub(crate) fn attempt_due(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if attempt.late {
            self.drop_attempt(id);
            return outbox.actions.push(Action::CancelAttempt(id));
        }
        if attempt.mismatch_deadline.is_some_and(|until| until <= now) {
            return self.quarantine(now, id, outbox);
        }
        if now >= attempt.until {
            return self.time_out(now, id, outbox);
        }
        attempt.hedge_at = None;
        attempt.timer = attempt.next_look();
        self.timers.schedule(attempt.timer, Timer::Attempt(id));
        self.hedge(now, id, outbox);
    }

    /// The time of an attempt is over: it becomes late and the in-flight query goes on.
    fn time_out(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.late = true;
        attempt.timer = now + LATE_GRACE;
        self.timers.schedule(attempt.timer, Timer::Attempt(id));
        let (inflight, index, query) = (attempt.inflight, attempt.upstream, Rc::clone(&attempt.query));
        let Some(upstream) = query.upstream(index) else { return };
        upstream.counters.failures.add(1);
        if let Some(open) = self.inflight.get_mut(&inflight) {
            open.trouble = Some((AttemptFailure::TimedOut, attempt.transport, upstream.addr));
            open.has_waited = true;
        }
        self.health_check(now, &query, index, outbox);
        self.send_next(now, inflight, outbox);
    }

    /// A pause is over, or the deadline is here.
    pub(crate) fn query_due(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(&id) else { return };
        if now >= inflight.deadline {
            return self.end(now, id, outbox);
        }
        inflight.timer = inflight.deadline;
        self.timers.schedule(inflight.timer, Timer::Query(id));
        self.send_next(now, id, outbox);
    }

    /// Goes on at `at`. When that is too late and nothing is under way, the in-flight query ends.
    fn send_next_at(&mut self, now: Instant, at: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(&id) else { return };
        if at >= inflight.deadline && inflight.attempts.is_empty() {
            return self.end(now, id, outbox);
        }
        self.timers.cancel(inflight.timer, Timer::Query(id));
        inflight.timer = at.min(inflight.deadline);
        self.timers.schedule(inflight.timer, Timer::Query(id));
    }

    pub(crate) fn drop_attempt(&mut self, id: AttemptId) -> Option<Attempt> {
        let attempt = self.attempts.remove(&id)?;
        self.ids.remove(&attempt.id);
        self.timers.cancel(attempt.timer, Timer::Attempt(id));
        if let Some(inflight) = self.inflight.get_mut(&attempt.inflight) {
            inflight.attempts.retain(|&open| open != id);
        }
        Some(attempt)
    }
}

/// What an attempt is started with.
pub(crate) struct AttemptSpec {
    pub(crate) inflight: QueryId,
    pub(crate) query: Rc<UpstreamQuery>,
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    pub(crate) transport: Transport,
    pub(crate) edns: bool,
    /// On a connection that has carried nothing yet.
    pub(crate) fresh: bool,
    pub(crate) is_retry: bool,
    pub(crate) is_hedge: bool,
}

impl AttemptSpec {
    /// The question of `inflight`, to the upstream of `candidate`.
    pub(crate) fn of(id: QueryId, inflight: &InflightQuery, candidate: Candidate) -> Self {
        Self {
            inflight: id,
            query: Rc::clone(&inflight.query),
            upstream: candidate.upstream,
            transport: inflight.transport,
            edns: true,
            fresh: false,
            is_retry: false,
            is_hedge: false,
        }
    }

    /// The same question to the same upstream in the same way.
    pub(crate) fn again(attempt: &Attempt) -> Self {
        Self {
            inflight: attempt.inflight,
            query: Rc::clone(&attempt.query),
            upstream: attempt.upstream,
            transport: attempt.transport,
            edns: attempt.edns,
            fresh: false,
            is_retry: false,
            is_hedge: attempt.is_hedge,
        }
    }
}

/// An ID that no open attempt has.
pub(crate) fn draw_id(random: &mut impl rand::Rng, taken: &std::collections::HashSet<u16>) -> Option<u16> {
    std::iter::repeat_with(|| random.random::<u16>()).take(ID_DRAWS).find(|id| !taken.contains(id))
}
