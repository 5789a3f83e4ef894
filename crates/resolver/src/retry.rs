//! Attempts without a usable response: failures, timeouts, retransmissions, hedges, retries over
//! TCP or without EDNS, another `forward`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use wire::Response;
use wire::header::Rcode;

use crate::Resolver;
use crate::action::{AttemptFailure, Cause, Outbox};
use crate::effects::Effects;
use crate::inflight::completion::report_error;
use crate::result::{ErrorResponse, QueryResult};
use crate::timers::{AttemptId, QueryId};
use crate::transport::Transport;
use crate::upstream::attempt::{Attempt, AttemptSpec};
use crate::upstream::connection_use::ConnectionUse;
use crate::upstream::edns_fallback::is_edns_unsupported;
use crate::upstream::fallback::FallbackResponse;
use crate::upstream::probe::ProbePermit;
use crate::upstream::query::UpstreamQuery;

impl Resolver {
    /// An attempt failed: the next candidate is tried, or the query ends.
    pub(crate) fn fail_attempt(
        &mut self,
        now: Instant,
        attempt: &Attempt,
        failure: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        let Some(upstream) = attempt.sent_to() else { return };
        let is_awaited = !attempt.late && self.inflight.contains(attempt.query_id);
        if !failure.is_local() && is_awaited {
            upstream.counters.failures.add(1);
            if failure != AttemptFailure::Mismatched {
                self.check_health(now, &attempt.query, attempt.upstream, outbox);
            }
        }
        if attempt.is_probe() {
            return;
        }
        let query_id = attempt.query_id;
        let Some(inflight) = self.inflight.get_mut(query_id) else { return };
        inflight.record_failure(now, failure, attempt.transport, upstream.addr);
        let is_lost = matches!(failure, AttemptFailure::Closed | AttemptFailure::Mismatched);
        let had_its_own = attempt.usage == ConnectionUse::Dedicated && is_lost;
        let is_exhausted = inflight.losses.is_exhausted(attempt.upstream, is_lost);
        let has_sibling = self.upstreams.attempts.has_promising(&inflight.attempts, attempt.upstream);
        if !attempt.late && (had_its_own || is_exhausted && !has_sibling) {
            inflight.losses.exclude(attempt.upstream);
            self.abandon_siblings(now, attempt, outbox);
        }
        let Some(inflight) = self.inflight.get(query_id) else { return };
        match inflight.peek() {
            _ if attempt.late => self.end_if_exhausted(now, query_id, outbox),
            Some(candidate) if candidate.is_repeated() => {
                self.pause(now, now + candidate.pause(), query_id, outbox);
            }
            _ => self.send_next(now, query_id, outbox),
        }
    }

    /// Pauses a query until `until`; ends it when that is too late and no attempt is left.
    fn pause(&mut self, now: Instant, until: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get(id) else { return };
        if until >= inflight.deadline && inflight.attempts.is_empty() {
            return self.end(now, id, outbox);
        }
        self.inflight.reschedule(id, until, &mut self.timers);
    }

    /// The end of a query's pause, or its deadline.
    pub(crate) fn on_query_timer(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get(id) else { return };
        let deadline = inflight.deadline;
        if now >= deadline {
            return self.end(now, id, outbox);
        }
        self.inflight.reschedule(id, deadline, &mut self.timers);
        self.send_next(now, id, outbox);
    }

    /// The next event of an attempt: the end of its late window, its timeout, or a hedge.
    pub(crate) fn on_attempt_timer(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.upstreams.attempts.get(id) else { return };
        if attempt.late {
            self.take_attempt(now, id, outbox);
            return;
        }
        if now >= attempt.until && attempt.is_probe() {
            if let Some(mut attempt) = self.take_attempt(now, id, outbox) {
                attempt.pass_rto();
                self.fail_attempt(now, &attempt, AttemptFailure::TimedOut, outbox);
            }
            return;
        }
        if now >= attempt.until && !self.upstreams.is_sent(id) {
            // It has waited for a connection, which tells nothing about the upstream.
            if let Some(attempt) = self.take_attempt(now, id, outbox) {
                self.fail_attempt(now, &attempt, AttemptFailure::Local, outbox);
            }
            return;
        }
        if self.upstreams.attempts.get(id).is_some_and(|attempt| now >= attempt.until) {
            return self.time_out(now, id, outbox);
        }
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        if let Some(nothing_received) = self.upstreams.on_attempt_timer(id, &mut effects) {
            self.retransmit(now, id, nothing_received, outbox);
        }
        self.retransmit_unanswered(now, id, outbox);
    }

    /// An attempt timed out: it becomes late, and the next candidate is tried.
    fn time_out(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        let Some(attempt) = self.upstreams.mark_late(id, &mut effects) else { return };
        let (query_id, index, transport) = (attempt.query_id, attempt.upstream, attempt.transport);
        let query = Rc::clone(&attempt.query);
        let Some(upstream) = query.upstream(index) else { return };
        upstream.counters.failures.add(1);
        if let Some(inflight) = self.inflight.get_mut(query_id) {
            inflight.record_failure(now, AttemptFailure::TimedOut, transport, upstream.addr);
        }
        self.check_health(now, &query, index, outbox);
        self.send_next(now, query_id, outbox);
    }

    /// Tries the next candidate for an attempt without a response within its upstream's RTO; the
    /// first usable response wins. If nothing at all has been received from the upstream meanwhile,
    /// the query is retransmitted to another one; while packets are lost, on another connection.
    /// Otherwise the upstream may only be slow for this name: it is hedged, within the budget and on
    /// a connection of its own.
    fn retransmit(&mut self, now: Instant, id: AttemptId, nothing_received: bool, outbox: &mut Outbox) {
        let Some(attempt) = self.upstreams.attempts.get(id) else { return };
        let query_id = attempt.query_id;
        let Some(inflight) = self.inflight.get_mut(query_id) else { return };
        let Some(candidate) = inflight.hedge_candidate(attempt.is_hedge) else { return };
        let is_mismatched = attempt.is_repeated && attempt.transport == Transport::Udp;
        if attempt.is_probe() || is_mismatched && candidate.upstream == attempt.upstream {
            return;
        }
        let (query, index) = (Rc::clone(&attempt.query), attempt.upstream);
        let Some(upstream) = query.upstream(index) else { return };
        let is_retransmission = nothing_received && candidate.upstream != index;
        if is_retransmission {
            upstream.counters.retransmissions.add(1);
        } else if candidate.upstream == index && upstream.state.loses_packets(now) {
            // See `retransmit_unanswered`.
            return;
        } else if !self.upstreams.take_hedge(upstream) {
            return;
        }
        inflight.selection.take(candidate);
        let is_shared = is_retransmission && !candidate.is_repeated();
        let usage = if is_shared { ConnectionUse::Shared } else { ConnectionUse::Fresh };
        let usage = inflight.losses.connection_use(usage);
        let spec = AttemptSpec::new(query_id, &inflight.query, inflight.transport, candidate);
        self.send(now, AttemptSpec { usage, is_hedge: true, ..spec }, outbox);
    }

    /// A message has the ID of an attempt and another question. Over UDP it may be spoofed, so the
    /// matching response is still awaited (RFC 5452 section 9.1), but not for long: TCP cannot be
    /// spoofed. A stream that delivers one is out of step and takes no further queries.
    pub(crate) fn mismatch(&mut self, now: Instant, id: AttemptId, packet: &[u8], outbox: &mut Outbox) {
        let Some(attempt) = self.upstreams.attempts.get(id) else { return };
        let is_edns_unsupported = attempt.edns && is_edns_unsupported(packet);
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        if !is_edns_unsupported {
            return self.upstreams.mismatched(id, &mut effects);
        }
        self.upstreams.responded(id, &mut effects);
        self.retry_without_edns(now, id, outbox);
    }

    /// A response over UDP is truncated: the whole one is awaited over TCP, for the timeout of an
    /// attempt. If it does not come, the truncated one is relayed. One attempt over TCP is made at
    /// each upstream, however many of its responses are truncated.
    pub(crate) fn retry_truncated(
        &mut self,
        now: Instant,
        id: AttemptId,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        let Some(attempt) = self.upstreams.attempts.get(id) else { return };
        let query_id = attempt.query_id;
        if attempt.is_probe() || !self.inflight.contains(query_id) {
            return self.retry_over_tcp(now, id, outbox);
        }
        let Some(attempt) = self.take_attempt(now, id, outbox) else { return };
        let Some(inflight) = self.inflight.get_mut(query_id) else { return };
        let before = inflight.fallback_response.as_ref().filter(|fallback| fallback.is_truncated());
        if before.is_some_and(|fallback| fallback.attempt.upstream == attempt.upstream) {
            return self.end_if_exhausted(now, query_id, outbox);
        }
        let (transport, usage) = (Transport::Tcp, ConnectionUse::Shared);
        let spec = AttemptSpec { transport, usage, ..AttemptSpec::repeat(&attempt) };
        let wait = attempt.query.forward().map_or(Duration::ZERO, |forward| forward.options.read_timeout);
        let deadline = inflight.deadline.min(now + wait);
        inflight.deadline = deadline;
        inflight.fallback_response = Some(FallbackResponse { attempt, packet: Box::from(&*response.packet) });
        self.inflight.reschedule(query_id, deadline, &mut self.timers);
        self.send(now, spec, outbox);
    }

    /// Repeats an attempt over TCP whose response over UDP was truncated.
    pub(crate) fn retry_over_tcp(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.take_attempt(now, id, outbox) else { return };
        let usage = ConnectionUse::Shared;
        self.send(
            now,
            AttemptSpec { transport: Transport::Tcp, usage, ..AttemptSpec::repeat(&attempt) },
            outbox,
        );
    }

    /// Repeats an attempt without OPT at an upstream without EDNS (RFC 6891 section 6.2.2). This is
    /// not remembered: CoreDNS and resolvers support EDNS, and a forged FORMERR would otherwise
    /// take DO from all later queries.
    pub(crate) fn retry_without_edns(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.take_attempt(now, id, outbox) else { return };
        if let Some(upstream) = attempt.sent_to() {
            upstream.counters.edns_fallbacks.add(1);
        }
        self.send(now, AttemptSpec { edns: false, ..AttemptSpec::repeat(&attempt) }, outbox);
    }

    /// Sends copies of a query to the silent upstreams of its forward that no other query probes.
    /// No client waits for their responses, but the first response completes the query.
    pub(crate) fn probe(&mut self, now: Instant, id: QueryId, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(id) else { return };
        let query = Rc::clone(&inflight.query);
        let Some(forward) = query.forward() else { return };
        for candidate in inflight.selection.silent(forward) {
            let Some(upstream) = query.upstream(candidate.upstream) else { continue };
            let Some(permit) = ProbePermit::acquire(upstream) else { continue };
            let mut spec = AttemptSpec::new(id, &query, inflight.transport, candidate);
            (spec.usage, spec.has_client) = (ConnectionUse::Fresh, false);
            spec.probe = Some(Rc::new(permit));
            let mut effects = Effects { now, timers: &mut self.timers, outbox };
            if let Some(attempt) = self.upstreams.send(spec, inflight.deadline, &mut effects) {
                inflight.attempts.push(attempt);
                upstream.counters.probes.add(1);
            }
        }
    }

    /// True when another upstream may still respond. Irrelevant when the query has ended.
    pub(crate) fn has_another_upstream(&self, attempt: &Attempt) -> bool {
        let Some(inflight) = self.inflight.get(attempt.query_id) else { return true };
        let candidate = attempt.query.forward().and_then(|forward| inflight.selection.peek(forward));
        candidate.is_some_and(|candidate| !candidate.is_repeated())
            || self.upstreams.attempts.another_upstream_waits(&inflight.attempts, attempt)
    }

    /// Checks the health of the upstreams that were outrun by the one that has responded.
    pub(crate) fn check_outrun_upstreams(&mut self, now: Instant, winner: &Attempt, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get(winner.query_id) else { return };
        for upstream in self.upstreams.attempts.outrun_by(winner, &inflight.attempts) {
            self.check_health(now, &winner.query, upstream, outbox);
        }
    }

    /// Starts the health check of an upstream that a reload has not removed.
    fn check_health(&mut self, now: Instant, query: &UpstreamQuery, upstream: usize, outbox: &mut Outbox) {
        if self.policy.serves(&query.route) {
            let mut effects = Effects { now, timers: &mut self.timers, outbox };
            self.upstreams.health_checks().start(query, upstream, &mut effects);
        }
    }

    /// The clients of a query may have got their response: its attempts that wait for a connection
    /// then come after those whose clients wait.
    pub(crate) fn demote_answered(&mut self, id: QueryId) {
        let answered = self.inflight.get(id).filter(|inflight| inflight.waiters.is_empty());
        if let Some(inflight) = answered {
            self.upstreams.demote(&inflight.attempts);
        }
    }

    /// Switches a query to another `forward` of its block, in the time that is left.
    pub(crate) fn try_forward(&mut self, now: Instant, id: QueryId, forward: usize, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get_mut(id) else { return };
        let query = Rc::new(inflight.query.through(forward));
        let Some(to) = query.forward() else { return };
        if to.is_full() {
            return self.reject_forward(now, id, to.options.max_concurrent, outbox);
        }
        let selection = self.upstreams.select(to);
        let deadline = inflight.deadline;
        let attempts = inflight.switch_forward(Rc::clone(&query), to, selection);
        self.inflight.reschedule(id, deadline, &mut self.timers);
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        for attempt in attempts {
            self.upstreams.remove(attempt, &mut effects);
        }
        self.send_next(now, id, outbox);
    }

    /// Ends a query because `max_concurrent` of its next `forward` is reached.
    fn reject_forward(&mut self, now: Instant, id: QueryId, limit: u32, outbox: &mut Outbox) {
        let Some(inflight) = self.take_inflight(now, id, outbox) else { return };
        let UpstreamQuery { route, qtype, .. } = &*inflight.query;
        route.block.counters.max_concurrent_rejects.add(1);
        let question = (*qtype, inflight.query.name());
        report_error(route, Rcode::REFUSED, question, Cause::TooManyConcurrent(limit), outbox);
        let response = inflight.query.client_error(ErrorResponse::new(Rcode::REFUSED));
        self.respond_all(now, inflight, &QueryResult::Error { response, is_outage: false }, outbox);
    }
}
