//! Upstreams: selection, attempts, hedging, RTT estimates, health checks, mismatches and the
//! disposition of responses. [`Upstreams`] turns decisions of the resolver into attempts and keeps
//! their state.

pub(crate) mod attempt;
pub(crate) mod disposition;
pub(crate) mod fallback;
mod health;
mod hedge;
pub(crate) mod mismatch;
pub(crate) mod probe;
pub(crate) mod query;
mod rtt;
pub(crate) mod selection;
mod sender;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use wire::edns::DEFAULT_UDP_SIZE;
use wire::header::{Flags, Rcode};
use wire::query::OutgoingQuery;

use self::attempt::{Attempt, AttemptSpec, LATE_RESPONSE_WINDOW};
use self::health::HealthChecks;
use self::hedge::HedgeBudgets;
use self::mismatch::MismatchAction;
use self::query::UpstreamQuery;
use self::selection::Selection;
use self::sender::{Destination, QuerySender};
use crate::action::{Action, AttemptFailure, AttemptId, Outbox};
use crate::counters::rcode_index;
use crate::effects::Effects;
use crate::policy::{Forward, Upstream};
use crate::timers::{Timer, Timers};
use crate::transport::Transport;

/// Attempts, health checks and hedge budgets of one worker's upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    sender: QuerySender,
    attempts: HashMap<AttemptId, Attempt>,
    health_checks: HealthChecks,
    hedges: HedgeBudgets,
}

impl Upstreams {
    /// `seed` must be unpredictable: message IDs derive from it. See
    /// [`crate::policy::ResolverLimits::initial_hedges`].
    pub(crate) fn new(seed: [u8; 32], initial_hedges: u32) -> Self {
        Self {
            sender: QuerySender::new(seed),
            attempts: HashMap::new(),
            health_checks: HealthChecks::default(),
            hedges: HedgeBudgets::new(initial_hedges),
        }
    }

    /// Orders the upstreams of `forward` for a new query.
    pub(crate) fn select(&mut self, forward: &Forward) -> Selection {
        Selection::new(forward, self.sender.random())
    }

    pub(crate) fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.get(&id)
    }

    /// Sends a query that must end by `deadline`; `None` when no message ID is free.
    pub(crate) fn send(
        &mut self,
        spec: AttemptSpec,
        deadline: Instant,
        effects: &mut Effects<'_>,
    ) -> Option<AttemptId> {
        let now = effects.now;
        let transport = spec.transport_to(spec.query.upstream(spec.upstream)?);
        let AttemptSpec { query_id, query, upstream: index, edns, is_retry, is_hedge, .. } = spec;
        let (forward, upstream) = query.forward().zip(query.upstream(index))?;
        let outgoing = OutgoingQuery {
            id: 0,
            question: &query.question,
            recursion_desired: query.flags.has(Flags::RD),
            checking_disabled: query.flags.has(Flags::CD),
            edns,
            dnssec_ok: query.dnssec_ok,
            udp_size: query.route.block.udp_size.min(DEFAULT_UDP_SIZE),
        };
        let destination =
            Destination { upstream: upstream.id, transport, fresh: spec.fresh, until: deadline };
        let (attempt_id, id) = self.sender.send(outgoing, &destination, effects.outbox)?;
        let until = (now + forward.options.read_timeout).min(deadline);
        let rto = rtt::rto(&upstream.state, spec.has_alternative);
        if !is_hedge && spec.probe.is_none() {
            self.hedges.refill(upstream.id);
        }
        let mut attempt = Attempt {
            query: Rc::clone(&query),
            query_id,
            upstream: index,
            transport,
            id,
            edns,
            sent: now,
            timer: until,
            until,
            rto_at: Some(now + rto),
            responses_before: upstream.state.responses.load(Relaxed),
            mismatches: 0,
            mismatch_deadline: None,
            late: false,
            is_retry,
            is_hedge,
            probe: spec.probe,
        };
        attempt.timer = attempt.next_event();
        effects.timers.schedule(attempt.timer, Timer::Attempt(attempt_id));
        self.attempts.insert(attempt_id, attempt);
        Some(attempt_id)
    }

    /// Takes a hedge from the budget of an upstream and counts it; false when the budget is
    /// exhausted, or without hedging.
    pub(crate) fn take_hedge(&mut self, upstream: &Upstream) -> bool {
        self.hedges.try_take(upstream)
    }

    /// The RTO of an attempt has passed; see [`Attempt::pass_rto`].
    pub(crate) fn pass_rto(&mut self, id: AttemptId, timers: &mut Timers) -> bool {
        let Some(attempt) = self.attempts.get_mut(&id) else { return false };
        let nothing_received = attempt.pass_rto();
        attempt.timer = attempt.next_event();
        timers.schedule(attempt.timer, Timer::Attempt(id));
        nothing_received
    }

    /// Marks an attempt as late: it has timed out, but its response may still be cached.
    pub(crate) fn mark_late(&mut self, now: Instant, id: AttemptId, timers: &mut Timers) -> Option<&Attempt> {
        let attempt = self.attempts.get_mut(&id)?;
        attempt.pass_rto();
        attempt.late = true;
        attempt.timer = now + LATE_RESPONSE_WINDOW;
        timers.schedule(attempt.timer, Timer::Attempt(id));
        Some(attempt)
    }

    /// Removes an attempt.
    pub(crate) fn remove(&mut self, id: AttemptId, timers: &mut Timers) -> Option<Attempt> {
        let attempt = self.attempts.remove(&id)?;
        self.sender.release(attempt.id);
        timers.cancel(attempt.timer, Timer::Attempt(id));
        Some(attempt)
    }

    /// Cancels those of `attempts` that use UDP, so that no source port stays open for spoofed
    /// responses. Those on streams may still deliver a response for the cache, and probes show
    /// whether their upstream responds.
    pub(crate) fn cancel_udp(&mut self, attempts: &[AttemptId], timers: &mut Timers, outbox: &mut Outbox) {
        let ends = |attempt: &Attempt| attempt.transport == Transport::Udp && !attempt.is_probe();
        for &id in attempts {
            if self.attempts.get(&id).is_some_and(ends) {
                self.remove(id, timers);
                outbox.actions.push(Action::CancelAttempt(id));
            }
        }
    }

    /// Counts a response: latency and health of its upstream.
    pub(crate) fn record_response(&mut self, now: Instant, id: AttemptId, rcode: Rcode) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let query = &attempt.query;
        let Some((forward, upstream)) = query.forward().zip(query.upstream(attempt.upstream)) else { return };
        let rtt = now.saturating_duration_since(attempt.sent);
        if let Some(durations) = upstream.counters.request_durations.get(rcode_index(rcode)) {
            durations.observe(rtt);
        }
        rtt::observe(&upstream.state, rtt.min(forward.options.read_timeout));
        forward.state.outage.record_response(now);
    }

    /// Notes a truncated response over UDP: its upstream responds.
    pub(crate) fn record_truncated(&self, now: Instant, id: AttemptId) {
        if let Some(forward) = self.attempts.get(&id).and_then(|attempt| attempt.query.forward()) {
            forward.state.outage.record_response(now);
        }
    }

    /// Counts a message that does not match its attempt. A stream that delivered one is
    /// quarantined.
    pub(crate) fn record_mismatch(
        &mut self,
        id: AttemptId,
        effects: &mut Effects<'_>,
    ) -> Option<MismatchAction> {
        let attempt = self.attempts.get_mut(&id)?;
        attempt.query.route.block.counters.cache_drops.add(1);
        if let Some(upstream) = attempt.query.upstream(attempt.upstream) {
            upstream.counters.mismatched_responses.add(1);
        }
        let action = attempt.record_mismatch(effects.now);
        if attempt.transport == Transport::Tcp && attempt.mismatches == 1 {
            effects.outbox.actions.push(Action::QuarantineConnection(id));
        }
        if action == MismatchAction::Await && !attempt.late {
            effects.timers.cancel(attempt.timer, Timer::Attempt(id));
            attempt.timer = attempt.next_event();
            effects.timers.schedule(attempt.timer, Timer::Attempt(id));
        }
        Some(action)
    }

    /// True when an attempt other than `attempt` waits for a response of another upstream.
    pub(crate) fn another_upstream_waits(&self, attempts: &[AttemptId], attempt: &Attempt) -> bool {
        let mut waiting = attempts.iter().filter_map(|id| self.attempts.get(id));
        waiting.any(|other| !other.late && !other.is_probe() && other.upstream != attempt.upstream)
    }

    /// Upstreams outrun by a hedge or retry: queried over UDP before the one that has responded,
    /// and still silent. Their attempts are cancelled, so that no timeout will show whether
    /// they are down.
    pub(crate) fn outrun_by(&self, winner: &Attempt, attempts: &[AttemptId]) -> Vec<usize> {
        let waiting = attempts.iter().filter_map(|id| self.attempts.get(id));
        let outrun = waiting.filter(|other| {
            let is_other = other.upstream != winner.upstream;
            is_other && other.transport == Transport::Udp && other.sent < winner.sent
        });
        outrun.map(|other| other.upstream).collect()
    }

    /// Starts the health check of an upstream of `query`, unless one runs or they are disabled.
    pub(crate) fn start_health_check(
        &mut self,
        query: &UpstreamQuery,
        upstream: usize,
        effects: &mut Effects<'_>,
    ) {
        self.health_checks.start(query, upstream, &mut self.sender, effects);
    }

    pub(crate) fn is_health_check(&self, attempt: AttemptId) -> bool {
        self.health_checks.contains(attempt)
    }

    /// A message received for a health check; ignored for an unknown attempt.
    pub(crate) fn on_health_check_response(
        &mut self,
        attempt: AttemptId,
        packet: &[u8],
        effects: &mut Effects<'_>,
    ) {
        self.health_checks.on_response(attempt, packet, &mut self.sender, effects);
    }

    /// A health check's query failed.
    pub(crate) fn on_health_check_failure(
        &mut self,
        attempt: AttemptId,
        failure: AttemptFailure,
        effects: &mut Effects<'_>,
    ) {
        self.health_checks.on_failure(attempt, failure, &mut self.sender, effects);
    }

    /// A health check's timer fired.
    pub(crate) fn on_health_check_timer(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) {
        self.health_checks.on_timer(attempt, &mut self.sender, effects);
    }

    /// Ends all health checks.
    pub(crate) fn stop_health_checks(&mut self, timers: &mut Timers, outbox: &mut Outbox) {
        self.health_checks.stop(&mut self.sender, timers, outbox);
    }
}
