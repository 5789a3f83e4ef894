//! Connections of one upstream and worker: opening and closing, their timers, which attempt is on
//! which, and which attempts have lost theirs.

use std::sync::Arc;
use std::time::Instant;

use rand::rngs::StdRng;

use super::connection::{Connection, ConnectionLimits, DueEvent};
use super::connection_use::ConnectionUse;
use super::idle::{IdleLimits, MAX_IDLE_TIMEOUT};
use super::loss::{Loss, LostQueries};
use super::pending::PendingQuery;
use super::placement::{MAX_DRAINING, SLOW, Streams};
use crate::action::{Action, AttemptFailure, Dial, SendQuery, UpstreamConnectionId};
use crate::counters::UpstreamCounters;
use crate::effects::Effects;
use crate::id_map::IdMap;
use crate::policy::{Upstream, UpstreamId, UpstreamState};
use crate::timers::{AttemptId, Timer};
use crate::transport::Transport;

/// The open connections of a pool.
#[derive(Debug)]
pub(super) struct Connections {
    upstream: UpstreamId,
    state: Arc<UpstreamState>,
    counters: Arc<UpstreamCounters>,
    all: Vec<Connection>,
    /// Connection and message ID of each attempt that was sent.
    placed: IdMap<AttemptId, (UpstreamConnectionId, u16)>,
    last_number: u64,
    idle: IdleLimits,
    /// Those that have to continue elsewhere.
    pub(super) lost: LostQueries,
}

impl Connections {
    pub(super) fn new(upstream: &Upstream) -> Self {
        Self {
            upstream: upstream.id,
            state: Arc::clone(&upstream.state),
            counters: Arc::clone(&upstream.counters),
            all: Vec::new(),
            placed: IdMap::default(),
            last_number: 0,
            idle: IdleLimits::new(&upstream.pool),
            lost: LostQueries::default(),
        }
    }

    /// In order of opening.
    pub(super) fn all(&self) -> &[Connection] {
        &self.all
    }

    pub(super) fn index(&self, id: UpstreamConnectionId) -> Option<usize> {
        self.all.iter().position(|connection| connection.id == id)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Connection> {
        self.all.get_mut(index)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.all.iter_mut()
    }

    /// Connection and message ID of an attempt.
    pub(super) fn of(&self, attempt: AttemptId) -> Option<(UpstreamConnectionId, u16)> {
        self.placed.get(&attempt).copied()
    }

    /// The connection of an attempt.
    fn of_mut(&mut self, attempt: AttemptId) -> Option<&mut Connection> {
        let (id, _) = self.of(attempt)?;
        self.all.iter_mut().find(|connection| connection.id == id)
    }

    /// Removes an attempt from the index; its connection keeps its pending query.
    pub(super) fn forget(&mut self, attempt: AttemptId) -> Option<(UpstreamConnectionId, u16)> {
        self.placed.remove(&attempt)
    }

    /// Nothing waits for the response of an attempt any more. False when it was not sent.
    pub(super) fn abandon(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) -> bool {
        let Some((id, message_id)) = self.forget(attempt) else { return false };
        let Some(index) = self.index(id) else { return false };
        if let Some(connection) = self.all.get_mut(index) {
            connection.abandon(effects.now, message_id);
        }
        self.close_if_done(index, effects);
        true
    }

    /// An attempt has timed out: its connection is no longer its own, and gets no more queries if it
    /// was, or if it does not respond to others either.
    pub(super) fn release(&mut self, attempt: AttemptId, now: Instant) {
        let Some(connection) = self.of_mut(attempt) else { return };
        let was_dedicated = std::mem::replace(&mut connection.is_dedicated, false);
        if was_dedicated || connection.silent_since(now).is_some() {
            connection.retire();
        }
    }

    /// Makes the connection of an attempt its own if it carries nothing else.
    pub(super) fn dedicate(&mut self, attempt: AttemptId) {
        if let Some(connection) = self.of_mut(attempt) {
            connection.is_dedicated |= connection.pending().len() == 1;
        }
    }

    /// Octets sent on a connection, or its SYN, are not acknowledged: its queries may continue on
    /// another one.
    pub(super) fn unacknowledged(&mut self, id: UpstreamConnectionId, now: Instant) {
        let connection = self.index(id).and_then(|index| self.all.get_mut(index));
        let Some(connection) = connection else { return };
        if connection.lose_packets() {
            self.state.record_loss(now);
        }
        let attempts = connection.pending().attempts();
        self.lost.report(attempts, Loss::Unacknowledged);
    }

    /// True while packets are lost: the connection is kept for longer then.
    pub(super) fn keep_while_lossy(&mut self, index: usize, now: Instant) -> bool {
        let loses_packets = self.state.has_lost_packets(now);
        if let Some(connection) = self.all.get_mut(index).filter(|_| loses_packets) {
            connection.keep_until(now + MAX_IDLE_TIMEOUT);
        }
        loses_packets
    }

    /// Opens a connection; returns its index.
    pub(super) fn open(
        &mut self,
        transport: Transport,
        limits: ConnectionLimits,
        effects: &mut Effects<'_>,
    ) -> usize {
        self.limit_draining(effects);
        self.last_number += 1;
        let id = UpstreamConnectionId { upstream: self.upstream, number: self.last_number };
        effects.outbox.actions.push(Action::Dial(Dial { connection: id, transport }));
        self.all.push(Connection::new(effects.now, id, transport, limits));
        self.all.len() - 1
    }

    /// Sends a query that is in the outbox, under an unused message ID; false when none is free.
    pub(super) fn send(
        &mut self,
        index: usize,
        (attempt, usage, message): (AttemptId, ConnectionUse, (u32, u32)),
        random: &mut StdRng,
        effects: &mut Effects<'_>,
    ) -> bool {
        let Some(connection) = self.all.get_mut(index) else { return false };
        let Some(message_id) = connection.pending().unused_id(random) else { return false };
        let query = PendingQuery { attempt: Some(attempt), sent_at: effects.now, usage };
        connection.send(effects.now, message_id, query);
        let id = connection.id;
        effects.outbox.set_message_id(message, message_id);
        effects.outbox.actions.push(Action::SendQuery(SendQuery { connection: id, message }));
        self.placed.insert(attempt, (id, message_id));
        self.reschedule(index, effects);
        true
    }

    /// Closes a connection; queries that wait on it are lost. True when it was being dialled.
    pub(super) fn close(&mut self, index: usize, failure: AttemptFailure, effects: &mut Effects<'_>) -> bool {
        self.disconnect(index, effects)
            .is_some_and(|connection| self.lost.report_closed(&connection, failure))
    }

    /// Removes a connection that is closed; queries that wait on it are lost. True when it was
    /// being dialled.
    pub(super) fn remove(
        &mut self,
        index: usize,
        failure: AttemptFailure,
        effects: &mut Effects<'_>,
    ) -> bool {
        self.take(index, effects).is_some_and(|connection| self.lost.report_closed(&connection, failure))
    }

    /// Closes a connection. The caller reports its queries as lost.
    fn disconnect(&mut self, index: usize, effects: &mut Effects<'_>) -> Option<Connection> {
        let connection = self.take(index, effects)?;
        effects.outbox.actions.push(Action::Disconnect(connection.id));
        Some(connection)
    }

    fn take(&mut self, index: usize, effects: &mut Effects<'_>) -> Option<Connection> {
        self.all.get(index)?;
        let connection = self.all.remove(index);
        if let Some(at) = connection.timer {
            effects.timers.cancel(at, Timer::Connection(connection.id));
        }
        for attempt in connection.pending().attempts() {
            self.placed.remove(&attempt);
        }
        Some(connection)
    }

    /// Closes a connection that gets no more queries and has none that waits.
    pub(super) fn close_if_done(&mut self, index: usize, effects: &mut Effects<'_>) {
        if self.all.get(index).is_some_and(Connection::is_done) {
            self.close(index, AttemptFailure::Closed, effects);
        }
    }

    /// A message without a query arrived: no further query is sent on its connection, those pending
    /// may get their responses.
    pub(super) fn quarantine(&mut self, index: usize, effects: &mut Effects<'_>) {
        self.counters.mismatched_responses.add(1);
        let Some(connection) = self.all.get_mut(index) else { return };
        connection.quarantine(effects.now);
        self.reschedule(index, effects);
        self.close_if_done(index, effects);
    }

    /// A message has arrived in part.
    pub(super) fn received_partial(&mut self, id: UpstreamConnectionId, effects: &mut Effects<'_>) {
        let Some(index) = self.index(id) else { return };
        if let Some(connection) = self.all.get_mut(index) {
            connection.received_partial(effects.now);
        }
        self.reschedule(index, effects);
    }

    /// Closes the oldest of the connections that only wait for their last responses if there are
    /// too many.
    fn limit_draining(&mut self, effects: &mut Effects<'_>) {
        let streams = Streams { all: &self.all, now: effects.now };
        let oldest = streams.draining().next().filter(|_| streams.draining().count() >= MAX_DRAINING);
        let Some(closed) = oldest.and_then(|oldest| self.disconnect(oldest, effects)) else { return };
        // None of its queries is the reason.
        self.lost.report(closed.pending().attempts(), Loss::ConnectionLost(AttemptFailure::Closed));
    }

    /// A query could not be written: it is lost, and its connection is not.
    pub(super) fn unsent(
        &mut self,
        index: usize,
        message_id: u16,
        failure: AttemptFailure,
        effects: &mut Effects<'_>,
    ) {
        let Some(connection) = self.all.get_mut(index) else { return };
        let query = connection.remove(effects.now, message_id);
        if let Some(attempt) = query.and_then(|query| query.attempt) {
            self.placed.remove(&attempt);
            self.lost.report(vec![attempt], Loss::Failed(failure));
        }
        self.close_if_done(index, effects);
    }

    /// No matching response has followed a mismatch in time, or a message has not ended: its queries
    /// continue elsewhere. A socket whose port a spoofer has found is closed.
    pub(super) fn give_up_mismatched(&mut self, index: usize, effects: &mut Effects<'_>) {
        let Some(connection) = self.all.get_mut(index) else { return };
        connection.end_grace_period();
        let loss = Loss::Mismatched { is_dedicated: connection.is_dedicated, is_closed: false };
        if connection.is_spoofed() {
            return self.replace_mismatched(index, effects);
        }
        let attempts = connection.pending().attempts();
        self.report_mismatched(attempts, loss);
    }

    /// Closes a socket after a mismatch: its queries continue elsewhere.
    pub(super) fn replace_mismatched(&mut self, index: usize, effects: &mut Effects<'_>) {
        let Some(closed) = self.disconnect(index, effects) else { return };
        let loss = Loss::Mismatched { is_dedicated: false, is_closed: true };
        self.report_mismatched(closed.pending().attempts(), loss);
    }

    fn report_mismatched(&mut self, attempts: Vec<AttemptId>, loss: Loss) {
        attempts.iter().for_each(|_| self.counters.mismatched_attempts.add(1));
        self.lost.report(attempts, loss);
    }

    /// A new connection does not respond: its queries continue on one that does, if there is one.
    pub(super) fn suspect(&mut self, index: usize, now: Instant) {
        let proven = Streams { all: &self.all, now }.proven();
        let Some(connection) = self.all.get_mut(index) else { return };
        if proven.is_none() {
            return connection.postpone_suspicion(now);
        }
        connection.set_suspect();
        self.counters.suspect_connections.add(1);
        let loss = Loss::Suspect { is_alone: connection.has_carried_one_query() };
        let attempts = connection.pending().attempts();
        self.lost.report(attempts, loss);
    }

    /// A hedge or retry on connection `index` has its response: retires those that had been waiting
    /// for longer than usual when it was sent.
    pub(super) fn retire_outrun(&mut self, index: usize, sent_at: Instant) {
        let others = self.all.iter_mut().enumerate().filter(|(other, _)| *other != index);
        for (_, other) in others.filter(|(_, other)| other.transport == Transport::Tcp) {
            other.outrun_by_hedge(sent_at, SLOW);
        }
    }

    /// Moves the timer of a connection to an earlier time if something is due then. A timer that
    /// fires too early does nothing: that is cheaper than moving it with every query.
    pub(super) fn reschedule(&mut self, index: usize, effects: &mut Effects<'_>) {
        let Some(connection) = self.all.get_mut(index) else { return };
        let Some(at) = connection.next_event(self.idle.shortest()) else { return };
        if connection.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        if let Some(timer) = connection.timer {
            effects.timers.cancel(timer, Timer::Connection(connection.id));
        }
        connection.timer = Some(at);
        effects.timers.schedule(at, Timer::Connection(connection.id));
    }

    /// Sets the timer of a connection after it has fired.
    pub(super) fn schedule(&mut self, index: usize, effects: &mut Effects<'_>) {
        let Some(connection) = self.all.get_mut(index) else { return };
        connection.timer = self.idle.next_event(connection, effects.now);
        if let Some(at) = connection.timer {
            effects.timers.schedule(at, Timer::Connection(connection.id));
        }
    }

    /// What is due on a connection whose timer has fired.
    pub(super) fn due_event(&self, index: usize, now: Instant) -> Option<DueEvent> {
        let (one, streams) = (self.all.get(index)?, Streams { all: &self.all, now });
        let idle_timeout = self.idle.timeout(one, &streams, self.state.has_lost_packets(now));
        one.due_event(now, idle_timeout)
    }

    /// Retires a connection that has become idle when there are more than `max_idle_conns`.
    pub(super) fn limit_idle(&mut self, index: usize) {
        let has_too_many = self.idle.has_too_many(&self.all);
        let connection = self.all.get_mut(index).filter(|one| has_too_many && one.is_idle());
        if let Some(connection) = connection {
            connection.retire();
        }
    }
}
