//! Who waits with whom: clients of one worker join a flight, workers follow the one that asks.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use wire::answer::Ttl;
use wire::header::{Class, Rcode};

use crate::Resolver;
use crate::action::{Action, Cause, Outbox, Relay, Transport};
use crate::answering::{Ledger, Refusal, Taken, Telling};
use crate::cache::Key;
use crate::ending::report;
use crate::flight::{Due, Flight, FlightId, Inquiry, Waiter};
use crate::plan::Plan;
use crate::questions::{Ended, Outcome};
use crate::tally::Writer;

impl Resolver {
    /// Joins the flight for this question, or starts one.
    pub(crate) fn ask_for(&mut self, taken: &Taken<'_>, outbox: &mut Outbox) {
        let key = joinable(taken).then(|| Key::new(taken.route.block.id, taken.query));
        let open = key.as_ref().and_then(|key| self.joinable.get(key.as_bytes()));
        let refused = match open.and_then(|open| self.flights.get_mut(open)) {
            Some(flight) if flight.waiters.len() >= self.limits.waiters_per_flight => {
                self.tally.waiters_full.add(1);
                Err(Cause::TooManyWaiters)
            }
            Some(flight) => {
                taken.route.block.tally.joined.add(1);
                flight.waiters.push(Waiter::new(&taken.recipient));
                Ok(())
            }
            None => self.start(taken, key.as_ref(), outbox),
        };
        if let Err(cause) = refused {
            refuse(taken, cause, outbox);
        }
    }

    fn start(&mut self, taken: &Taken<'_>, key: Option<&Key>, outbox: &mut Outbox) -> Result<(), Cause> {
        let Taken { query, recipient, route } = *taken;
        let forward = route.block.forward(query.name.as_wire()).ok_or(Cause::NoForward)?;
        let policy = route.block.forwards.get(forward).ok_or(Cause::NoForward)?;
        if self.flights.len() >= self.limits.flights {
            self.tally.flights_full.add(1);
            return Err(Cause::TooManyInFlight);
        }
        if policy.is_full() {
            route.block.tally.max_concurrent_rejects.add(1);
            return Err(Cause::TooManyConcurrent(policy.max_concurrent));
        }
        let inquiry = Rc::new(Inquiry::new(taken, forward, key));
        let deadline = recipient.asked + self.limits.deadline;
        let claims = |key| self.questions.claim(key, self.worker, recipient.asked, deadline);
        let asks = inquiry.key.as_ref().is_none_or(claims);
        let id = FlightId(self.next_number());
        if let Some(key) = &inquiry.key {
            self.joinable.insert(Arc::clone(key), id);
        }
        let flight = Flight {
            plan: Plan::new(policy, &mut self.random),
            inquiry,
            waiters: vec![Waiter::new(&recipient)],
            transport: policy.transport.of(&recipient.client),
            attempts: Vec::new(),
            deadline,
            timer: deadline,
            trouble: None,
            only_silence: true,
            asks,
            followers: Vec::new(),
            second_best: None,
        };
        self.timers.insert((deadline, Due::Flight(id)));
        self.flights.insert(id, flight);
        if !asks {
            route.block.tally.joined.add(1);
            return Ok(());
        }
        policy.state.in_use.fetch_add(1, Relaxed);
        if !self.answered_meanwhile(taken, id, outbox) {
            self.next_step(recipient.asked, id, outbox);
        }
        Ok(())
    }

    /// Another worker may have kept the answer and released the question between our look into the cache and our
    /// claim.
    fn answered_meanwhile(&mut self, taken: &Taken<'_>, id: FlightId, outbox: &mut Outbox) -> bool {
        if taken.route.block.cache_for(taken.query.name.as_wire()).is_none() {
            return false;
        }
        let now = taken.recipient.asked;
        let key = self.flights.get(&id).and_then(|flight| flight.inquiry.key.clone());
        let found = key.and_then(|key| {
            let (entry, remaining) = self.front.get(&key, now)?;
            let (answer, ttl) = (entry.answer.clone(), Ttl::Uniform(remaining));
            Some(Outcome(Ended::Answered { answer, ttl, writer: Writer::Cache }))
        });
        let Some(outcome) = found else { return false };
        if let Some(flight) = self.end_flight(id, outbox) {
            self.tell_all(now, &flight, &outcome, outbox);
        }
        true
    }

    /// Another worker's question has ended, and ours with it.
    pub(crate) fn followed(&mut self, now: Instant, key: &[u8], outcome: &Outcome, outbox: &mut Outbox) {
        let Some(&id) = self.joinable.get(key) else { return };
        if self.flights.get(&id).is_some_and(|flight| flight.asks) {
            return;
        }
        if let Some(flight) = self.end_flight(id, outbox) {
            self.tell_all(now, &flight, outcome, outbox);
        }
    }

    /// Tells everyone who waits for `flight`, here and in other workers, how it ended.
    pub(crate) fn tell_all(&self, now: Instant, flight: &Flight, outcome: &Outcome, outbox: &mut Outbox) {
        let ledger = Ledger::of(&flight.inquiry.route);
        for recipient in flight.waiters.iter().map(Waiter::recipient) {
            match &outcome.0 {
                Ended::Failed(refusal) => recipient.refuse(*refusal, ledger, now, outbox),
                Ended::Answered { answer, ttl, writer } => {
                    recipient.tell(Telling { answer, ttl: *ttl, writer: *writer }, ledger, now, outbox);
                }
            }
        }
        let Some(key) = &flight.inquiry.key else { return };
        for &to in &flight.followers {
            let relay = Relay { to, key: Arc::clone(key), outcome: outcome.clone() };
            outbox.actions.push(Action::Relay(relay));
        }
    }

    /// Takes the flight out of all tables. Its attempts over UDP end with it, so that no source port stays
    /// open for guesses; those on streams may still bring an answer for the cache.
    pub(crate) fn end_flight(&mut self, id: FlightId, outbox: &mut Outbox) -> Option<Flight> {
        let mut flight = self.flights.remove(&id)?;
        self.timers.remove(&(flight.timer, Due::Flight(id)));
        if let Some(key) = &flight.inquiry.key {
            self.joinable.remove(key);
            if flight.asks {
                flight.followers = self.questions.release(key, self.worker);
            }
        }
        if let Some(forward) = flight.inquiry.forward().filter(|_| flight.asks) {
            forward.state.in_use.fetch_sub(1, Relaxed);
        }
        for &attempt in &flight.attempts {
            if self.attempts.get(&attempt).is_some_and(|attempt| attempt.transport == Transport::Udp) {
                self.drop_attempt(attempt);
                outbox.actions.push(Action::Forget(attempt));
            }
        }
        Some(flight)
    }
}

/// Refuses a query that no upstream is asked for.
fn refuse(taken: &Taken<'_>, cause: Cause, outbox: &mut Outbox) {
    let Taken { query, recipient, route } = taken;
    let rcode = match cause {
        Cause::TooManyConcurrent(_) => Rcode::REFUSED,
        _ => Rcode::SERVFAIL,
    };
    report(route, (rcode, query.qtype, query.name.as_wire()), cause, outbox);
    recipient.refuse(Refusal::bare(rcode), Ledger::of(route), recipient.asked, outbox);
}

fn joinable(taken: &Taken<'_>) -> bool {
    taken.query.qclass == Class::IN && taken.recipient.wants_recursion()
}
