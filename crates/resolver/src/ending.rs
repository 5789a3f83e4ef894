//! How a question ends: what is kept, and what those who wait are told.

use std::sync::Arc;
use std::time::Instant;

use wire::answer::Ttl;
use wire::edns::ExtendedError;
use wire::header::{Class, Rcode, RecordType};
use wire::response::Kind;
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{Action, Cause, Failure, Outbox, Trouble};
use crate::answering::Refusal;
use crate::cache::{Entry, Standing, Terms};
use crate::flight::{Attempt, FlightId, Inquiry};
use crate::life::Life;
use crate::policy::Route;
use crate::questions::{Ended, Outcome};
use crate::tally::Writer;

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
        let block = &inquiry.route.block;
        let Some(policy) = &block.cache else { return };
        let (key, answer, occupancy) = (Arc::clone(key), answer.clone(), Arc::clone(&block.occupancy));
        let (lifetime, standing) = (life.ttl, Standing::default());
        let entry = Entry { key, answer, stored: now, lifetime, store, occupancy, standing };
        if !self.front.insert(Arc::new(entry), Terms::of(policy, store)) {
            block.tally.cache_oversized.add(1);
        }
    }

    /// Tells everyone who waits that there is no answer.
    pub(crate) fn give_up(&mut self, now: Instant, id: FlightId, outbox: &mut Outbox) {
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
}

/// What decides whether an answer is kept.
struct Kept<'a> {
    inquiry: &'a Inquiry,
    key: &'a Arc<[u8]>,
    life: Life,
    kind: Kind,
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
