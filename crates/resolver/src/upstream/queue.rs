//! Queue of a connection pool: queries that wait for a connection.

use std::collections::VecDeque;
use std::time::Instant;

use super::connection_use::ConnectionUse;
use crate::action::Outbox;
use crate::id_map::IdMap;
use crate::timers::AttemptId;
use crate::transport::Transport;

/// Queued queries per worker and upstream: more than the memory of waiting queries allows
/// ([`crate::inflight::memory`]), so that a burst of one client waits as long as its queries may.
const MAX_QUEUED: usize = 1 << 14;

/// Removed queries in the order of arrival up to which it is not tidied.
const MIN_REMOVED: usize = 1024;

/// Classes of queries, the first of which leaves the queue first.
const CLASSES: usize = 4;

/// A query to send.
#[derive(Debug)]
pub(super) struct QueryToSend {
    pub(super) attempt: AttemptId,
    pub(super) transport: Transport,
    pub(super) usage: ConnectionUse,
    pub(super) has_client: bool,
    /// When its attempt times out.
    pub(super) deadline: Instant,
    /// The message in the outbox, with any message ID.
    pub(super) message: (u32, u32),
}

/// A query that waits for a connection.
#[derive(Debug)]
pub(super) struct QueuedQuery {
    pub(super) attempt: AttemptId,
    pub(super) usage: ConnectionUse,
    /// False for a refresh and a health check.
    pub(super) has_client: bool,
    /// When its attempt times out.
    pub(super) deadline: Instant,
    /// Encoded, with any message ID.
    pub(super) message: Box<[u8]>,
}

impl QueuedQuery {
    /// Writes its message to an outbox.
    pub(super) fn write(&self, outbox: &mut Outbox) -> Option<QueryToSend> {
        let start = outbox.bytes.len();
        outbox.bytes.extend_from_slice(&self.message);
        let message = outbox.since(start)?;
        let Self { attempt, usage, has_client, deadline, .. } = *self;
        Some(QueryToSend { attempt, transport: Transport::Tcp, usage, has_client, deadline, message })
    }

    /// Retries and hedges first, whose clients have waited longest; queries without a client last.
    fn class(&self) -> usize {
        match self.usage {
            _ if !self.has_client => 3,
            ConnectionUse::Dedicated => 0,
            ConnectionUse::Fresh | ConnectionUse::Unoccupied | ConnectionUse::Proven => 1,
            ConnectionUse::Shared => 2,
        }
    }
}

/// FIFO within a class.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// In order of arrival; those that are no longer in `queries` have been removed.
    order: [VecDeque<AttemptId>; CLASSES],
    queries: IdMap<AttemptId, QueuedQuery>,
}

impl Queue {
    /// False when the queue is full.
    pub(super) fn push(&mut self, query: QueuedQuery) -> bool {
        if self.queries.len() >= MAX_QUEUED {
            return false;
        }
        if let Some(order) = self.order.get_mut(query.class()) {
            order.push_back(query.attempt);
        }
        self.queries.insert(query.attempt, query);
        true
    }

    /// Removes a query in constant time; false when it is not queued.
    pub(super) fn remove(&mut self, attempt: AttemptId) -> bool {
        let is_queued = self.queries.remove(&attempt).is_some();
        // Bounds what removed queries leave behind.
        let ordered: usize = self.order.iter().map(VecDeque::len).sum();
        if ordered > 2 * self.queries.len() + MIN_REMOVED {
            for order in &mut self.order {
                order.retain(|attempt| self.queries.contains_key(attempt));
            }
        }
        is_queued
    }

    /// Takes the first query of a class. Those past their deadline are dropped: no dial is spent on
    /// them.
    pub(super) fn pop(&mut self, class: usize, now: Instant) -> Option<QueuedQuery> {
        let order = self.order.get_mut(class)?;
        while let Some(attempt) = order.pop_front() {
            let is_of_class = self.queries.get(&attempt).is_some_and(|query| query.class() == class);
            let query = if is_of_class { self.queries.remove(&attempt) } else { None };
            if let Some(query) = query.filter(|query| now < query.deadline) {
                return Some(query);
            }
        }
        None
    }

    /// Puts a query back at the head of its class.
    pub(super) fn push_front(&mut self, query: QueuedQuery) {
        if let Some(order) = self.order.get_mut(query.class()) {
            order.push_front(query.attempt);
        }
        self.queries.insert(query.attempt, query);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// The clients of a query have their response: it comes after those whose clients wait.
    pub(super) fn demote(&mut self, attempt: AttemptId) {
        let Some(query) = self.queries.get_mut(&attempt) else { return };
        query.has_client = false;
        if let Some(order) = self.order.get_mut(query.class()) {
            order.push_back(attempt);
        }
    }

    /// Removes the queries that wait for any connection; not those for a dedicated one.
    pub(super) fn drain_shared(&mut self) -> Vec<AttemptId> {
        let shared = self.queries.extract_if(|_, query| query.usage != ConnectionUse::Dedicated);
        let mut attempts: Vec<AttemptId> = shared.map(|(attempt, _)| attempt).collect();
        attempts.sort_unstable();
        attempts
    }

    pub(super) fn classes() -> std::ops::Range<usize> {
        0..CLASSES
    }
}
