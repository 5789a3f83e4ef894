//! Outage of all upstreams of a `forward`: none of them responds to anything.
//!
//! A query without a response begins an outage (see `crate::inflight::outage`); the next response
//! of one of the upstreams, to whatever query, ends it. It is stored as the number of responses at
//! which it began, so that a response ends it for all workers at once.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use super::shared_instant::SharedInstant;

/// Interval of outage checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Responses of the upstreams of a `forward`, and their outage.
#[derive(Debug, Default)]
pub(crate) struct OutageState {
    responses: AtomicU64,
    last_response: SharedInstant,
    /// Responses when an outage began, plus 1; 0 before the first outage.
    began: AtomicU64,
    next_check: SharedInstant,
    checks: AtomicUsize,
}

impl OutageState {
    /// Responses received from the upstreams.
    pub(crate) fn responses(&self) -> u64 {
        self.responses.load(Acquire)
    }

    /// When the last of them was received.
    pub(crate) fn last_response(&self) -> Option<Instant> {
        self.last_response.get()
    }

    /// Counts a response of one of the upstreams.
    pub(crate) fn record_response(&self, now: Instant) {
        self.last_response.advance(now);
        self.end();
    }

    /// Ends an outage without a response.
    pub(super) fn end(&self) {
        self.responses.fetch_add(1, Release);
    }

    /// Begins an outage, unless there are more than `responses` by now.
    pub(crate) fn begin(&self, responses: u64) {
        self.began.fetch_max(responses.saturating_add(1), Relaxed);
    }

    /// True during an outage.
    pub(crate) fn is_ongoing(&self) -> bool {
        self.began.load(Relaxed).checked_sub(1) == Some(self.responses())
    }

    /// The number of the outage check that is due, a query that shows whether the outage has ended;
    /// `None` when the last one started less than [`CHECK_INTERVAL`] ago, in any worker.
    pub(crate) fn next_check_number(&self, now: Instant) -> Option<usize> {
        let is_due = self.next_check.replace_if_due(now, now + CHECK_INTERVAL);
        is_due.then(|| self.checks.fetch_add(1, Relaxed))
    }
}
