//! Health checks of upstreams. A failed attempt makes one worker query the upstream until it
//! responds; after more than `max_fails` failed health checks it is down and not selected.
//! Responses to clients' queries never mark an upstream as down.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use wire::Response;
use wire::header::{Class, RecordType};
use wire::query::OutgoingQuery;

use super::connection_use::ConnectionUse;
use super::loss::Loss;
use super::pools::{Destination, Pools};
use super::query::UpstreamQuery;
use crate::action::AttemptFailure;
use crate::effects::Effects;
use crate::id_map::IdMap;
use crate::policy::{Forward, Route, TransportPreference, Upstream};
use crate::timers::{AttemptId, Timer};
use crate::transport::Transport;

/// Timeout over UDP.
const UDP_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeout over TCP, dialling included.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);

/// Health checks of one worker, by their last attempt.
#[derive(Debug, Default)]
pub(super) struct RunningHealthChecks(IdMap<AttemptId, RunningHealthCheck>);

/// The health check of one upstream of one `forward`.
#[derive(Debug)]
struct RunningHealthCheck {
    route: Arc<Route>,
    /// Index among the block's forwards.
    forward: Option<usize>,
    /// Index among its upstreams.
    upstream: usize,
    transport: Transport,
    usage: ConnectionUse,
    /// False between two queries.
    is_waiting: bool,
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

/// Health checks, and the pools that their queries are sent through.
pub(crate) struct HealthChecks<'a> {
    pub(super) running: &'a mut RunningHealthChecks,
    pub(super) pools: &'a mut Pools,
}

impl HealthChecks<'_> {
    pub(crate) fn contains(&self, id: AttemptId) -> bool {
        self.running.0.contains_key(&id)
    }

    /// Starts the health check of an upstream, unless one runs in any worker or they are disabled.
    pub(crate) fn start(&mut self, query: &UpstreamQuery, upstream: usize, effects: &mut Effects<'_>) {
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
            usage: ConnectionUse::Shared,
            is_waiting: false,
            timer: effects.now,
        };
        self.send(check, effects);
    }

    fn send(&mut self, mut check: RunningHealthCheck, effects: &mut Effects<'_>) {
        let Some((forward, upstream)) = check.forward().zip(check.upstream()) else { return };
        let timeout = if check.transport == Transport::Tcp { TCP_TIMEOUT } else { UDP_TIMEOUT };
        let deadline = effects.now + timeout;
        let (transport, usage) = (check.transport, check.usage);
        let destination = Destination { upstream, transport, usage, has_client: false, deadline };
        // Without OPT and DO, so that no server rejects it for EDNS.
        let question = check.question();
        let recursion_desired = forward.options.health_check.recursion_desired;
        let query = OutgoingQuery { recursion_desired, edns: false, ..OutgoingQuery::new(0, &question) };
        let Some(attempt) = self.pools.send(&query, &destination, effects) else {
            return upstream.state.health_check_running.store(false, Relaxed);
        };
        check.is_waiting = true;
        check.timer = deadline;
        effects.timers.schedule(deadline, Timer::HealthCheck(attempt));
        self.running.0.insert(attempt, check);
    }

    /// A message received for a health check. Any response to its question ends it, whatever its
    /// RCODE.
    pub(crate) fn on_response(&mut self, attempt: AttemptId, packet: &[u8], effects: &mut Effects<'_>) {
        let Some(check) = self.running.0.get(&attempt) else { return };
        let Some(upstream) = check.upstream().map(|upstream| upstream.id) else { return };
        let response = Response::parse(packet).ok();
        let matching = response.filter(|response| response.matches_question(&check.question()));
        let Some(response) = matching else { return self.pools.mismatched(upstream, attempt, effects) };
        if response.has_trailing_octets && check.transport == Transport::Tcp {
            self.pools.mismatched(upstream, attempt, effects);
        }
        self.pools.responded(upstream, attempt, effects);
        let Some(check) = self.remove(attempt, effects) else { return };
        if let Some((forward, upstream)) = check.forward().zip(check.upstream()) {
            forward.state.outage.record_response(effects.now);
            upstream.state.record_response(effects.now);
        }
        check.finish();
    }

    /// The query of a health check has to continue elsewhere.
    pub(crate) fn on_loss(&mut self, attempt: AttemptId, loss: Loss, effects: &mut Effects<'_>) {
        match loss {
            Loss::Failed(failure) => self.on_failure(attempt, failure, effects),
            Loss::Mismatched { is_dedicated, .. } => self.on_mismatch(attempt, is_dedicated, effects),
            Loss::ConnectionLost(_) | Loss::Suspect { .. } => {
                self.on_connection_lost(attempt, effects);
            }
            Loss::Unacknowledged => {}
        }
    }

    /// A health check's query lost its connection, which may be another query's fault: it is
    /// repeated on a connection of its own.
    fn on_connection_lost(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) {
        let Some(mut check) = self.remove(attempt, effects) else { return };
        check.usage = ConnectionUse::Dedicated;
        self.send(check, effects);
    }

    /// A mismatch arrived, and no matching response in time. Over UDP it may be spoofed, and the
    /// response is still awaited; over TCP another query may be the reason unless the connection
    /// was its own.
    fn on_mismatch(&mut self, attempt: AttemptId, is_dedicated: bool, effects: &mut Effects<'_>) {
        let transport = self.running.0.get(&attempt).map(|check| check.transport);
        match transport {
            Some(Transport::Tcp) if is_dedicated => {
                self.on_failure(attempt, AttemptFailure::Mismatched, effects);
            }
            Some(Transport::Tcp) => self.on_connection_lost(attempt, effects),
            Some(Transport::Udp) | None => {}
        }
    }

    /// A health check's query failed. The next follows after the interval.
    fn on_failure(&mut self, attempt: AttemptId, failure: AttemptFailure, effects: &mut Effects<'_>) {
        let Some(mut check) = self.remove(attempt, effects) else { return };
        check.usage = ConnectionUse::Dedicated;
        let Some((forward, upstream)) = check.forward().zip(check.upstream()) else { return };
        if !failure.is_local() {
            upstream.state.failed_health_checks.fetch_add(1, Relaxed);
            upstream.counters.healthcheck_failures.add(1);
        }
        check.timer = effects.now + forward.options.health_check.interval;
        effects.timers.schedule(check.timer, Timer::HealthCheck(attempt));
        self.running.0.insert(attempt, check);
    }

    /// The timeout of a health check's query, or the end of the interval between two.
    pub(crate) fn on_timer(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) {
        let Some(check) = self.running.0.get(&attempt) else { return };
        if check.is_waiting {
            let is_sent = check.upstream().is_some_and(|upstream| self.pools.is_sent(upstream.id, attempt));
            // A query that has waited for a connection tells nothing about its upstream.
            let failure = if is_sent { AttemptFailure::TimedOut } else { AttemptFailure::Local };
            return self.on_failure(attempt, failure, effects);
        }
        let Some(check) = self.remove(attempt, effects) else { return };
        let failed = check.upstream().map(|upstream| upstream.state.failed_health_checks.load(Relaxed));
        // A response to a client's query has reset the count.
        if failed.is_none_or(|failed| failed == 0) {
            check.finish();
        } else {
            self.send(check, effects);
        }
    }

    /// Ends all health checks; their upstreams count as up.
    pub(super) fn stop(&mut self, effects: &mut Effects<'_>) {
        let mut attempts: Vec<AttemptId> = self.running.0.keys().copied().collect();
        attempts.sort_unstable();
        for attempt in attempts {
            if let Some(check) = self.remove(attempt, effects) {
                check.finish();
            }
        }
    }

    fn remove(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) -> Option<RunningHealthCheck> {
        let mut check = self.running.0.remove(&attempt)?;
        effects.timers.cancel(check.timer, Timer::HealthCheck(attempt));
        if std::mem::take(&mut check.is_waiting)
            && let Some(upstream) = check.upstream()
        {
            self.pools.abandon(upstream.id, attempt, effects);
        }
        Some(check)
    }
}
