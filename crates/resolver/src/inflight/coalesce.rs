//! Who waits with whom: clients of one worker join a flight, workers follow the one that asks.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use wire::answer::ResponseTtl;
use wire::header::{Class, Flags, Rcode};

use crate::Resolver;
use crate::action::{Action, Cause, Outbox, ShareResult, Transport};
use crate::cache::lookup::tell_stale;
use crate::cache::{Age, Key};
use crate::counters::Plugin;
use crate::inflight::completion::report;
use crate::inflight::query::{Due, Fallback, Flight, FlightId, Inquiry, Waiter};
use crate::inflight::shared::{QueryResult, SharedResult};
use crate::respond::{Ledger, Refusal, Taken, Telling};

impl Resolver {
    /// Joins the flight for this question, or starts one. The client is told `fallback` if upstreams are no help in time.
    pub(crate) fn ask_for(&mut self, taken: &Taken<'_>, fallback: Option<Fallback>, outbox: &mut Outbox) {
        let Taken { recipient, route, .. } = *taken;
        let Some(share) = self.shares.take(recipient.client.peer.ip(), self.limits.queries_per_client) else {
            self.counters.client_quota_full.add(1);
            return refuse(taken, Cause::TooManyOfClient, fallback, outbox);
        };
        let key = joinable(taken).then(|| Key::new(route.block.id, taken.query));
        let open = key.as_ref().and_then(|key| self.joinable.get(key.as_bytes()));
        let refused = match open.and_then(|open| Some((*open, self.flights.get_mut(open)?))) {
            Some((_, flight)) if flight.waiters.len() >= self.limits.waiters_per_query => {
                self.counters.waiters_full.add(1);
                Err((Cause::TooManyWaiters, fallback))
            }
            Some((id, flight)) => {
                route.block.counters.coalesced.add(1);
                flight.waiters.push(Waiter::new(&recipient, share));
                if let Some(fallback) = fallback.filter(|_| flight.fallback.is_none()) {
                    self.timers.insert((fallback.until, Due::Patience(id)));
                    flight.fallback = Some(fallback);
                }
                Ok(())
            }
            None => {
                let inquiry = Inquiry::new(taken, key.as_ref());
                let opening = Opening { inquiry, waiter: Some(Waiter::new(&recipient, share)), fallback };
                self.start(taken, opening, outbox).map(|_| ())
            }
        };
        if let Err((cause, fallback)) = refused {
            refuse(taken, cause, fallback, outbox);
        }
    }

    /// Asks without a client that waits, unless someone asks already. The caller knows of no failure that stands.
    pub(crate) fn refresh(&mut self, taken: &Taken<'_>, key: &Key, outbox: &mut Outbox) {
        if self.joinable.contains_key(key.as_bytes()) || self.front.renew(key.as_bytes()) {
            return;
        }
        let mut inquiry = Inquiry::new(taken, Some(key));
        inquiry.flags = inquiry.flags.with(Flags::RD);
        let opening = Opening { inquiry, waiter: None, fallback: None };
        if self.refreshes >= self.limits.refreshes {
            return self.counters.refreshes_full.add(1);
        }
        // One that there is no other room for is left to the next hit too.
        if self.start(taken, opening, outbox).is_ok_and(|asks| asks) {
            taken.route.block.counters.prefetches.add(1);
        }
    }

    /// True when this worker asks; false when another one does already.
    fn start(
        &mut self,
        taken: &Taken<'_>,
        opening: Opening,
        outbox: &mut Outbox,
    ) -> Result<bool, (Cause, Option<Fallback>)> {
        let Taken { recipient, route, .. } = *taken;
        let Opening { inquiry, waiter, fallback } = opening;
        if let Err(cause) = self.has_room_for(&inquiry) {
            return Err((cause, fallback));
        }
        let inquiry = Rc::new(inquiry);
        let Some(policy) = inquiry.forward() else { return Err((Cause::NoForward, fallback)) };
        let deadline = recipient.asked + self.limits.query_deadline;
        let claims = |key| self.shared_inflight.claim(key, self.worker, recipient.asked, deadline);
        let asks = inquiry.key.as_ref().is_none_or(claims);
        if !asks && waiter.is_none() {
            return Ok(false);
        }
        let id = FlightId(self.next_number());
        if let Some(key) = &inquiry.key {
            self.joinable.insert(Arc::clone(key), id);
        }
        if let Some(fallback) = &fallback {
            self.timers.insert((fallback.until, Due::Patience(id)));
        }
        self.refreshes += usize::from(waiter.is_none());
        let flight = Flight {
            is_refresh: waiter.is_none(),
            waiters: waiter.into_iter().collect(),
            fallback,
            asks,
            ..Flight::new(Rc::clone(&inquiry), policy, deadline, &mut self.random)
        };
        self.timers.insert((deadline, Due::Flight(id)));
        self.flights.insert(id, flight);
        if !asks {
            route.block.counters.coalesced.add(1);
            return Ok(false);
        }
        policy.state.inflight_queries.fetch_add(1, Relaxed);
        if !self.answered_meanwhile(taken, id, outbox) {
            self.next_step(recipient.asked, id, outbox);
        }
        Ok(true)
    }

    fn has_room_for(&self, inquiry: &Inquiry) -> Result<(), Cause> {
        let policy = inquiry.forward().ok_or(Cause::NoForward)?;
        if self.flights.len() >= self.limits.inflight_queries {
            self.counters.inflight_full.add(1);
            return Err(Cause::TooManyInFlight);
        }
        if policy.is_full() {
            inquiry.route.block.counters.max_concurrent_rejects.add(1);
            return Err(Cause::TooManyConcurrent(policy.max_concurrent));
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
        let Some(flight) = self.flights.get(&id).filter(|flight| !flight.waiters.is_empty()) else {
            return false;
        };
        let key = flight.inquiry.key.clone();
        let found = key.and_then(|key| match self.front.get(&key, now, Duration::ZERO)? {
            (entry, Age::Fresh(remaining)) => {
                let (answer, ttl) = (entry.answer.clone(), ResponseTtl::Uniform(remaining));
                Some(SharedResult(QueryResult::Answered { answer, ttl, plugin: Plugin::Cache, helps: true }))
            }
            (_, Age::Stale) => None,
        });
        let Some(result) = found else { return false };
        if let Some(flight) = self.end_flight(id, outbox) {
            self.tell_all(now, &flight, &result, outbox);
        }
        true
    }

    /// Another worker's question has ended, and ours with it.
    pub(crate) fn followed(&mut self, now: Instant, key: &[u8], result: &SharedResult, outbox: &mut Outbox) {
        let Some(&id) = self.joinable.get(key) else { return };
        if self.flights.get(&id).is_some_and(|flight| flight.asks) {
            return;
        }
        if let Some(flight) = self.end_flight(id, outbox) {
            self.tell_all(now, &flight, result, outbox);
        }
    }

    /// Tells everyone who waits for `flight`, here and in other workers, how it ended.
    pub(crate) fn tell_all(&self, now: Instant, flight: &Flight, result: &SharedResult, outbox: &mut Outbox) {
        if result.helps() || !tell_fallback(now, flight, outbox) {
            let ledger = Ledger::of(&flight.inquiry.route);
            for recipient in flight.waiters.iter().map(Waiter::recipient) {
                match &result.0 {
                    QueryResult::Failed(refusal) => recipient.refuse(*refusal, ledger, now, outbox),
                    QueryResult::Answered { answer, ttl, plugin, .. } => {
                        let (ttl, plugin) = (*ttl, *plugin);
                        let telling = Telling { answer, ttl, plugin, error: None, authoritative: false };
                        recipient.tell(telling, ledger, now, outbox);
                    }
                }
            }
        }
        let Some(key) = &flight.inquiry.key else { return };
        for &to in &flight.followers {
            let notice = ShareResult { to, key: Arc::clone(key), result: result.clone() };
            outbox.actions.push(Action::ShareResult(notice));
        }
    }

    /// Clients have waited long enough: they are told what is stale, and the question goes on without them.
    pub(crate) fn patience_over(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        tell_fallback(now, flight, outbox);
        flight.waiters.clear();
        flight.fallback = None;
    }

    /// Takes the flight out of all tables. Its attempts over UDP end with it, so that no source port stays
    /// open for guesses; those on streams may still bring an answer for the cache.
    pub(crate) fn end_flight(&mut self, id: FlightId, outbox: &mut Outbox) -> Option<Flight> {
        let mut flight = self.flights.remove(&id)?;
        self.timers.remove(&(flight.timer, Due::Flight(id)));
        self.refreshes -= usize::from(flight.is_refresh);
        if let Some(fallback) = &flight.fallback {
            self.timers.remove(&(fallback.until, Due::Patience(id)));
        }
        if let Some(key) = &flight.inquiry.key {
            self.joinable.remove(key);
            if flight.asks {
                flight.followers = self.shared_inflight.release(key, self.worker);
            }
        }
        if let Some(forward) = flight.inquiry.forward().filter(|_| flight.asks) {
            forward.state.inflight_queries.fetch_sub(1, Relaxed);
        }
        for &attempt in &flight.attempts {
            if self.attempts.get(&attempt).is_some_and(|attempt| attempt.transport == Transport::Udp) {
                self.drop_attempt(attempt);
                outbox.actions.push(Action::CancelAttempt(attempt));
            }
        }
        Some(flight)
    }
}

/// What a flight begins with.
struct Opening {
    inquiry: Inquiry,
    /// Nobody waits for a refresh.
    waiter: Option<Waiter>,
    fallback: Option<Fallback>,
}

/// Tells those who wait what is stale; false when there is nothing of the kind.
fn tell_fallback(now: Instant, flight: &Flight, outbox: &mut Outbox) -> bool {
    let route = &flight.inquiry.route;
    let Some(fallback) = &flight.fallback else { return false };
    let Some((cache, stale)) = route.block.stale_for(&flight.inquiry.name) else { return false };
    for recipient in flight.waiters.iter().map(Waiter::recipient) {
        tell_stale(&fallback.entry, &recipient, (route, cache, stale), now, outbox);
    }
    true
}

/// Refuses a query that no upstream is asked for, or tells it what is stale.
fn refuse(taken: &Taken<'_>, cause: Cause, fallback: Option<Fallback>, outbox: &mut Outbox) {
    let Taken { query, recipient, route } = taken;
    let stale = route.block.stale_for(query.name.as_wire());
    if let Some((fallback, (cache, stale))) = fallback.zip(stale) {
        return tell_stale(&fallback.entry, recipient, (route, cache, stale), recipient.asked, outbox);
    }
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
