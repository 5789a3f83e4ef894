//! Lost connections: queries whose connection to an upstream has ended, is out of step or does not
//! respond continue on another one.

use std::rc::Rc;
use std::time::Instant;

use crate::Resolver;
use crate::action::{AttemptFailure, Outbox};
use crate::effects::Effects;
use crate::timers::AttemptId;
use crate::transport::Transport;
use crate::upstream::attempt::{Attempt, AttemptSpec};
use crate::upstream::connection_use::ConnectionUse;
use crate::upstream::loss::{Loss, LostQuery};

/// Attempts at one upstream that may have reached it.
const MAX_ATTEMPTS: usize = 3;

impl Resolver {
    /// Continues the queries that have lost their connection, until no more are.
    pub(crate) fn retry_lost(&mut self, now: Instant, outbox: &mut Outbox) {
        loop {
            let lost = self.upstreams.pools.take_lost();
            if lost.is_empty() {
                return;
            }
            for LostQuery { attempt, loss, dialled } in lost {
                self.count_dial(attempt, dialled);
                self.retry_lost_query(now, attempt, loss, outbox);
            }
        }
    }

    /// Counts a lost connection that was opened for the query.
    fn count_dial(&mut self, id: AttemptId, dialled: bool) {
        let Some(attempt) = self.upstreams.attempts.get(id).filter(|_| dialled) else { return };
        if let Some(inflight) = self.inflight.get_mut(attempt.query_id) {
            inflight.losses.record_lost_dial(attempt.upstream);
        }
    }

    fn retry_lost_query(&mut self, now: Instant, id: AttemptId, loss: Loss, outbox: &mut Outbox) {
        if self.upstreams.health_checks().contains(id) {
            let mut effects = Effects { now, timers: &mut self.timers, outbox };
            return self.upstreams.health_checks().on_loss(id, loss, &mut effects);
        }
        match loss {
            Loss::Failed(_) | Loss::ConnectionLost(_) if self.upstreams.attempts.is_repeated(id) => {
                self.take_attempt(now, id, outbox);
            }
            Loss::Failed(failure) => {
                if let Some(mut attempt) = self.take_attempt(now, id, outbox) {
                    if failure.nothing_received() {
                        attempt.pass_rto();
                    }
                    self.fail_attempt(now, &attempt, failure, outbox);
                }
            }
            Loss::ConnectionLost(failure) => self.retry_after_loss(now, id, failure, outbox),
            Loss::Mismatched { is_dedicated, is_closed } => {
                if !self.upstreams.attempts.is_repeated(id) {
                    self.give_up_mismatched(now, id, is_dedicated, outbox);
                }
                if is_closed {
                    self.take_attempt(now, id, outbox);
                }
            }
            Loss::Unacknowledged => self.retransmit_unacknowledged(now, id, outbox),
            Loss::Suspect { is_alone } => self.retry_on_proven(now, id, is_alone, outbox),
        }
    }

    /// The connection of an attempt was lost, and another query on it may be the reason: the query
    /// is retried on a connection of its own, unless it had one or waits on another connection.
    fn retry_after_loss(
        &mut self,
        now: Instant,
        id: AttemptId,
        failure: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        let Some(attempt) = self.take_attempt(now, id, outbox) else { return };
        let is_awaited = !attempt.late && !attempt.is_probe();
        let inflight = self.inflight.get_mut(attempt.query_id).filter(|_| is_awaited);
        let Some(inflight) = inflight else { return self.fail_attempt(now, &attempt, failure, outbox) };
        if let Some(upstream) = attempt.sent_to() {
            inflight.record_failure(now, failure, attempt.transport, upstream.addr);
        }
        if let Some(sibling) = self.upstreams.sibling(&inflight.attempts, id, attempt.upstream) {
            inflight.losses.record_lost_connection();
            return self.upstreams.dedicate(sibling);
        }
        self.retry_dedicated(now, &attempt, failure, outbox);
    }

    /// Repeats an attempt on a connection of its own; it has failed if that has been done before.
    fn retry_dedicated(
        &mut self,
        now: Instant,
        attempt: &Attempt,
        failure: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        let Some(inflight) = self.inflight.get_mut(attempt.query_id) else { return };
        if !inflight.losses.take_retry_alone(attempt.upstream) {
            return self.fail_attempt(now, attempt, failure, outbox);
        }
        if let Some(upstream) = attempt.sent_to() {
            upstream.counters.retried.add(1);
        }
        let spec = AttemptSpec { usage: ConnectionUse::Dedicated, ..AttemptSpec::repeat(attempt) };
        self.send(now, spec, outbox);
    }

    /// The connection of an attempt does not respond: it is repeated on one that does, which other
    /// queries use as well; not if it may be the one that breaks connections.
    fn retry_on_proven(&mut self, now: Instant, id: AttemptId, is_alone: bool, outbox: &mut Outbox) {
        let Some(attempt) = self.upstreams.attempts.get(id).filter(|attempt| !attempt.late) else { return };
        let inflight = self.inflight.get(attempt.query_id);
        let Some(inflight) = inflight.filter(|inflight| !inflight.losses.has_lost_connection()) else {
            return;
        };
        if self.upstreams.sibling(&inflight.attempts, id, attempt.upstream).is_none() {
            let mut spec = AttemptSpec::repeat(attempt);
            (spec.usage, spec.was_alone) = (ConnectionUse::Proven, is_alone);
            self.upstreams.attempts.mark_repeated(id);
            self.send(now, spec, outbox);
        }
    }

    /// The octets of an attempt, or the SYN of its connection, are not acknowledged.
    fn retransmit_unacknowledged(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let is_overdue = |attempt: &&Attempt| attempt.is_promising() && attempt.is_acknowledgment_due(now);
        let attempt = self.upstreams.attempts.get(id).filter(is_overdue);
        let Some(inflight) = attempt.and_then(|one| self.inflight.get_mut(one.query_id)) else { return };
        inflight.losses.record_unacknowledged();
        if self.retransmit_lost(now, id, outbox) {
            self.upstreams.attempts.mark_repeated(id);
        }
    }

    /// An RTO has passed while packets are lost: a response may be lost although the query is
    /// acknowledged. No more than three attempts that may have reached an upstream are made (RFC 9520
    /// section 3.1).
    pub(crate) fn retransmit_unanswered(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let has_passed_rto = |attempt: &&Attempt| attempt.is_promising() && attempt.rto_at.is_none();
        let attempt =
            self.upstreams.attempts.get(id).filter(|_| self.upstreams.is_sent(id)).filter(has_passed_rto);
        let Some((attempt, upstream)) = attempt.and_then(|one| Some((one, one.sent_to()?))) else {
            return;
        };
        let Some(inflight) = self.inflight.get(attempt.query_id) else { return };
        let attempts = inflight.attempts.iter().filter_map(|id| self.upstreams.attempts.get(*id));
        let may_have_arrived = attempts.filter(|one| one.is_promising() && one.upstream == attempt.upstream);
        if upstream.state.loses_packets(now) && may_have_arrived.count() < MAX_ATTEMPTS {
            self.retransmit_lost(now, id, outbox);
        }
    }

    /// Retransmits a query on another connection, and over TCP after a second mismatch, while a client
    /// waits, unless a later attempt is under way. Not after an outage: the upstream would receive all
    /// copies when it returns. False when that is not done.
    fn retransmit_lost(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) -> bool {
        let Some(attempt) = self.upstreams.attempts.get(id) else { return false };
        let Some(inflight) = self.inflight.get_mut(attempt.query_id) else { return false };
        let is_last = inflight.attempts.iter().all(|other| *other <= id);
        let is_over = inflight.waiters.is_empty() || inflight.has_timed_out;
        let loses_packets = attempt.sent_to().is_some_and(|upstream| upstream.state.loses_packets(now));
        if !is_last || is_over || !loses_packets || !inflight.losses.take_retransmission() {
            return false;
        }
        let usage = inflight.losses.connection_use(ConnectionUse::Unoccupied);
        let attempts = inflight.attempts.len();
        let (query_id, query, upstream) = (attempt.query_id, Rc::clone(&attempt.query), attempt.upstream);
        let mut spec = AttemptSpec { usage, ..AttemptSpec::repeat(attempt) };
        if inflight.transport == Transport::Tcp {
            spec.transport = Transport::Tcp;
        }
        self.send(now, spec, outbox);
        let is_sent = self.inflight.get(query_id).is_some_and(|inflight| inflight.attempts.len() > attempts);
        if let Some(upstream) = query.upstream(upstream).filter(|_| is_sent) {
            upstream.counters.retransmissions.add(1);
        }
        is_sent
    }

    /// Removes the other attempts of a query at the same upstream.
    pub(crate) fn abandon_siblings(&mut self, now: Instant, attempt: &Attempt, outbox: &mut Outbox) {
        let Some(inflight) = self.inflight.get(attempt.query_id) else { return };
        let attempts = inflight.attempts.iter().copied();
        let is_sibling = |id: &AttemptId| {
            self.upstreams.attempts.get(*id).is_some_and(|other| other.upstream == attempt.upstream)
        };
        let siblings: Vec<AttemptId> = attempts.filter(is_sibling).collect();
        for sibling in siblings {
            self.take_attempt(now, sibling, outbox);
        }
    }

    /// No matching response has followed a mismatch in time. Over UDP the query is repeated on a
    /// fresh socket, after a second mismatch over TCP, and so are its further attempts; over TCP on
    /// a connection of its own. The attempt still waits on its connection, unless that was its own:
    /// then it has failed.
    fn give_up_mismatched(&mut self, now: Instant, id: AttemptId, is_dedicated: bool, outbox: &mut Outbox) {
        let attempt = self.upstreams.attempts.get(id).filter(|attempt| !attempt.late);
        let Some(attempt) = attempt else { return };
        if attempt.is_probe() {
            if let Some(attempt) = self.take_attempt(now, id, outbox) {
                self.fail_attempt(now, &attempt, AttemptFailure::Mismatched, outbox);
            }
            return;
        }
        let Some(inflight) = self.inflight.get_mut(attempt.query_id) else { return };
        let has_sibling = self.upstreams.sibling(&inflight.attempts, id, attempt.upstream).is_some();
        let mut spec = AttemptSpec::repeat(attempt);
        spec.is_hedge |= attempt.transport == Transport::Udp;
        match attempt.transport {
            Transport::Tcp => {
                if is_dedicated || !inflight.losses.take_retry_after_mismatch(has_sibling) {
                    let Some(attempt) = self.take_attempt(now, id, outbox) else { return };
                    return self.fail_attempt(now, &attempt, AttemptFailure::Mismatched, outbox);
                }
                spec.usage = ConnectionUse::Dedicated;
            }
            Transport::Udp => {
                spec.usage = ConnectionUse::Fresh;
                if inflight.losses.record_mismatch() {
                    inflight.transport = Transport::Tcp;
                    (spec.transport, spec.usage) = (Transport::Tcp, ConnectionUse::Shared);
                }
            }
        }
        let counters = attempt.sent_to().map(|upstream| &upstream.counters);
        if let Some(counters) = counters.filter(|_| !has_sibling) {
            counters.retried.add(1);
        }
        self.upstreams.attempts.mark_repeated(id);
        if !has_sibling {
            self.send(now, spec, outbox);
        }
    }
}
