//! Pending queries of a connection, by message ID.

use std::collections::VecDeque;
use std::time::Instant;

use rand::RngExt;
use rand::rngs::StdRng;

use super::connection_use::ConnectionUse;
use crate::id_map::IdMap;
use crate::timers::AttemptId;

/// Draws for an unused message ID; with some thousand in use, one or two suffice.
const MAX_DRAWS: usize = 64;

/// Queries that are not pending any more and may stay in the order, beside as many as are pending.
const MAX_SPARE: usize = 16;

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
    queries: IdMap<u16, PendingQuery>,
    /// In order of sending; behind the first one as many more may be that are not pending any more.
    sent: VecDeque<(u16, Instant)>,
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
        self.sent.push_back((id, query.sent_at));
        self.queries.insert(id, query);
    }

    pub(super) fn get(&self, id: u16) -> Option<&PendingQuery> {
        self.queries.get(&id)
    }

    pub(super) fn remove(&mut self, id: u16) -> Option<PendingQuery> {
        let query = self.queries.remove(&id)?;
        self.wanted -= usize::from(query.attempt.is_some());
        self.tidy();
        Some(query)
    }

    /// Removes queries from the order that are not pending: those before the oldest one, and all when
    /// they are more than half.
    fn tidy(&mut self) {
        let Self { queries, sent, .. } = self;
        let is_pending =
            |(id, sent_at): &(u16, Instant)| queries.get(id).is_some_and(|one| one.sent_at == *sent_at);
        if sent.len() > 2 * queries.len() + MAX_SPARE {
            sent.retain(is_pending);
        }
        while sent.front().is_some_and(|first| !is_pending(first)) {
            sent.pop_front();
        }
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
        self.sent.front().map(|(_, sent_at)| *sent_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_query_is_found_behind_a_bounded_number_of_answered_ones() {
        let start = testkit::clock::now();
        let mut pending = PendingQueries::default();
        let query = |sent_at| PendingQuery { attempt: None, sent_at, usage: ConnectionUse::Shared };
        pending.insert(0, query(start));
        for number in 1..1000 {
            pending.insert(number, query(start + Duration::from_millis(number.into())));
            assert_eq!(pending.oldest(), Some(start));
            if number > 1 {
                pending.remove(number);
            }
            assert!(pending.sent.len() <= 2 * pending.len() + MAX_SPARE);
        }
        pending.remove(0);
        assert_eq!(pending.oldest(), Some(start + Duration::from_millis(1)));
        pending.remove(1);
        assert_eq!(pending.oldest(), None);
    }
}
