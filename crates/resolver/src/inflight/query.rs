//! An in-flight query: one question, its waiters, and its attempts at upstreams.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use wire::header::Rcode;

use super::losses::Losses;
use super::memory::Reservation;
use super::waiters::Waiter;
use crate::action::{AttemptFailure, LookupId, WorkerId};
use crate::cache::stale::StaleAnswer;
use crate::policy::{Forward, UpstreamId};
use crate::timers::AttemptId;
use crate::transport::Transport;
use crate::upstream::attempt::Attempt;
use crate::upstream::fallback::FallbackResponse;
use crate::upstream::query::UpstreamQuery;
use crate::upstream::selection::{Candidate, ROUNDS, Selection};

/// What a worker does for an in-flight query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends it upstream; equal queries of this and other workers join it.
    Owner,
    /// Waits for the result that the owner shares.
    Subscriber,
    /// Sends it upstream for the cache; no query joins it.
    Detached,
}

/// A query in flight.
#[derive(Debug)]
pub(crate) struct InflightQuery {
    pub(crate) query: Rc<UpstreamQuery>,
    pub(crate) waiters: Vec<Waiter>,
    /// Transport of the next attempt.
    pub(crate) transport: Transport,
    pub(crate) selection: Selection,
    /// Attempts that may still deliver a response, late ones included.
    pub(crate) attempts: Vec<AttemptId>,
    /// When waiters get a response at the latest.
    pub(crate) deadline: Instant,
    /// When its pending timer fires: the end of a retry pause, or the deadline.
    pub(crate) timer: Instant,
    /// The upstream of the response that its waiters get, or that was queried last.
    pub(crate) upstream: Option<UpstreamId>,
    pub(crate) last_failure: Option<(AttemptFailure, Transport, SocketAddr)>,
    /// When an attempt failed for the first time.
    pub(crate) first_failure: Option<Instant>,
    /// No attempt has failed other than by a timeout.
    pub(crate) nothing_received: bool,
    /// An attempt timed out.
    pub(crate) has_timed_out: bool,
    pub(crate) losses: Losses,
    /// Started by a prefetch or a stale answer, without a waiter.
    pub(crate) is_refresh: bool,
    pub(crate) role: Role,
    /// Workers to share the result with; known once the query has been removed from the table.
    pub(crate) subscribers: Vec<WorkerId>,
    /// Relayed if no better response follows.
    pub(crate) fallback_response: Option<FallbackResponse>,
    /// The lookup of another CNAME target that it waits for, with the response in hand as the
    /// fallback response.
    pub(crate) lookup: Option<LookupId>,
    /// Served if the upstreams fail or are too slow; without `serve_stale`, if it is an outage.
    pub(crate) stale_answer: Option<StaleAnswer>,
    /// Responses received from the forward's upstreams before it started.
    pub(crate) responses_before: u64,
    /// Its memory, freed on drop.
    pub(crate) _memory: Reservation,
}

impl InflightQuery {
    /// Memory of an in-flight query at most: its places in tables that grow by doubling, the texts
    /// that they hold, and its attempts at each upstream. `tests/allocations.rs` measures it.
    pub(crate) fn octets(query: &UpstreamQuery) -> usize {
        /// Of the tables of in-flight queries, of queries to send, and of timers.
        const TABLES: usize = 300;
        /// Question, name, key, and message in the queue of a connection pool.
        const TEXTS: usize = 4;
        /// Beside its place in the table: timer, pending query of a connection.
        const ATTEMPT_OVERHEAD: usize = 330;
        let upstreams = query.forward().map_or(0, |forward| forward.upstreams.len());
        let attempt = 2 * size_of::<Attempt>() + ATTEMPT_OVERHEAD;
        let sizes = size_of::<Self>() + size_of::<UpstreamQuery>();
        let cut_for = query.cut_for.as_ref().map_or(0, |name| name.len());
        let rewritten = query.rewritten.as_ref().map_or(0, |one| size_of_val(&**one) + one.heap_len());
        sizes + TABLES + TEXTS * query.question.len() + cut_for + rewritten + ROUNDS * upstreams * attempt
    }

    /// A query without waiters that this worker sends to the upstreams of `forward`.
    pub(crate) fn new(
        query: Rc<UpstreamQuery>,
        forward: &Forward,
        selection: Selection,
        (deadline, memory): (Instant, Reservation),
    ) -> Self {
        Self {
            transport: forward.options.transport.for_client(query.client_transport),
            query,
            waiters: Vec::new(),
            selection,
            attempts: Vec::new(),
            deadline,
            timer: deadline,
            upstream: None,
            last_failure: None,
            first_failure: None,
            nothing_received: true,
            has_timed_out: false,
            losses: Losses::default(),
            is_refresh: false,
            role: Role::Owner,
            subscribers: Vec::new(),
            fallback_response: None,
            lookup: None,
            stale_answer: None,
            responses_before: forward.state.outage.responses(),
            _memory: memory,
        }
    }

    /// True during the pause before an upstream is tried again.
    pub(crate) fn is_paused(&self) -> bool {
        self.timer < self.deadline
    }

    /// The next candidate. With a fallback response in hand, only upstreams not tried yet.
    pub(crate) fn peek(&self) -> Option<Candidate> {
        let candidate = self.selection.peek(self.query.forward()?)?;
        let is_excluded = self.losses.excludes(candidate.upstream)
            || self.fallback_response.is_some() && candidate.is_repeated();
        (!is_excluded).then_some(candidate)
    }

    /// True when a truncated response in hand is preferred to a response with this code.
    pub(crate) fn prefers_fallback(&self, rcode: Rcode) -> bool {
        let is_error = !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        is_error && self.fallback_response.as_ref().is_some_and(FallbackResponse::is_truncated)
    }

    /// Takes the candidate that [`Self::peek`] returns.
    pub(crate) fn take(&mut self) -> Option<Candidate> {
        let candidate = self.peek()?;
        self.selection.take(candidate);
        Some(candidate)
    }

    /// The candidate for the hedge or retransmission of an attempt, if one makes sense: a client
    /// waits. A hedge itself is only hedged on upstreams not tried yet, and so is any attempt with a
    /// fallback response in hand.
    pub(crate) fn hedge_candidate(&self, is_hedge: bool) -> Option<Candidate> {
        let rounds = if is_hedge || self.fallback_response.is_some() { 1 } else { ROUNDS };
        let candidate = self.selection.peek_hedge(self.query.forward()?)?;
        let makes_sense = candidate.round < rounds && !self.is_paused() && !self.waiters.is_empty();
        makes_sense.then_some(candidate)
    }

    /// Records an attempt that failed at `now`.
    pub(crate) fn record_failure(
        &mut self,
        now: Instant,
        failure: AttemptFailure,
        transport: Transport,
        upstream: SocketAddr,
    ) {
        self.last_failure = Some((failure, transport, upstream));
        self.first_failure.get_or_insert(now);
        self.nothing_received &= failure.nothing_received();
        self.has_timed_out |= failure.nothing_received();
    }

    /// True after [`Self::switch_forward`]: an upstream has responded to the query.
    pub(crate) fn has_switched_forward(&self) -> bool {
        self.query.forward != self.query.route.block.forward_for(self.query.sent_name())
    }

    /// Switches to another `forward` of the block, in the time that is left. Returns the attempts
    /// of the previous one.
    pub(crate) fn switch_forward(
        &mut self,
        query: Rc<UpstreamQuery>,
        to: &Forward,
        selection: Selection,
    ) -> Vec<AttemptId> {
        if self.role == Role::Owner {
            if let Some(from) = self.query.forward() {
                from.state.inflight_queries.fetch_sub(1, Relaxed);
            }
            to.state.inflight_queries.fetch_add(1, Relaxed);
        }
        self.transport = to.options.transport.for_client(query.client_transport);
        self.selection = selection;
        self.fallback_response = None;
        self.losses = Losses::default();
        self.first_failure = None;
        self.responses_before = to.state.outage.responses();
        self.query = query;
        std::mem::take(&mut self.attempts)
    }
}
