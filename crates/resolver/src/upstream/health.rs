//! Which upstreams are down. A failed attempt makes one worker ask the upstream a question of our own until it answers; too
//! many of these without answer, and it is left alone. What one name's answer says never counts.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use wire::Response;
use wire::edns::DEFAULT_UDP_SIZE;
use wire::header::{Class, RecordType};

use crate::Resolver;
use crate::action::{Action, AttemptFailure, AttemptId, Outbox, SendQuery, Transport};
use crate::inflight::query::UpstreamQuery;
use crate::policy::{Forward, Route, TransportPreference, Upstream};
use crate::timers::Timer;
use crate::upstream::attempt::draw_id;

/// How long a health_check over UDP waits for its answer.
const BY_UDP: Duration = Duration::from_secs(1);

/// How long one by TCP may take, dialling included.
const BY_TCP: Duration = Duration::from_secs(2);

/// One upstream of one `forward` that is being probed. Its key in the table is its last attempt.
#[derive(Debug)]
pub(crate) struct HealthCheck {
    route: Arc<Route>,
    /// Index among the block's forwards.
    forward: Option<usize>,
    /// Index among its upstreams.
    upstream: usize,
    transport: Transport,
    /// On a connection that has carried nothing yet: all but the first.
    fresh: bool,
    /// The ID of the question that is open; nothing between two.
    asked: Option<u16>,
    timer: Instant,
}

impl HealthCheck {
    fn forward(&self) -> Option<&Forward> {
        self.route.block.forwards.get(self.forward?)
    }

    fn upstream(&self) -> Option<&Upstream> {
        self.forward()?.upstreams.get(self.upstream)
    }

    /// Name, type and class as octets.
    fn question(&self) -> Vec<u8> {
        let name =
            self.forward().map(|forward| forward.options.health_check.name.as_wire()).unwrap_or_default();
        [name, &RecordType::NS.0.to_be_bytes(), &Class::IN.0.to_be_bytes()].concat()
    }
}

impl Resolver {
    /// Begins to health_check an upstream of the query's `forward`, unless some worker does.
    pub(crate) fn health_check(
        &mut self,
        now: Instant,
        query: &UpstreamQuery,
        index: usize,
        outbox: &mut Outbox,
    ) {
        let Some((forward, upstream)) = query.forward().zip(query.upstream(index)) else { return };
        if forward.options.health_check.max_fails == 0 || !self.policy.serves(&query.route) {
            return;
        }
        if upstream.state.probing.swap(true, Relaxed) {
            return;
        }
        let by_tcp = upstream.encrypted || forward.options.transport == TransportPreference::ForceTcp;
        let health_check = HealthCheck {
            route: Arc::clone(&query.route),
            forward: query.forward,
            upstream: index,
            transport: if by_tcp { Transport::Tcp } else { Transport::Udp },
            fresh: false,
            asked: None,
            timer: now,
        };
        self.send_health_check(now, health_check, outbox);
    }

    fn send_health_check(&mut self, now: Instant, mut health_check: HealthCheck, outbox: &mut Outbox) {
        let attempt = AttemptId(self.next_number());
        let Some((forward, upstream)) = health_check.forward().zip(health_check.upstream()) else { return };
        let Some(id) = draw_id(&mut self.random, &self.ids) else {
            return upstream.state.probing.store(false, Relaxed);
        };
        let start = outbox.bytes.len();
        // Without OPT and DO: the plainest question there is.
        let outgoing = wire::query::OutgoingQuery {
            id,
            question: &health_check.question(),
            recursion_desired: forward.options.health_check.recursion_desired,
            checking_disabled: false,
            edns: false,
            dnssec_ok: false,
            udp_size: DEFAULT_UDP_SIZE,
        };
        outgoing.write(&mut outbox.bytes);
        let Some(message) = outbox.since(start) else { return };
        let time = if health_check.transport == Transport::Tcp { BY_TCP } else { BY_UDP };
        let (upstream, transport, fresh, until) =
            (upstream.id, health_check.transport, health_check.fresh, now + time);
        outbox.actions.push(Action::SendQuery(SendQuery {
            attempt,
            upstream,
            transport,
            fresh,
            until,
            message,
        }));
        self.ids.insert(id);
        health_check.asked = Some(id);
        health_check.timer = until;
        self.timers.schedule(until, Timer::HealthCheck(attempt));
        self.health_checks.insert(attempt, health_check);
    }

    /// A message that came for a health_check. Any that answers its question will do, whatever it says.
    pub(crate) fn health_check_answered(
        &mut self,
        now: Instant,
        id: AttemptId,
        packet: &[u8],
        outbox: &mut Outbox,
    ) {
        let Some(health_check) = self.health_checks.get(&id) else { return };
        let read = Response::parse(packet).ok();
        let answers = read.is_some_and(|read| {
            Some(read.header.id) == health_check.asked && read.matches_question(&health_check.question())
        });
        match (answers, health_check.transport) {
            (true, transport) => {
                if transport == Transport::Udp {
                    outbox.actions.push(Action::CancelAttempt(id));
                }
                let Some(health_check) = self.take_health_check(id) else { return };
                if let Some(forward) = health_check.forward() {
                    forward.state.responses.fetch_add(1, Relaxed);
                }
                end(&health_check);
            }
            (false, Transport::Udp) => {}
            (false, Transport::Tcp) => {
                outbox.actions.push(Action::QuarantineConnection(id));
                outbox.actions.push(Action::CancelAttempt(id));
                self.health_check_failed(now, id, AttemptFailure::Closed { reused: false }, outbox);
            }
        }
    }

    /// A health_check that brought nothing. The next one waits, unless only a connection was at fault that had been open before.
    pub(crate) fn health_check_failed(
        &mut self,
        now: Instant,
        id: AttemptId,
        failure: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        let Some(mut health_check) = self.take_health_check(id) else { return };
        let was_fresh = std::mem::replace(&mut health_check.fresh, true);
        if failure == (AttemptFailure::Closed { reused: true }) && !was_fresh {
            return self.send_health_check(now, health_check, outbox);
        }
        let Some((forward, upstream)) = health_check.forward().zip(health_check.upstream()) else { return };
        if failure != AttemptFailure::Local {
            upstream.state.failed_probes.fetch_add(1, Relaxed);
            upstream.counters.healthcheck_failures.add(1);
        }
        health_check.timer = now + forward.options.health_check.interval;
        self.timers.schedule(health_check.timer, Timer::HealthCheck(id));
        self.health_checks.insert(id, health_check);
    }

    /// The time of a health_check is over, or that between two.
    pub(crate) fn health_check_due(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(health_check) = self.health_checks.get(&id) else { return };
        if health_check.asked.is_some() {
            outbox.actions.push(Action::CancelAttempt(id));
            return self.health_check_failed(now, id, AttemptFailure::TimedOut, outbox);
        }
        let Some(health_check) = self.take_health_check(id) else { return };
        let has_answered =
            health_check.upstream().is_none_or(|upstream| upstream.state.failed_probes.load(Relaxed) == 0);
        if has_answered { end(&health_check) } else { self.send_health_check(now, health_check, outbox) }
    }

    /// Ends all health_checks. What they would have found out is routed for good.
    pub(crate) fn stop_health_checks(&mut self, outbox: &mut Outbox) {
        let mut health_checks: Vec<AttemptId> = self.health_checks.keys().copied().collect();
        health_checks.sort_unstable();
        for id in health_checks {
            let Some(health_check) = self.health_checks.get(&id) else { continue };
            if health_check.asked.is_some() {
                outbox.actions.push(Action::CancelAttempt(id));
            }
            if let Some(health_check) = self.take_health_check(id) {
                end(&health_check);
            }
        }
    }

    fn take_health_check(&mut self, id: AttemptId) -> Option<HealthCheck> {
        let mut health_check = self.health_checks.remove(&id)?;
        self.timers.cancel(health_check.timer, Timer::HealthCheck(id));
        if let Some(id) = health_check.asked.take() {
            self.ids.remove(&id);
        }
        Some(health_check)
    }
}

/// The upstream is up, and whoever fails there next may health_check it.
fn end(health_check: &HealthCheck) {
    if let Some(upstream) = health_check.upstream() {
        upstream.state.failed_probes.store(0, Relaxed);
        upstream.state.probing.store(false, Relaxed);
    }
}
