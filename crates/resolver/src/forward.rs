//! A miss: whom to ask, when to ask again, and when to give up.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::RngExt;
use wire::Response;
use wire::edns::OUR_UDP_SIZE;
use wire::header::Flags;

use crate::Resolver;
use crate::action::{Action, Ask, AttemptId, Failure, Outbox, Transport};
use crate::flight::{Attempt, Due, FlightId, Inquiry, Step};
use crate::tally::rcode_place;

/// Before the same upstream is asked again after it said no at once: a restarting CoreDNS needs a moment, and
/// a herd of refused queries must not spin.
const PAUSE: Duration = Duration::from_millis(50);

/// How long after its time an attempt on a stream may still bring an answer for the cache.
const LATE_GRACE: Duration = Duration::from_secs(5);

/// Draws for an ID that no open attempt has; with a few thousand open, one or two do.
const ID_DRAWS: usize = 64;

impl Resolver {
    /// Asks the next upstream of the flight's plan, or ends the flight when nothing more can come.
    pub(crate) fn next_step(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if now >= flight.deadline {
            return;
        }
        if let Some(step) = flight.plan.take() {
            let (transport, inquiry) = (flight.transport, Rc::clone(&flight.inquiry));
            self.launch(now, id, Launch { step, inquiry, transport, redone: false }, outbox);
        } else if flight.attempts.is_empty() {
            self.give_up(now, id, outbox);
        }
    }

    fn launch(&mut self, now: Instant, flight_id: FlightId, launch: Launch, outbox: &mut Outbox) {
        let Launch { step, inquiry, transport, redone } = launch;
        let attempt = AttemptId(self.next_number());
        let Some(flight) = self.flights.get_mut(&flight_id) else { return };
        let Some((forward, upstream)) = inquiry.forward().zip(inquiry.upstream(step.upstream)) else {
            return;
        };
        let until = flight.deadline;
        let Some(id) = draw_id(&mut self.random, &self.ids) else {
            flight.trouble = Some((Failure::Local, transport, upstream.addr));
            return self.give_up(now, flight_id, outbox);
        };
        flight.attempts.push(attempt);
        self.ids.insert(id);
        let timer = (now + forward.read_timeout).min(until);
        self.timers.insert((timer, Due::Attempt(attempt)));
        let start = outbox.bytes.len();
        let ask = wire::reply::Ask {
            id,
            question: &inquiry.question,
            recursion_desired: inquiry.flags.has(Flags::RD),
            checking_disabled: inquiry.flags.has(Flags::CD),
            dnssec_ok: inquiry.dnssec_ok,
            udp_size: inquiry.route.block.udp_size.min(OUR_UDP_SIZE),
        };
        wire::reply::ask(&ask, &mut outbox.bytes);
        if let Some(message) = outbox.since(start) {
            let (upstream, fresh) = (upstream.id, step.again || redone);
            outbox.actions.push(Action::Ask(Ask { attempt, upstream, transport, fresh, until, message }));
        }
        let (asked, upstream) = (now, step.upstream);
        let late = false;
        let waiting =
            Attempt { inquiry, flight: flight_id, upstream, transport, id, asked, timer, late, redone };
        self.attempts.insert(attempt, waiting);
    }

    /// True when `response` came over UDP and says that TCP has more (RFC 7766 section 5).
    pub(crate) fn is_cut_short(&self, attempt: AttemptId, response: &Response<'_>) -> bool {
        let by_udp = self.attempts.get(&attempt).is_some_and(|attempt| attempt.transport == Transport::Udp);
        by_udp && response.header.flags.has(Flags::TC)
    }

    /// Repeats an attempt by TCP, whose answer over UDP was truncated.
    pub(crate) fn ask_by_tcp(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.drop_attempt(id) else { return };
        outbox.actions.push(Action::Forget(id));
        let step = Step { upstream: attempt.upstream, again: false };
        let launch = Launch { step, inquiry: attempt.inquiry, transport: Transport::Tcp, redone: false };
        self.launch(now, attempt.flight, launch, outbox);
    }

    /// A message that does not answer its attempt. Over UDP anyone may have sent it: it is ignored and the
    /// answer still awaited (RFC 5452 section 9.1). A stream that delivers it is out of step: it is closed.
    pub(crate) fn mismatched(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        attempt.inquiry.route.block.tally.cache_drops.add(1);
        if let Some(upstream) = attempt.inquiry.upstream(attempt.upstream) {
            upstream.tally.mismatches.add(1);
        }
        if attempt.transport == Transport::Tcp {
            outbox.actions.push(Action::Distrust(id));
            self.attempt_failed(now, id, Failure::Closed { reused: false }, outbox);
        }
    }

    /// An upstream has answered an attempt.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        id: AttemptId,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        let Some(attempt) = self.drop_attempt(id) else { return };
        if attempt.transport == Transport::Udp {
            outbox.actions.push(Action::Forget(id));
        }
        let inquiry = &attempt.inquiry;
        let exchanges = inquiry.upstream(attempt.upstream).map(|upstream| &upstream.tally.exchanges);
        if let Some(durations) = exchanges.and_then(|by_rcode| by_rcode.get(rcode_place(response.rcode))) {
            durations.observe(now.saturating_duration_since(attempt.asked));
        }
        self.conclude(now, &attempt, response, outbox);
    }

    /// An attempt that brought nothing: redo it, ask the next upstream, or give up.
    pub(crate) fn attempt_failed(
        &mut self,
        now: Instant,
        id: AttemptId,
        failure: Failure,
        outbox: &mut Outbox,
    ) {
        let Some(attempt) = self.drop_attempt(id) else { return };
        let Some(upstream) = attempt.inquiry.upstream(attempt.upstream) else { return };
        if failure == (Failure::Closed { reused: true }) && !attempt.redone && !attempt.late {
            upstream.tally.redone.add(1);
            let step = Step { upstream: attempt.upstream, again: false };
            let (inquiry, transport) = (Rc::clone(&attempt.inquiry), attempt.transport);
            let launch = Launch { step, inquiry, transport, redone: true };
            return self.launch(now, attempt.flight, launch, outbox);
        }
        if failure != Failure::Local && !attempt.late {
            upstream.tally.failures.add(1);
        }
        let Some(flight) = self.flights.get_mut(&attempt.flight) else { return };
        flight.trouble = Some((failure, attempt.transport, upstream.addr));
        flight.only_silence &= failure.is_silence();
        if attempt.late {
            if flight.attempts.is_empty() && flight.plan.peek().is_none() {
                self.give_up(now, attempt.flight, outbox);
            }
            return;
        }
        match flight.plan.peek() {
            Some(step) if step.again => self.look_again(now + PAUSE, attempt.flight),
            _ => self.next_step(now, attempt.flight, outbox),
        }
    }

    /// The time of an attempt is over: it becomes late and the flight goes on; the second time it is dropped.
    pub(crate) fn attempt_due(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        let flight = attempt.flight;
        if attempt.late {
            self.drop_attempt(id);
            return outbox.actions.push(Action::Forget(id));
        }
        attempt.late = true;
        attempt.timer = now + LATE_GRACE;
        self.timers.insert((attempt.timer, Due::Attempt(id)));
        let Some(upstream) = attempt.inquiry.upstream(attempt.upstream) else { return };
        if let Some(open) = self.flights.get_mut(&flight) {
            upstream.tally.failures.add(1);
            open.trouble = Some((Failure::TimedOut, attempt.transport, upstream.addr));
            self.next_step(now, flight, outbox);
        }
    }

    /// A pause is over, or the deadline is here.
    pub(crate) fn flight_due(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if now >= flight.deadline {
            return self.give_up(now, id, outbox);
        }
        flight.timer = flight.deadline;
        self.timers.insert((flight.timer, Due::Flight(id)));
        self.next_step(now, id, outbox);
    }

    fn look_again(&mut self, at: Instant, id: FlightId) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
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
struct Launch {
    step: Step,
    inquiry: Rc<Inquiry>,
    transport: Transport,
    redone: bool,
}

fn draw_id(random: &mut impl rand::Rng, taken: &std::collections::HashSet<u16>) -> Option<u16> {
    std::iter::repeat_with(|| random.random::<u16>()).take(ID_DRAWS).find(|id| !taken.contains(id))
}
