//! Completed queries whose waiters have not all got their response: a large response to many
//! waiters is written in shares, so that the outbox stays small and other events come in between.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::vec;

use wire::header::Rcode;

use super::memory::Reservation;
use super::waiters::Waiter;
use crate::cache::Entry;
use crate::cache::stale::respond_stale;
use crate::counters::WorkerCounters;
use crate::effects::Effects;
use crate::respond::{QueryCounters, ResponseSpec};
use crate::result::{ErrorResponse, QueryResult};
use crate::timers::Timer;
use crate::upstream::query::UpstreamQuery;

/// A query with what its waiters get.
#[derive(Debug)]
pub(super) struct CompletedQuery<'a> {
    query: Rc<UpstreamQuery>,
    /// Of the responses.
    upstream: Option<SocketAddr>,
    outcome: Outcome<'a>,
    /// Those without a response, in order of arrival.
    waiters: vec::IntoIter<Waiter>,
    /// Of the result or the stale answer while it is kept; freed on drop.
    memory: Option<Reservation>,
}

#[derive(Debug)]
pub(super) enum Outcome<'a> {
    Result(Cow<'a, QueryResult>),
    Stale(Entry),
}

/// Completed queries of one worker, each with waiters. [`Timer::Respond`] is pending if there is
/// one.
#[derive(Debug)]
pub(super) struct Completed {
    counters: Arc<WorkerCounters>,
    queries: VecDeque<CompletedQuery<'static>>,
}

impl Completed {
    pub(super) fn new(counters: Arc<WorkerCounters>) -> Self {
        Self { counters, queries: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Responds to the waiters of a query, to those beyond the capacity of the outbox by timer. If
    /// there is no memory for the response until then, they get SERVFAIL: returns false.
    pub(super) fn respond(&mut self, mut query: CompletedQuery<'_>, effects: &mut Effects<'_>) -> bool {
        query.respond(effects);
        let Some(waiter) = query.waiters.as_slice().first() else { return true };
        query.memory = waiter.reserve_shared(query.outcome.octets());
        let is_reserved = query.memory.is_some();
        if !is_reserved {
            self.counters.inflight_full.add(query.waiters.len() as u64);
            query.outcome = Outcome::SERVFAIL;
        }
        if self.queries.is_empty() {
            effects.timers.schedule(effects.now, Timer::Respond);
        }
        self.queries.push_back(query.into_owned());
        is_reserved
    }

    /// Responds to further waiters, of one query after the other in turn.
    pub(super) fn on_timer(&mut self, effects: &mut Effects<'_>) {
        while !effects.outbox.is_full()
            && let Some(mut query) = self.queries.pop_front()
        {
            query.respond(effects);
            if !query.is_done() {
                self.queries.push_back(query);
            }
        }
        if !self.queries.is_empty() {
            effects.timers.schedule(effects.now, Timer::Respond);
        }
    }
}

impl Outcome<'_> {
    const SERVFAIL: Self = Self::Result(Cow::Owned(QueryResult::Error {
        response: ErrorResponse::new(Rcode::SERVFAIL),
        is_outage: false,
    }));

    /// Memory of the response.
    fn octets(&self) -> usize {
        match self {
            Self::Stale(entry) => entry.answer().octets().len(),
            Self::Result(result) => match &**result {
                QueryResult::Response { answer, .. } => answer.borrowed().octets().len(),
                QueryResult::Error { .. } => 0,
            },
        }
    }
}

impl<'a> CompletedQuery<'a> {
    pub(super) fn new(
        (query, upstream): (Rc<UpstreamQuery>, Option<SocketAddr>),
        outcome: Outcome<'a>,
        waiters: Vec<Waiter>,
    ) -> Self {
        Self { query, upstream, outcome, waiters: waiters.into_iter(), memory: None }
    }

    fn is_done(&self) -> bool {
        self.waiters.len() == 0
    }

    /// Responds to waiters until the outbox is full.
    fn respond(&mut self, effects: &mut Effects<'_>) {
        while !effects.outbox.is_full()
            && let Some(waiter) = self.waiters.next()
        {
            self.respond_to(&waiter, effects);
        }
    }

    fn respond_to(&self, waiter: &Waiter, effects: &mut Effects<'_>) {
        let actions_before = effects.outbox.actions.len();
        self.write_response(waiter, effects);
        effects.outbox.set_upstream(self.upstream);
        effects.outbox.capture_lookup_responses(actions_before);
    }

    fn write_response(&self, waiter: &Waiter, effects: &mut Effects<'_>) {
        let (requester, route) = (waiter.requester(), &self.query.route);
        let (now, outbox, counters) = (effects.now, &mut *effects.outbox, QueryCounters::of(route));
        match &self.outcome {
            Outcome::Stale(entry) => {
                if let Some(cache) = route.block.cache_for(self.query.name()) {
                    respond_stale(entry, &requester, (route, cache), now, outbox);
                }
            }
            Outcome::Result(result) => match &**result {
                QueryResult::Error { response, .. } => {
                    requester.respond_error(*response, counters, now, outbox);
                }
                QueryResult::Response { answer, ttl, plugin, .. } => {
                    let spec = ResponseSpec::resolved(answer.borrowed(), *ttl, *plugin);
                    requester.respond(spec, counters, now, outbox);
                }
            },
        }
    }

    fn into_owned(self) -> CompletedQuery<'static> {
        let Self { query, upstream, outcome, waiters, memory } = self;
        let outcome = match outcome {
            Outcome::Result(result) => Outcome::Result(Cow::Owned(result.into_owned())),
            Outcome::Stale(entry) => Outcome::Stale(entry),
        };
        CompletedQuery { query, upstream, outcome, waiters, memory }
    }
}
