//! Health checks of upstreams. A failed attempt makes one worker query the upstream until it
//! responds; after more than `max_fails` failed health checks it is down and not selected.
//! Responses to clients' queries never mark an upstream as down.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use wire::Response;
use wire::edns::DEFAULT_UDP_SIZE;
use wire::header::{Class, RecordType};
use wire::query::OutgoingQuery;

use super::query::UpstreamQuery;
use super::sender::{Destination, QuerySender};
use crate::action::{Action, AttemptFailure, AttemptId, Outbox};
use crate::effects::Effects;
use crate::policy::{Forward, Route, TransportPreference, Upstream};
use crate::timers::{Timer, Timers};
use crate::transport::Transport;

/// Timeout over UDP.
const UDP_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeout over TCP, dialling included.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);

/// Health checks of one worker, by their last attempt.
#[derive(Debug, Default)]
pub(super) struct HealthChecks {
    running: HashMap<AttemptId, RunningHealthCheck>,
}

/// The health check of one upstream of one `forward`.
#[derive(Debug)]
struct RunningHealthCheck {
    route: Arc<Route>,
    /// Index among the block's forwards.
    forward: Option<usize>,
    /// Index among its upstreams.
    upstream: usize,
    transport: Transport,
    /// Requires a connection that has carried no query yet: all queries but the first.
    fresh: bool,
    /// Message ID of the waiting query; none between two queries.
    id: Option<u16>,
    timer: Instant,
}

impl RunningHealthCheck {
    fn forward(&self) -> Option<&Forward> {
        self.route.block.forwards.get(self.forward?)
    }

    fn upstream(&self) -> Option<&Upstream> {
        self.forward()?.upstreams.get(self.upstream)
    }

    /// The question section.
    fn question(&self) -> Vec<u8> {
        let name = self.forward().map(|forward| forward.options.health_check.name.as_wire());
        let (qtype, qclass) = (RecordType::NS.0.to_be_bytes(), Class::IN.0.to_be_bytes());
        [name.unwrap_or_default(), &qtype, &qclass].concat()
    }

    /// Marks the upstream as up and its health check as ended.
    fn finish(&self) {
        if let Some(upstream) = self.upstream() {
            upstream.state.failed_health_checks.store(0, Relaxed);
            upstream.state.health_check_running.store(false, Relaxed);
        }
    }
}

impl HealthChecks {
    pub(super) fn contains(&self, id: AttemptId) -> bool {
        self.running.contains_key(&id)
    }

    /// Starts the health check of an upstream, unless one runs in any worker or they are disabled.
    pub(super) fn start(
        &mut self,
        query: &UpstreamQuery,
        upstream: usize,
        sender: &mut QuerySender,
        effects: &mut Effects<'_>,
    ) {
        let Some((forward, checked)) = query.forward().zip(query.upstream(upstream)) else { return };
        let is_disabled = forward.options.health_check.max_fails == 0;
        if is_disabled || checked.state.health_check_running.swap(true, Relaxed) {
            return;
        }
        let over_tcp = checked.encrypted || forward.options.transport == TransportPreference::ForceTcp;
        let check = RunningHealthCheck {
            route: Arc::clone(&query.route),
            forward: query.forward,
            upstream,
            transport: if over_tcp { Transport::Tcp } else { Transport::Udp },
            fresh: false,
            id: None,
            timer: effects.now,
        };
        self.send(check, sender, effects);
    }

    fn send(&mut self, mut check: RunningHealthCheck, sender: &mut QuerySender, effects: &mut Effects<'_>) {
        let Some((forward, upstream)) = check.forward().zip(check.upstream()) else { return };
        let timeout = if check.transport == Transport::Tcp { TCP_TIMEOUT } else { UDP_TIMEOUT };
        let until = effects.now + timeout;
        let destination =
            Destination { upstream: upstream.id, transport: check.transport, fresh: check.fresh, until };
        // Without OPT and DO, so that no server rejects it for EDNS.
        let query = OutgoingQuery {
            id: 0,
            question: &check.question(),
            recursion_desired: forward.options.health_check.recursion_desired,
            checking_disabled: false,
            edns: false,
            dnssec_ok: false,
            udp_size: DEFAULT_UDP_SIZE,
        };
        let Some((attempt, id)) = sender.send(query, &destination, effects.outbox) else {
            return upstream.state.health_check_running.store(false, Relaxed);
        };
        check.id = Some(id);
        check.timer = until;
        effects.timers.schedule(until, Timer::HealthCheck(attempt));
        self.running.insert(attempt, check);
    }

    /// A message received for a health check. Any response to its question ends it, whatever its
    /// RCODE.
    pub(super) fn on_response(
        &mut self,
        attempt: AttemptId,
        packet: &[u8],
        sender: &mut QuerySender,
        effects: &mut Effects<'_>,
    ) {
        let Some(check) = self.running.get(&attempt) else { return };
        let without_opt = Response::without_misplaced_opt(packet);
        let response = Response::parse(without_opt.as_deref().unwrap_or(packet)).ok();
        let matches = response.is_some_and(|response| {
            Some(response.header.id) == check.id && response.matches_question(&check.question())
        });
        match (matches, check.transport) {
            (true, transport) => {
                if transport == Transport::Udp {
                    effects.outbox.actions.push(Action::CancelAttempt(attempt));
                }
                let Some(check) = self.remove(attempt, sender, effects.timers) else { return };
                if let Some((forward, upstream)) = check.forward().zip(check.upstream()) {
                    forward.state.outage.record_response(effects.now);
                    upstream.state.record_response();
                }
                check.finish();
            }
            (false, Transport::Udp) => {}
            (false, Transport::Tcp) => {
                effects.outbox.actions.push(Action::QuarantineConnection(attempt));
                effects.outbox.actions.push(Action::CancelAttempt(attempt));
                self.on_failure(attempt, AttemptFailure::Closed { reused: false }, sender, effects);
            }
        }
    }

    /// A health check's query failed. The next follows after the interval, or at once when an idle
    /// connection had closed.
    pub(super) fn on_failure(
        &mut self,
        attempt: AttemptId,
        failure: AttemptFailure,
        sender: &mut QuerySender,
        effects: &mut Effects<'_>,
    ) {
        let Some(mut check) = self.remove(attempt, sender, effects.timers) else { return };
        let was_fresh = std::mem::replace(&mut check.fresh, true);
        if failure == (AttemptFailure::Closed { reused: true }) && !was_fresh {
            return self.send(check, sender, effects);
        }
        let Some((forward, upstream)) = check.forward().zip(check.upstream()) else { return };
        if !failure.is_local() {
            upstream.state.failed_health_checks.fetch_add(1, Relaxed);
            upstream.counters.healthcheck_failures.add(1);
        }
        check.timer = effects.now + forward.options.health_check.interval;
        effects.timers.schedule(check.timer, Timer::HealthCheck(attempt));
        self.running.insert(attempt, check);
    }

    /// The timeout of a health check's query, or the end of the interval between two.
    pub(super) fn on_timer(
        &mut self,
        attempt: AttemptId,
        sender: &mut QuerySender,
        effects: &mut Effects<'_>,
    ) {
        let Some(check) = self.running.get(&attempt) else { return };
        if check.id.is_some() {
            effects.outbox.actions.push(Action::CancelAttempt(attempt));
            return self.on_failure(attempt, AttemptFailure::TimedOut, sender, effects);
        }
        let Some(check) = self.remove(attempt, sender, effects.timers) else { return };
        let failed = check.upstream().map(|upstream| upstream.state.failed_health_checks.load(Relaxed));
        // A response to a client's query has reset the count.
        if failed.is_none_or(|failed| failed == 0) {
            check.finish();
        } else {
            self.send(check, sender, effects);
        }
    }

    /// Ends all health checks; their upstreams count as up.
    pub(super) fn stop(&mut self, sender: &mut QuerySender, timers: &mut Timers, outbox: &mut Outbox) {
        let mut attempts: Vec<AttemptId> = self.running.keys().copied().collect();
        attempts.sort_unstable();
        for attempt in attempts {
            if self.running.get(&attempt).is_some_and(|check| check.id.is_some()) {
                outbox.actions.push(Action::CancelAttempt(attempt));
            }
            if let Some(check) = self.remove(attempt, sender, timers) {
                check.finish();
            }
        }
    }

    fn remove(
        &mut self,
        attempt: AttemptId,
        sender: &mut QuerySender,
        timers: &mut Timers,
    ) -> Option<RunningHealthCheck> {
        let mut check = self.running.remove(&attempt)?;
        timers.cancel(check.timer, Timer::HealthCheck(attempt));
        if let Some(id) = check.id.take() {
            sender.release(id);
        }
        Some(check)
    }
}
