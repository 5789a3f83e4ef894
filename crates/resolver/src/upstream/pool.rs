//! Connection pool of one upstream and worker: sends queries on connections or queues them, and
//! reports the queries that lost theirs.
//!
//! Events in ([`Pool::on_connected`], [`Pool::match_message`], [`Pool::on_disconnected`],
//! [`Pool::on_timer`]), actions out. A query leaves the pool by [`Pool::responded`] or
//! [`Pool::abandon`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use super::connection::{Connection, DueEvent};
use super::connection_use::ConnectionUse;
use super::connections::Connections;
use super::dialler::Dialler;
use super::loss::{Loss, LostQuery, MatchedQuery};
use super::pending::PendingQuery;
use super::queue::{QueryToSend, Queue, QueuedQuery};
use super::silence::SUSPECT_AFTER;
use crate::action::{Action, AttemptFailure, CheckAcknowledged, Outbox, UpstreamConnectionId};
use crate::counters::UpstreamCounters;
use crate::effects::Effects;
use crate::policy::Upstream;
use crate::timers::AttemptId;
use crate::transport::Transport;

/// Connections and queue of one upstream.
#[derive(Debug)]
pub(crate) struct Pool {
    counters: Arc<UpstreamCounters>,
    connections: Connections,
    queue: Queue,
    dialler: Dialler,
}

impl Pool {
    pub(super) fn new(upstream: &Upstream, random: &mut StdRng) -> Self {
        Self {
            counters: Arc::clone(&upstream.counters),
            connections: Connections::new(upstream),
            queue: Queue::default(),
            dialler: Dialler::new(upstream, random),
        }
    }

    /// Takes the queries that have to continue elsewhere.
    pub(super) fn take_lost(&mut self) -> Vec<LostQuery> {
        self.connections.lost.take()
    }

    /// True when nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.all().is_empty() && self.queue.is_empty()
    }

    /// Sends a query on an existing or a new connection, or queues it; false when the queue is
    /// full.
    pub(super) fn send(&mut self, query: &QueryToSend, effects: &mut Effects<'_>) -> bool {
        if self.try_send(query, effects) {
            return true;
        }
        if query.usage == ConnectionUse::Unoccupied {
            return false;
        }
        let message = effects.outbox.octets(query.message).into();
        let QueryToSend { attempt, usage, has_client, deadline, .. } = *query;
        let is_queued = self.queue.push(QueuedQuery { attempt, usage, has_client, deadline, message });
        let counters = &self.counters;
        if usage == ConnectionUse::Dedicated && is_queued {
            counters.dedicated_connections_full.add(1);
        }
        if is_queued {
            counters.queued.add(1)
        } else {
            counters.queue_full.add(1)
        }
        is_queued
    }

    /// A connection is established.
    pub(crate) fn on_connected(&mut self, id: UpstreamConnectionId, effects: &mut Effects<'_>) {
        let Some(index) = self.connections.index(id) else { return };
        let connection = self.connections.get_mut(index).filter(|connection| connection.is_dialling());
        let Some(connection) = connection else { return };
        connection.established(effects.now);
        self.dialler.connected();
        self.connections.reschedule(index, effects);
        self.flush(effects);
    }

    /// A connection could not be established, or was closed by the upstream or by an error.
    pub(crate) fn on_disconnected(
        &mut self,
        id: UpstreamConnectionId,
        failure: AttemptFailure,
        effects: &mut Effects<'_>,
    ) {
        let Some(index) = self.connections.index(id) else { return };
        let is_socket = self.connections.get_mut(index).is_some_and(|one| one.transport == Transport::Udp);
        if is_socket && failure.is_local() {
            self.dialler.socket_failed(effects.now);
        }
        if self.connections.remove(index, failure, effects) {
            self.on_failed_dial(failure, effects);
        }
        self.flush(effects);
    }

    /// Finds the query of a message. A message without a query quarantines its connection.
    pub(super) fn match_message(
        &mut self,
        id: UpstreamConnectionId,
        message_id: Option<u16>,
        effects: &mut Effects<'_>,
    ) -> MatchedQuery {
        let closed = MatchedQuery::Abandoned { is_stream: false };
        let Some(index) = self.connections.index(id) else { return closed };
        let Some(connection) = self.connections.get_mut(index) else { return closed };
        let is_stream = connection.transport == Transport::Tcp;
        connection.received(effects.now);
        match message_id.and_then(|id| Some((id, *connection.pending().get(id)?))) {
            Some((_, PendingQuery { attempt: Some(attempt), .. })) => MatchedQuery::Attempt(attempt),
            Some((message_id, _)) => {
                connection.remove(effects.now, message_id);
                self.connections.close_if_done(index, effects);
                MatchedQuery::Abandoned { is_stream }
            }
            None => {
                self.quarantine(id, effects);
                MatchedQuery::Unknown
            }
        }
    }

    /// A message has arrived in part.
    pub(crate) fn on_partial_message(&mut self, id: UpstreamConnectionId, effects: &mut Effects<'_>) {
        self.connections.received_partial(id, effects);
    }

    /// A connection is out of step: it gets no further query.
    pub(crate) fn quarantine(&mut self, id: UpstreamConnectionId, effects: &mut Effects<'_>) {
        if let Some(index) = self.connections.index(id) {
            self.connections.quarantine(index, effects);
        }
        self.flush(effects);
    }

    /// An attempt has its response. Returns the time since it was sent.
    pub(super) fn responded(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) -> Option<Duration> {
        let (id, message_id) = self.connections.forget(attempt)?;
        let index = self.connections.index(id)?;
        let connection = self.connections.get_mut(index)?;
        let query = *connection.pending().get(message_id)?;
        let is_stream = connection.transport == Transport::Tcp;
        let loses_packets = self.connections.keep_while_lossy(index, effects.now);
        let first_response = self.connections.get_mut(index)?.responded(effects.now, message_id);
        if is_stream && !loses_packets {
            if let Some(took) = first_response {
                self.on_first_response(index, took);
            }
            if query.usage != ConnectionUse::Shared {
                self.connections.retire_outrun(index, query.sent_at);
            }
        }
        self.connections.limit_idle(index);
        self.connections.reschedule(index, effects);
        self.connections.close_if_done(index, effects);
        self.flush(effects);
        Some(effects.now.saturating_duration_since(query.sent_at))
    }

    /// Nothing waits for the response of an attempt any more.
    pub(super) fn abandon(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) {
        if self.queue.remove(attempt) {
            return;
        }
        if self.connections.abandon(attempt, effects) {
            self.flush(effects);
        }
    }

    /// Makes the connection of an attempt its own if it carries nothing else.
    pub(super) fn dedicate(&mut self, attempt: AttemptId) {
        self.connections.dedicate(attempt);
    }

    /// A query was answered at once while a new connection did not answer it: that one is not
    /// served.
    pub(super) fn not_served(&mut self, now: Instant) {
        self.dialler.not_served(now);
    }

    /// Lets the worker check whether octets sent on the connection of an attempt are acknowledged.
    pub(super) fn check_acknowledged(&self, attempt: AttemptId, sent_before: Instant, outbox: &mut Outbox) {
        let connection = self.connection_of(attempt);
        let check = connection.map(|connection| CheckAcknowledged { connection, sent_before });
        outbox.actions.extend(check.map(Action::CheckAcknowledged));
    }

    /// Octets sent on a connection, or its SYN, are not acknowledged.
    pub(crate) fn on_unacknowledged(&mut self, id: UpstreamConnectionId, now: Instant) {
        self.connections.unacknowledged(id, now);
    }

    /// A query could not be written on a connection, which goes on.
    pub(crate) fn on_unsent(
        &mut self,
        id: UpstreamConnectionId,
        message_id: u16,
        failure: AttemptFailure,
        effects: &mut Effects<'_>,
    ) {
        if let Some(index) = self.connections.index(id) {
            self.connections.unsent(index, message_id, failure, effects);
        }
        self.flush(effects);
    }

    /// An attempt has timed out.
    pub(super) fn release(&mut self, attempt: AttemptId, effects: &mut Effects<'_>) {
        self.connections.release(attempt, effects.now);
        self.flush(effects);
    }

    /// The clients of a queued query have their response.
    pub(super) fn demote(&mut self, attempt: AttemptId) {
        self.queue.demote(attempt);
    }

    /// The connection of an attempt; none before it is sent.
    pub(super) fn connection_of(&self, attempt: AttemptId) -> Option<UpstreamConnectionId> {
        self.connections.of(attempt).map(|(id, _)| id)
    }

    /// The timer of a connection fired.
    pub(crate) fn on_timer(&mut self, id: UpstreamConnectionId, effects: &mut Effects<'_>) {
        let Some(index) = self.connections.index(id) else { return };
        let loses_packets = self.connections.keep_while_lossy(index, effects.now);
        let due = self.connections.due_event(index, effects.now);
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.timer = None;
        match due {
            Some(DueEvent::DialTimeout) => self.close(index, AttemptFailure::DialTimedOut, effects),
            Some(DueEvent::GracePeriodEnd) => self.connections.give_up_mismatched(index, effects),
            Some(DueEvent::Suspect) if loses_packets => connection.postpone_suspicion(effects.now),
            Some(DueEvent::Suspect) => self.connections.suspect(index, effects.now),
            Some(DueEvent::Retire | DueEvent::Idle) => connection.retire(),
            None => {}
        }
        if let Some(index) = self.connections.index(id) {
            self.connections.schedule(index, effects);
            self.connections.close_if_done(index, effects);
        }
        self.flush(effects);
    }

    /// The end of the pause after a failed dial.
    pub(crate) fn on_dial_timer(&mut self, effects: &mut Effects<'_>) {
        if self.dialler.permits_dial(effects.now) {
            self.flush(effects);
        }
    }

    /// Retires all connections: the configuration no longer has this upstream.
    pub(super) fn retire_all(&mut self, effects: &mut Effects<'_>) {
        self.connections.iter_mut().for_each(Connection::retire);
        while let Some(index) = self.connections.all().iter().position(Connection::is_done) {
            self.connections.close(index, AttemptFailure::Closed, effects);
        }
    }

    /// A stream has given its first response. One that has waited in a backlog beside others leaves
    /// its place.
    fn on_first_response(&mut self, index: usize, took: Duration) {
        let streams = self.connections.all().iter().filter(|one| one.transport == Transport::Tcp);
        let is_only = streams.count() == 1;
        self.dialler.first_response(took, is_only);
        let is_late_extra = took > SUSPECT_AFTER && !is_only;
        if let Some(connection) = self.connections.get_mut(index).filter(|_| is_late_extra) {
            connection.retire();
        }
    }

    /// False when the query has to wait.
    fn try_send(&mut self, query: &QueryToSend, effects: &mut Effects<'_>) -> bool {
        let QueryToSend { attempt, transport, usage, message, .. } = *query;
        let placed = self.dialler.place((transport, usage), &mut self.connections, effects);
        placed.is_some_and(|index| {
            let random = self.dialler.random();
            self.connections.send(index, (attempt, usage, message), random, effects)
        })
    }

    /// Sends queued queries while there is room for them.
    fn flush(&mut self, effects: &mut Effects<'_>) {
        for class in Queue::classes() {
            while let Some(queued) = self.queue.pop(class, effects.now) {
                if !self.send_queued(&queued, effects) {
                    self.queue.push_front(queued);
                    break;
                }
            }
        }
    }

    fn send_queued(&mut self, queued: &QueuedQuery, effects: &mut Effects<'_>) -> bool {
        let start = effects.outbox.bytes.len();
        let Some(query) = queued.write(effects.outbox) else { return false };
        let is_sent = self.try_send(&query, effects);
        if !is_sent {
            effects.outbox.bytes.truncate(start);
        }
        is_sent
    }

    /// Closes a connection on which queries may wait.
    fn close(&mut self, index: usize, failure: AttemptFailure, effects: &mut Effects<'_>) {
        if self.connections.close(index, failure, effects) {
            self.on_failed_dial(failure, effects);
        }
    }

    /// A dial failed. Without another connection, the queries that wait for one have failed as well.
    fn on_failed_dial(&mut self, failure: AttemptFailure, effects: &mut Effects<'_>) {
        self.dialler.dial_failed(effects);
        if !self.connections.all().iter().any(|one| one.transport == Transport::Tcp) {
            let loss = Loss::Failed(failure);
            self.connections.lost.report(self.queue.drain_shared(), loss);
        }
    }
}
