//! Upstreams: selection, attempts, hedging, RTT estimates, health checks, connection pools and the
//! disposition of responses. [`Upstreams`] turns decisions of the resolver into attempts and keeps
//! their state.
//!
//! An attempt is sent through the [`pool`] of its upstream, which places it on a
//! [`connection`](connections), and reports it as [lost](loss) if that connection ends.

pub(crate) mod attempt;
mod attempts;
mod connection;
pub(crate) mod connection_use;
mod connections;
mod dial_back_off;
mod dialler;
pub(crate) mod disposition;
pub(crate) mod edns_fallback;
pub(crate) mod fallback;
mod health;
mod hedge;
mod idle;
mod lifetime;
pub(crate) mod loss;
mod pending;
mod placement;
mod pool;
pub(crate) mod pools;
pub(crate) mod probe;
mod quarantine;
pub(crate) mod query;
mod queue;
mod rtt;
pub(crate) mod selection;
mod silence;
mod sockets;

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use wire::edns::DEFAULT_UDP_SIZE;
use wire::header::{Flags, Rcode};
use wire::query::OutgoingQuery;

use self::attempt::{Attempt, AttemptSpec, LATE_RESPONSE_WINDOW};
use self::attempts::Attempts;
use self::connection_use::ConnectionUse;
use self::health::{HealthChecks, RunningHealthChecks};
use self::hedge::HedgeBudgets;
use self::pools::{Destination, Pools};
use self::selection::Selection;
use self::silence::SUSPECT_AFTER;
use crate::counters::rcode_index;
use crate::effects::Effects;
use crate::policy::{Forward, Policy, Upstream};
use crate::timers::{AttemptId, Timer};
use crate::transport::Transport;

/// Attempts, health checks and hedge budgets of one worker's upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    /// The way of connection events to the pools.
    pub(crate) pools: Pools,
    pub(crate) attempts: Attempts,
    health_checks: RunningHealthChecks,
    hedges: HedgeBudgets,
}

impl Upstreams {
    /// `seed` must be unpredictable: message IDs derive from it. See
    /// [`crate::policy::ResolverLimits::initial_hedges`].
    pub(crate) fn new(seed: [u8; 32], initial_hedges: u32) -> Self {
        Self {
            pools: Pools::new(seed),
            attempts: Attempts::default(),
            health_checks: RunningHealthChecks::default(),
            hedges: HedgeBudgets::new(initial_hedges),
        }
    }

    /// Orders the upstreams of `forward` for a new query.
    pub(crate) fn select(&mut self, forward: &Forward) -> Selection {
        Selection::new(forward, self.pools.random())
    }

    /// Sends a query that must end by `deadline`; `None` when it can neither be sent nor queued.
    pub(crate) fn send(
        &mut self,
        spec: AttemptSpec,
        deadline: Instant,
        effects: &mut Effects<'_>,
    ) -> Option<AttemptId> {
        let now = effects.now;
        let transport = spec.transport_to(spec.query.upstream(spec.upstream)?);
        let AttemptSpec { query_id, query, upstream: index, edns, usage, is_hedge, has_client, .. } = spec;
        let (forward, upstream) = query.forward().zip(query.upstream(index))?;
        let changes = &query.route.block.message_changes;
        let outgoing = OutgoingQuery {
            id: 0,
            question: query.sent_question(),
            recursion_desired: changes.recursion_desired.unwrap_or_else(|| query.flags.has(Flags::RD)),
            checking_disabled: query.flags.has(Flags::CD),
            edns,
            dnssec_ok: query.dnssec_ok,
            udp_size: query.route.block.udp_size.min(DEFAULT_UDP_SIZE),
            options: query.sent_options(),
        };
        let until = (now + forward.options.read_timeout).min(deadline);
        let destination = Destination { upstream, transport, usage, has_client, deadline: until };
        let attempt_id = self.pools.send(&outgoing, &destination, effects)?;
        let backs_off = !spec.has_alternative && !upstream.state.loses_packets(now);
        let rto = rtt::rto(&upstream.state, backs_off);
        if !is_hedge && spec.probe.is_none() {
            self.hedges.refill(upstream.id);
        }
        let mut attempt = Attempt {
            query: Rc::clone(&query),
            query_id,
            upstream: index,
            transport,
            edns,
            sent: now,
            timer: until,
            until,
            // The attempt that it repeats has one.
            rto_at: (usage != ConnectionUse::Proven).then(|| now + rto),
            check_at: (transport == Transport::Tcp)
                .then(|| now + rtt::acknowledgment_timeout(&upstream.state, now)),
            responses_before: upstream.state.responses.load(Relaxed),
            late: false,
            is_repeated: false,
            was_alone: spec.was_alone,
            usage,
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

    /// True when an attempt has been sent, false while it waits for a connection.
    pub(crate) fn is_sent(&self, id: AttemptId) -> bool {
        let upstream = self.attempts.get(id).and_then(|attempt| attempt.sent_to());
        upstream.map(|upstream| upstream.id).is_some_and(|upstream| self.pools.is_sent(upstream, id))
    }

    /// The clients of these attempts have their response: those that wait for a connection come
    /// after those whose clients wait.
    pub(crate) fn demote(&mut self, attempts: &[AttemptId]) {
        for &id in attempts {
            let Some(attempt) = self.attempts.get(id) else { continue };
            if let Some(upstream) = attempt.sent_to() {
                self.pools.with_pool(upstream.id, |pool| pool.demote(id));
            }
        }
    }

    /// The RTO of an attempt has passed, or its octets should be acknowledged: lets the worker check
    /// that. For the RTO, true when nothing was received; see [`Attempt::pass_rto`].
    pub(crate) fn on_attempt_timer(&mut self, id: AttemptId, effects: &mut Effects<'_>) -> Option<bool> {
        let is_sent = self.is_sent(id);
        let attempt = self.attempts.get_mut(id)?;
        let is_rto_over = attempt.rto_at.is_some_and(|at| effects.now >= at);
        let nothing_received = is_rto_over.then(|| attempt.pass_rto());
        let sent_before = attempt.check_acknowledged(effects.now, is_sent);
        attempt.timer = attempt.next_event();
        effects.timers.schedule(attempt.timer, Timer::Attempt(id));
        let upstream = attempt.sent_to().map(|upstream| upstream.id);
        if let Some((upstream, sent_before)) = upstream.zip(sent_before) {
            self.pools.with_pool(upstream, |pool| pool.check_acknowledged(id, sent_before, effects.outbox));
        }
        nothing_received.filter(|_| is_sent)
    }

    /// Marks an attempt as late: it has timed out, but its response may still be cached.
    pub(crate) fn mark_late(&mut self, id: AttemptId, effects: &mut Effects<'_>) -> Option<&Attempt> {
        let attempt = self.attempts.get_mut(id)?;
        attempt.pass_rto();
        if let Some(upstream) = attempt.sent_to() {
            self.pools.with_pool(upstream.id, |pool| pool.release(id, effects));
        }
        attempt.late = true;
        attempt.timer = effects.now + LATE_RESPONSE_WINDOW;
        effects.timers.schedule(attempt.timer, Timer::Attempt(id));
        Some(attempt)
    }

    /// Removes an attempt. A response that still arrives for it is discarded.
    pub(crate) fn remove(&mut self, id: AttemptId, effects: &mut Effects<'_>) -> Option<Attempt> {
        let attempt = self.attempts.remove(id)?;
        if let Some(upstream) = attempt.sent_to() {
            self.pools.abandon(upstream.id, id, effects);
        }
        effects.timers.cancel(attempt.timer, Timer::Attempt(id));
        Some(attempt)
    }

    /// Removes those of `attempts` that are not to deliver a response after their query has ended:
    /// those that were not sent, and those over UDP, where it could be spoofed at leisure. Probes
    /// show whether their upstream responds.
    pub(crate) fn remove_ended(&mut self, attempts: &[AttemptId], effects: &mut Effects<'_>) {
        for &id in attempts {
            let Some(attempt) = self.attempts.get(id) else { continue };
            let Some(upstream) = attempt.sent_to() else { continue };
            let (is_udp, upstream) = (attempt.transport == Transport::Udp, upstream.id);
            let is_sent = self.pools.is_sent(upstream, id);
            if !is_sent || is_udp && !attempt.is_probe() {
                self.remove(id, effects);
            }
        }
    }

    /// Another attempt of the query at the same upstream that has been sent and neither timed
    /// out nor been repeated.
    pub(crate) fn sibling(
        &self,
        attempts: &[AttemptId],
        id: AttemptId,
        upstream: usize,
    ) -> Option<AttemptId> {
        let is_sibling = |other: &&AttemptId| {
            let attempt = self.attempts.get(**other);
            let is_alike = |attempt: &Attempt| attempt.is_promising() && attempt.upstream == upstream;
            **other != id && attempt.is_some_and(is_alike)
        };
        attempts.iter().filter(is_sibling).find(|sibling| self.is_sent(**sibling)).copied()
    }

    /// Makes the connection of an attempt its own if it carries nothing else.
    pub(crate) fn dedicate(&mut self, id: AttemptId) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        attempt.usage = ConnectionUse::Dedicated;
        if let Some(upstream) = attempt.sent_to() {
            self.pools.with_pool(upstream.id, |pool| pool.dedicate(id));
        }
    }

    /// Closes the connections of upstreams that `policy` does not have when they are done, and drops
    /// their hedge budgets.
    pub(crate) fn set_policy(&mut self, policy: &Policy, effects: &mut Effects<'_>) {
        self.health_checks().stop(effects);
        self.pools.retain(|upstream| policy.has_upstream(upstream), effects);
        self.hedges.retain(|upstream| policy.has_upstream(upstream));
    }

    /// An attempt has a response: its connection is free for another query.
    pub(crate) fn responded(&mut self, id: AttemptId, effects: &mut Effects<'_>) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let Some(upstream) = attempt.sent_to().map(|upstream| upstream.id) else { return };
        let Some(rtt) = self.pools.responded(upstream, id, effects) else { return };
        attempt.sent = effects.now.checked_sub(rtt).unwrap_or(attempt.sent);
        attempt.record_response(effects.now);
        if attempt.usage == ConnectionUse::Proven && attempt.was_alone && rtt <= SUSPECT_AFTER {
            self.pools.with_pool(upstream, |pool| pool.not_served(effects.now));
        }
    }

    /// Counts a response: latency and health of its upstream.
    pub(crate) fn record_response(&mut self, now: Instant, id: AttemptId, rcode: Rcode) {
        let Some(attempt) = self.attempts.get(id) else { return };
        let query = &attempt.query;
        let Some((forward, upstream)) = query.forward().zip(attempt.sent_to()) else { return };
        let rtt = now.saturating_duration_since(attempt.sent);
        if let Some(durations) = upstream.counters.request_durations.get(rcode_index(rcode)) {
            durations.observe(rtt);
        }
        upstream.state.record_rtt(now, rtt);
        if !upstream.state.loses_packets(now) || !rtt::may_be_retransmitted(&upstream.state, rtt) {
            rtt::observe(&upstream.state, rtt.min(forward.options.read_timeout));
        }
        forward.state.outage.record_response(now);
    }

    /// Notes a truncated response over UDP: its upstream responds.
    pub(crate) fn record_truncated(&self, now: Instant, id: AttemptId) {
        if let Some(forward) = self.attempts.get(id).and_then(|attempt| attempt.query.forward()) {
            forward.state.outage.record_response(now);
        }
    }

    /// A message with the ID of an attempt has another question: the connection is quarantined.
    pub(crate) fn mismatched(&mut self, id: AttemptId, effects: &mut Effects<'_>) {
        let Some(attempt) = self.attempts.get(id) else { return };
        attempt.query.route.block.counters.cache_drops.add(1);
        self.out_of_step(id, effects);
    }

    /// The connection of an attempt has delivered a message that is out of step: it is quarantined.
    pub(crate) fn out_of_step(&mut self, id: AttemptId, effects: &mut Effects<'_>) {
        let Some(attempt) = self.attempts.get(id) else { return };
        if let Some(upstream) = attempt.sent_to() {
            self.pools.mismatched(upstream.id, id, effects);
        }
    }

    pub(crate) fn health_checks(&mut self) -> HealthChecks<'_> {
        HealthChecks { running: &mut self.health_checks, pools: &mut self.pools }
    }
}
