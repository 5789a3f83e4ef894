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
use crate::inflight::query::{Due, Inquiry};
use crate::policy::{ForwardPolicy, Route, TransportPreference, Upstream};
use crate::upstream::attempt::draw_id;

/// How long a probe over UDP waits for its answer.
const BY_UDP: Duration = Duration::from_secs(1);

/// How long one by TCP may take, dialling included.
const BY_TCP: Duration = Duration::from_secs(2);

/// One upstream of one `forward` that is being probed. Its key in the table is its last attempt.
#[derive(Debug)]
pub(crate) struct Probe {
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

impl Probe {
    fn forward(&self) -> Option<&ForwardPolicy> {
        self.route.block.forwards.get(self.forward?)
    }

    fn upstream(&self) -> Option<&Upstream> {
        self.forward()?.upstreams.get(self.upstream)
    }

    /// Name, type and class as octets.
    fn question(&self) -> Vec<u8> {
        let name = self.forward().map(|forward| forward.health.name.as_wire()).unwrap_or_default();
        [name, &RecordType::NS.0.to_be_bytes(), &Class::IN.0.to_be_bytes()].concat()
    }
}

impl Resolver {
    /// Begins to probe an upstream of the inquiry's `forward`, unless some worker does.
    pub(crate) fn probe(&mut self, now: Instant, inquiry: &Inquiry, index: usize, outbox: &mut Outbox) {
        let Some((forward, upstream)) = inquiry.forward().zip(inquiry.upstream(index)) else { return };
        if forward.health.max_fails == 0 || !self.policy.serves(&inquiry.route) {
            return;
        }
        if upstream.state.probing.swap(true, Relaxed) {
            return;
        }
        let by_tcp = upstream.encrypted || forward.transport == TransportPreference::ForceTcp;
        let probe = Probe {
            route: Arc::clone(&inquiry.route),
            forward: inquiry.forward,
            upstream: index,
            transport: if by_tcp { Transport::Tcp } else { Transport::Udp },
            fresh: false,
            asked: None,
            timer: now,
        };
        self.send_probe(now, probe, outbox);
    }

    fn send_probe(&mut self, now: Instant, mut probe: Probe, outbox: &mut Outbox) {
        let attempt = AttemptId(self.next_number());
        let Some((forward, upstream)) = probe.forward().zip(probe.upstream()) else { return };
        let Some(id) = draw_id(&mut self.random, &self.ids) else {
            return upstream.state.probing.store(false, Relaxed);
        };
        let start = outbox.bytes.len();
        // Without OPT and DO: the plainest question there is.
        let query = wire::query::OutgoingQuery {
            id,
            question: &probe.question(),
            recursion_desired: forward.health.recursion_desired,
            checking_disabled: false,
            edns: false,
            dnssec_ok: false,
            udp_size: DEFAULT_UDP_SIZE,
        };
        query.write(&mut outbox.bytes);
        let Some(message) = outbox.since(start) else { return };
        let time = if probe.transport == Transport::Tcp { BY_TCP } else { BY_UDP };
        let (upstream, transport, fresh, until) = (upstream.id, probe.transport, probe.fresh, now + time);
        outbox.actions.push(Action::SendQuery(SendQuery {
            attempt,
            upstream,
            transport,
            fresh,
            until,
            message,
        }));
        self.ids.insert(id);
        probe.asked = Some(id);
        probe.timer = until;
        self.timers.insert((until, Due::Probe(attempt)));
        self.probes.insert(attempt, probe);
    }

    /// A message that came for a probe. Any that answers its question will do, whatever it says.
    pub(crate) fn probe_answered(&mut self, now: Instant, id: AttemptId, packet: &[u8], outbox: &mut Outbox) {
        let Some(probe) = self.probes.get(&id) else { return };
        let read = Response::parse(packet).ok();
        let answers = read.is_some_and(|read| {
            Some(read.header.id) == probe.asked && read.matches_question(&probe.question())
        });
        match (answers, probe.transport) {
            (true, transport) => {
                if transport == Transport::Udp {
                    outbox.actions.push(Action::CancelAttempt(id));
                }
                let Some(probe) = self.take_probe(id) else { return };
                if let Some(forward) = probe.forward() {
                    forward.state.responses.fetch_add(1, Relaxed);
                }
                end(&probe);
            }
            (false, Transport::Udp) => {}
            (false, Transport::Tcp) => {
                outbox.actions.push(Action::QuarantineConnection(id));
                outbox.actions.push(Action::CancelAttempt(id));
                self.probe_failed(now, id, AttemptFailure::Closed { reused: false }, outbox);
            }
        }
    }

    /// A probe that brought nothing. The next one waits, unless only a connection was at fault that had been open before.
    pub(crate) fn probe_failed(
        &mut self,
        now: Instant,
        id: AttemptId,
        failure: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        let Some(mut probe) = self.take_probe(id) else { return };
        let was_fresh = std::mem::replace(&mut probe.fresh, true);
        if failure == (AttemptFailure::Closed { reused: true }) && !was_fresh {
            return self.send_probe(now, probe, outbox);
        }
        let Some((forward, upstream)) = probe.forward().zip(probe.upstream()) else { return };
        if failure != AttemptFailure::Local {
            upstream.state.failed_probes.fetch_add(1, Relaxed);
            upstream.counters.healthcheck_failures.add(1);
        }
        probe.timer = now + forward.health.interval;
        self.timers.insert((probe.timer, Due::Probe(id)));
        self.probes.insert(id, probe);
    }

    /// The time of a probe is over, or that between two.
    pub(crate) fn probe_due(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(probe) = self.probes.get(&id) else { return };
        if probe.asked.is_some() {
            outbox.actions.push(Action::CancelAttempt(id));
            return self.probe_failed(now, id, AttemptFailure::TimedOut, outbox);
        }
        let Some(probe) = self.take_probe(id) else { return };
        let has_answered =
            probe.upstream().is_none_or(|upstream| upstream.state.failed_probes.load(Relaxed) == 0);
        if has_answered { end(&probe) } else { self.send_probe(now, probe, outbox) }
    }

    /// Ends all probes. What they would have found out is taken for good.
    pub(crate) fn stop_probes(&mut self, outbox: &mut Outbox) {
        let mut probes: Vec<AttemptId> = self.probes.keys().copied().collect();
        probes.sort_unstable();
        for id in probes {
            let Some(probe) = self.probes.get(&id) else { continue };
            if probe.asked.is_some() {
                outbox.actions.push(Action::CancelAttempt(id));
            }
            if let Some(probe) = self.take_probe(id) {
                end(&probe);
            }
        }
    }

    fn take_probe(&mut self, id: AttemptId) -> Option<Probe> {
        let mut probe = self.probes.remove(&id)?;
        self.timers.remove(&(probe.timer, Due::Probe(id)));
        if let Some(id) = probe.asked.take() {
            self.ids.remove(&id);
        }
        Some(probe)
    }
}

/// The upstream is up, and whoever fails there next may probe it.
fn end(probe: &Probe) {
    if let Some(upstream) = probe.upstream() {
        upstream.state.failed_probes.store(0, Relaxed);
        upstream.state.probing.store(false, Relaxed);
    }
}
