//! A miss: whom to ask, when to ask again, and when to give up.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::RngExt;
use wire::Response;
use wire::edns::DEFAULT_UDP_SIZE;
use wire::header::Flags;

use crate::Resolver;
use crate::action::{Action, AttemptFailure, AttemptId, Outbox, SendQuery, Transport};
use crate::inflight::query::{Attempt, Due, Flight, FlightId, Inquiry};
use crate::upstream::hedge::Pace;
use crate::upstream::selection::Step;

/// How long after its time an attempt on a stream may still bring an answer for the cache.
const LATE_GRACE: Duration = Duration::from_secs(5);

/// Draws for an ID that no open attempt has; with a few thousand open, one or two do.
const ID_DRAWS: usize = 64;

impl Resolver {
    /// Asks the next upstream of the flight's plan, or ends the flight when nothing more can come.
    pub(crate) fn next_step(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if now >= flight.deadline || flight.is_pausing() {
            return;
        }
        if flight.plan.all_down && flight.plan.is_untouched() {
            flight.inquiry.route.block.counters.healthcheck_broken.add(1);
        }
        match flight.take() {
            Some(step) => {
                let launch = Launch { fresh: step.again(), ..Launch::of(id, flight, step) };
                self.launch(now, launch, outbox);
            }
            None => self.end_if_over(now, id, outbox),
        }
    }

    /// Ends the flight when no attempt may bring anything any more. Late ones may, but neither for a question that has an
    /// answer in hand nor for one whose upstreams are all down are they waited for.
    pub(crate) fn end_if_over(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get(&id) else { return };
        if flight.peek().is_some() {
            return;
        }
        let waits_for_late = !flight.plan.all_down && flight.second_best.is_none();
        let may_bring = |id| self.attempts.get(id).is_some_and(|open| waits_for_late || !open.late);
        if !flight.attempts.iter().any(may_bring) {
            self.end(now, id, outbox);
        }
    }

    /// Ends the flight with the answer in hand, or with none.
    fn end(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let second_best = flight.second_best.take();
        if flight.trouble.is_none() && flight.plan.all_down && second_best.is_none() {
            let upstream = flight.inquiry.upstream(0).map(|upstream| upstream.addr);
            flight.trouble = upstream.map(|addr| (AttemptFailure::AllDown, flight.transport, addr));
        }
        let answer = second_best.as_ref().map(|reply| (&reply.attempt, Response::parse(&reply.packet)));
        match answer {
            Some((attempt, Ok(response))) => self.conclude(now, attempt, &response, outbox),
            _ => self.give_up(now, id, outbox),
        }
    }

    pub(crate) fn launch(&mut self, now: Instant, launch: Launch, outbox: &mut Outbox) {
        let number = AttemptId(self.next_number());
        let Launch { flight: flight_id, inquiry, upstream: index, fresh, .. } = launch;
        let Some(flight) = self.flights.get_mut(&flight_id).filter(|flight| now < flight.deadline) else {
            return;
        };
        let Some((forward, upstream)) = inquiry.forward().zip(inquiry.upstream(index)) else { return };
        let transport = if upstream.encrypted { Transport::Tcp } else { launch.transport };
        let Some(id) = draw_id(&mut self.random, &self.ids) else {
            flight.trouble = Some((AttemptFailure::Local, transport, upstream.addr));
            return self.end(now, flight_id, outbox);
        };
        flight.attempts.push(number);
        self.ids.insert(id);
        let start = outbox.bytes.len();
        let query = wire::query::OutgoingQuery {
            id,
            question: &inquiry.question,
            recursion_desired: inquiry.flags.has(Flags::RD),
            checking_disabled: inquiry.flags.has(Flags::CD),
            edns: launch.edns,
            dnssec_ok: inquiry.dnssec_ok,
            udp_size: inquiry.route.block.udp_size.min(DEFAULT_UDP_SIZE),
        };
        query.write(&mut outbox.bytes);
        if let Some(message) = outbox.since(start) {
            let (attempt, upstream, until) = (number, upstream.id, flight.deadline);
            outbox.actions.push(Action::SendQuery(SendQuery {
                attempt,
                upstream,
                transport,
                fresh,
                until,
                message,
            }));
        }
        let until = (now + forward.read_timeout).min(flight.deadline);
        let pace = self.paces.entry(upstream.id).or_insert_with(|| Pace::new(self.limits.initial_hedges));
        if !launch.is_hedge {
            pace.earn();
        }
        let hedge_at = Some(now + pace.patience()).filter(|at| *at < until && self.limits.initial_hedges > 0);
        let mut attempt = Attempt {
            flight: flight_id,
            upstream: index,
            transport,
            id,
            edns: launch.edns,
            asked: now,
            timer: until,
            until,
            hedge_at,
            mismatches: 0,
            doubted_until: None,
            late: false,
            redone: launch.redone,
            is_hedge: launch.is_hedge,
            inquiry: Rc::clone(&inquiry),
        };
        attempt.timer = attempt.next_look();
        self.timers.insert((attempt.timer, Due::Attempt(number)));
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
        if self.probes.contains_key(&id) {
            return self.probe_failed(now, id, failure, outbox);
        }
        let Some(attempt) = self.drop_attempt(id) else { return };
        let Some(upstream) = attempt.inquiry.upstream(attempt.upstream) else { return };
        if failure == (AttemptFailure::Closed { reused: true }) && !attempt.redone && !attempt.late {
            if self.flights.contains_key(&attempt.flight) {
                upstream.counters.retried.add(1);
            }
            let launch = Launch { fresh: true, redone: true, ..Launch::again(&attempt) };
            return self.launch(now, launch, outbox);
        }
        if failure != AttemptFailure::Local && !attempt.late {
            upstream.counters.failures.add(1);
            if attempt.mismatches == 0 {
                self.probe(now, &attempt.inquiry, attempt.upstream, outbox);
            }
        }
        let Some(flight) = self.flights.get_mut(&attempt.flight) else { return };
        flight.trouble = Some((failure, attempt.transport, upstream.addr));
        flight.only_silence &= failure.is_silence();
        flight.has_waited |= failure.is_silence();
        match flight.peek() {
            _ if attempt.late => self.end_if_over(now, attempt.flight, outbox),
            Some(step) if step.again() => self.next_step_at(now, now + step.pause(), attempt.flight, outbox),
            _ => self.next_step(now, attempt.flight, outbox),
        }
    }

    /// The next thing happens to an attempt: doubt ends, another one is made early, its time is over.
    pub(crate) fn attempt_due(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if attempt.late {
            self.drop_attempt(id);
            return outbox.actions.push(Action::CancelAttempt(id));
        }
        if attempt.doubted_until.is_some_and(|until| until <= now) {
            return self.distrust(now, id, outbox);
        }
        if now >= attempt.until {
            return self.time_out(now, id, outbox);
        }
        attempt.hedge_at = None;
        attempt.timer = attempt.next_look();
        self.timers.insert((attempt.timer, Due::Attempt(id)));
        self.hedge(now, id, outbox);
    }

    /// The time of an attempt is over: it becomes late and the flight goes on.
    fn time_out(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.late = true;
        attempt.timer = now + LATE_GRACE;
        self.timers.insert((attempt.timer, Due::Attempt(id)));
        let (flight, index, inquiry) = (attempt.flight, attempt.upstream, Rc::clone(&attempt.inquiry));
        let Some(upstream) = inquiry.upstream(index) else { return };
        upstream.counters.failures.add(1);
        if let Some(open) = self.flights.get_mut(&flight) {
            open.trouble = Some((AttemptFailure::TimedOut, attempt.transport, upstream.addr));
            open.has_waited = true;
        }
        self.probe(now, &inquiry, index, outbox);
        self.next_step(now, flight, outbox);
    }

    /// A pause is over, or the deadline is here.
    pub(crate) fn flight_due(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if now >= flight.deadline {
            return self.end(now, id, outbox);
        }
        flight.timer = flight.deadline;
        self.timers.insert((flight.timer, Due::Flight(id)));
        self.next_step(now, id, outbox);
    }

    /// Goes on at `at`. When that is too late and nothing is under way, the flight ends.
    fn next_step_at(&mut self, now: Instant, at: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if at >= flight.deadline && flight.attempts.is_empty() {
            return self.end(now, id, outbox);
        }
        self.timers.remove(&(flight.timer, Due::Flight(id)));
        flight.timer = at.min(flight.deadline);
        self.timers.insert((flight.timer, Due::Flight(id)));
    }

    pub(crate) fn drop_attempt(&mut self, id: AttemptId) -> Option<Attempt> {
        let attempt = self.attempts.remove(&id)?;
        self.ids.remove(&attempt.id);
        self.timers.remove(&(attempt.timer, Due::Attempt(id)));
        if let Some(flight) = self.flights.get_mut(&attempt.flight) {
            flight.attempts.retain(|&open| open != id);
        }
        Some(attempt)
    }
}

/// What an attempt is started with.
pub(crate) struct Launch {
    pub(crate) flight: FlightId,
    pub(crate) inquiry: Rc<Inquiry>,
    /// Index among the upstreams of the forward.
    pub(crate) upstream: usize,
    pub(crate) transport: Transport,
    pub(crate) edns: bool,
    /// On a connection that has carried nothing yet.
    pub(crate) fresh: bool,
    pub(crate) redone: bool,
    pub(crate) is_hedge: bool,
}

impl Launch {
    /// The question of `flight`, to the upstream of `step`.
    pub(crate) fn of(id: FlightId, flight: &Flight, step: Step) -> Self {
        Self {
            flight: id,
            inquiry: Rc::clone(&flight.inquiry),
            upstream: step.upstream,
            transport: flight.transport,
            edns: true,
            fresh: false,
            redone: false,
            is_hedge: false,
        }
    }

    /// The same question to the same upstream in the same way.
    pub(crate) fn again(attempt: &Attempt) -> Self {
        Self {
            flight: attempt.flight,
            inquiry: Rc::clone(&attempt.inquiry),
            upstream: attempt.upstream,
            transport: attempt.transport,
            edns: attempt.edns,
            fresh: false,
            redone: false,
            is_hedge: attempt.is_hedge,
        }
    }
}

/// An ID that no open attempt has.
pub(crate) fn draw_id(random: &mut impl rand::Rng, taken: &std::collections::HashSet<u16>) -> Option<u16> {
    std::iter::repeat_with(|| random.random::<u16>()).take(ID_DRAWS).find(|id| !taken.contains(id))
}
