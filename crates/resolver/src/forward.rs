//! A miss: whom to ask, when to ask again, and when to give up.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use wire::answer::Ttl;
use wire::edns::ExtendedError;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::response::Kind;
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{Action, Ask, AttemptId, Cause, Failure, Outbox, Transport, Trouble};
use crate::answering::Refusal;
use crate::cache::Entry;
use crate::flight::{Attempt, Due, FlightId, Inquiry, Step};
use crate::life::Life;
use crate::policy::Route;
use crate::questions::{Ended, Outcome};
use crate::tally::{Writer, rcode_place};

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

    /// Keeps the answer, if it may be kept, and tells everyone who waits for it.
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
        let cache = inquiry.route.block.cache_for(&inquiry.name).filter(|_| inquiry.qclass == Class::IN);
        let life = cache.map(|cache| Life::of(response, &inquiry.name, cache));
        let ttl = life.map_or(Ttl::AsReceived, |life| Ttl::Uniform(life.ttl));
        let writer = if life.is_some() { Writer::Cache } else { Writer::Forward };
        let answer = Answer::keep(response);
        // Kept before anyone is told: who asks again at once, in any worker, finds it.
        if let Some((life, key)) = life.zip(inquiry.key.as_ref()) {
            self.keep(now, &Kept { inquiry, key, life, kind: response.kind }, &answer);
        }
        let joined = inquiry.key.as_ref().and_then(|key| self.joinable.get(key).copied());
        match self.end_flight(joined.unwrap_or(attempt.flight), outbox) {
            Some(flight) => {
                self.tell_all(now, &flight, &Outcome(Ended::Answered { answer, ttl, writer }), outbox)
            }
            None => self.tally.late_answers.add(1),
        }
    }

    fn keep(&mut self, now: Instant, kept: &Kept<'_>, answer: &Answer) {
        let Kept { inquiry, key, life, kind } = *kept;
        let Some(store) = life.store else { return };
        if kind == Kind::ServerFailure && self.front.get(key, now).is_some() {
            return;
        }
        let (key, occupancy) = (Arc::clone(key), Arc::clone(&inquiry.route.block.occupancy));
        let entry = Entry { key, answer: answer.clone(), stored: now, lifetime: life.ttl, store, occupancy };
        self.front.insert(Arc::new(entry));
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

    /// Tells everyone who waits that there is no answer.
    fn give_up(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.end_flight(id, outbox) else { return };
        let inquiry = &flight.inquiry;
        let (failure, transport, upstream) = match flight.trouble {
            Some(trouble) => trouble,
            None => match inquiry.upstream(0) {
                Some(upstream) => (Failure::TimedOut, flight.transport, upstream.addr),
                None => return,
            },
        };
        let cause = Cause::Upstream(failure, transport, upstream);
        report(&inquiry.route, (Rcode::SERVFAIL, inquiry.qtype, &inquiry.name), cause, outbox);
        let error = if flight.only_silence && failure.is_silence() {
            ExtendedError::NO_REACHABLE_AUTHORITY
        } else {
            ExtendedError::NETWORK_ERROR
        };
        let refusal = Refusal { rcode: Rcode::SERVFAIL, error: Some(error) };
        self.tell_all(now, &flight, &Outcome(Ended::Failed(refusal)), outbox);
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

/// What decides whether an answer is kept.
struct Kept<'a> {
    inquiry: &'a Inquiry,
    key: &'a Arc<[u8]>,
    life: Life,
    kind: Kind,
}

/// What an attempt is started with.
struct Launch {
    step: Step,
    inquiry: Rc<Inquiry>,
    transport: Transport,
    redone: bool,
}

/// Records why a query ended without an answer.
pub(crate) fn report(route: &Route, query: (Rcode, RecordType, &[u8]), cause: Cause, outbox: &mut Outbox) {
    let (rcode, qtype, name) = query;
    let start = outbox.bytes.len();
    outbox.bytes.extend_from_slice(name);
    if let Some(name) = outbox.since(start) {
        outbox.actions.push(Action::Trouble(Trouble { route: route.id, rcode, qtype, name, cause }));
    }
}

fn draw_id(random: &mut impl rand::Rng, taken: &std::collections::HashSet<u16>) -> Option<u16> {
    std::iter::repeat_with(|| random.random::<u16>()).take(ID_DRAWS).find(|id| !taken.contains(id))
}
