//! Pending queries of a connection, by message ID.

use std::collections::BTreeMap;
use std::time::Instant;

use rand::RngExt;
use rand::rngs::StdRng;

use super::connection_use::ConnectionUse;
use crate::timers::AttemptId;

/// Draws for an unused message ID; with some thousand in use, one or two suffice.
const MAX_DRAWS: usize = 64;

/// A query sent on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingQuery {
    /// None after it was abandoned: its response may still arrive and must find its ID.
    pub(super) attempt: Option<AttemptId>,
    pub(super) sent_at: Instant,
    pub(super) usage: ConnectionUse,
}

/// The queries of a connection that have no response yet.
#[derive(Debug, Default)]
pub(super) struct PendingQueries {
    queries: BTreeMap<u16, PendingQuery>,
    /// Those that are not abandoned.
    wanted: usize,
}

impl PendingQueries {
    /// A random message ID that no pending query has (RFC 5452 section 4.3).
    pub(super) fn unused_id(&self, random: &mut StdRng) -> Option<u16> {
        let mut draws = std::iter::repeat_with(|| random.random::<u16>()).take(MAX_DRAWS);
        draws.find(|id| !self.queries.contains_key(id))
    }

    pub(super) fn insert(&mut self, id: u16, query: PendingQuery) {
        self.wanted += usize::from(query.attempt.is_some());
        self.queries.insert(id, query);
    }

    pub(super) fn get(&self, id: u16) -> Option<&PendingQuery> {
        self.queries.get(&id)
    }

    pub(super) fn remove(&mut self, id: u16) -> Option<PendingQuery> {
        let query = self.queries.remove(&id)?;
        self.wanted -= usize::from(query.attempt.is_some());
        Some(query)
    }

    /// Nothing waits for the response to a query any more. False for an unknown ID.
    pub(super) fn abandon(&mut self, id: u16) -> bool {
        let Some(query) = self.queries.get_mut(&id) else { return false };
        self.wanted -= usize::from(query.attempt.take().is_some());
        true
    }

    /// Abandoned ones included.
    pub(super) fn len(&self) -> usize {
        self.queries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// True while something waits for a response.
    pub(super) fn is_awaited(&self) -> bool {
        self.wanted > 0
    }

    /// The attempts that wait for a response, oldest first.
    pub(super) fn attempts(&self) -> Vec<AttemptId> {
        let mut attempts: Vec<AttemptId> = self.queries.values().filter_map(|query| query.attempt).collect();
        attempts.sort_unstable();
        attempts
    }

    /// When the oldest was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.queries.values().map(|query| query.sent_at).min()
    }
}
