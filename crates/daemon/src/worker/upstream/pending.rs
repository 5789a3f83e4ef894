//! Pending queries: those in flight on one upstream connection, oldest first.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

use resolver::action::AttemptId;

#[derive(Clone, Copy)]
pub(super) struct PendingQuery {
    pub(super) id: u16,
    pub(super) sent_at: Instant,
    /// A hedge or retry that required a connection without earlier queries.
    pub(super) fresh: bool,
    /// `None` after the attempt was cancelled: its response may still arrive and must find its ID.
    pub(super) attempt: Option<AttemptId>,
    /// A message with its ID but another question has arrived.
    pub(super) mismatched: bool,
}

#[derive(Default)]
pub(super) struct PendingQueries(RefCell<VecDeque<PendingQuery>>);

impl PendingQueries {
    pub(super) fn push(&self, query: PendingQuery) {
        self.0.borrow_mut().push_back(query);
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// True when none is left whose response is wanted.
    pub(super) fn are_cancelled(&self) -> bool {
        self.0.borrow().iter().all(|query| query.attempt.is_none())
    }

    pub(super) fn oldest_sent_at(&self) -> Option<Instant> {
        self.0.borrow().front().map(|oldest| oldest.sent_at)
    }

    pub(super) fn with_id(&self, id: u16) -> Option<PendingQuery> {
        self.0.borrow().iter().find(|query| query.id == id).copied()
    }

    pub(super) fn carries(&self, attempt: AttemptId) -> bool {
        self.0.borrow().iter().any(|query| query.attempt == Some(attempt))
    }

    pub(super) fn is_mismatched(&self, attempt: AttemptId) -> bool {
        self.0.borrow().iter().any(|query| query.attempt == Some(attempt) && query.mismatched)
    }

    pub(super) fn oldest_without_mismatch(&self) -> Option<AttemptId> {
        self.0.borrow().iter().filter(|query| !query.mismatched).find_map(|query| query.attempt)
    }

    /// False when the attempt is not here.
    pub(super) fn cancel(&self, attempt: AttemptId) -> bool {
        self.update(attempt, |query| query.attempt = None)
    }

    pub(super) fn cancel_mismatched(&self) {
        for query in self.0.borrow_mut().iter_mut().filter(|query| query.mismatched) {
            query.attempt = None;
        }
    }

    /// False when the attempt is not here.
    pub(super) fn set_mismatched(&self, attempt: AttemptId) -> bool {
        self.update(attempt, |query| query.mismatched = true)
    }

    fn update(&self, attempt: AttemptId, change: impl FnOnce(&mut PendingQuery)) -> bool {
        let mut queries = self.0.borrow_mut();
        queries.iter_mut().find(|query| query.attempt == Some(attempt)).map(change).is_some()
    }

    /// Removes the oldest query for which `is_it` holds.
    pub(super) fn remove(&self, is_it: impl Fn(&PendingQuery) -> bool) {
        let mut queries = self.0.borrow_mut();
        if let Some(index) = queries.iter().position(is_it) {
            queries.remove(index);
        }
    }

    /// Removes all queries; returns the attempts that were not cancelled.
    pub(super) fn take(&self) -> Vec<AttemptId> {
        self.0.borrow_mut().drain(..).filter_map(|query| query.attempt).collect()
    }
}
