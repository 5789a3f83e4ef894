//! Timers of one worker, ordered by time.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::action::{LookupId, UpstreamConnectionId};
use crate::policy::UpstreamId;

/// An attempt: one query sent to one upstream. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AttemptId(pub(crate) u64);

/// Number of an in-flight query; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueryId(pub(crate) u64);

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Next event of an attempt: hedge, timeout, end of the wait for a late response.
    Attempt(AttemptId),
    /// End of a query's retry pause, or its deadline.
    Query(QueryId),
    /// Client response timer (RFC 8767 section 5): waiters get the stale answer; without
    /// `serve_stale` in an outage only.
    ClientResponse(QueryId),
    /// Responses to further waiters of completed queries.
    Respond,
    /// Timeout of a health check, or the pause before the next.
    HealthCheck(AttemptId),
    /// Next event of a connection: dial timeout, end of a mismatch grace period, idle timeout.
    Connection(UpstreamConnectionId),
    /// End of the pause after a failed dial.
    Dial(UpstreamId),
    /// Deadline of the client's query that waits for a lookup, if that may take longer.
    Lookup(LookupId),
}

/// Pending timers.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    pending: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    pub(crate) fn schedule(&mut self, at: Instant, timer: Timer) {
        self.pending.insert((at, timer));
    }

    /// Cancels a timer, if it is pending.
    pub(crate) fn cancel(&mut self, at: Instant, timer: Timer) {
        self.pending.remove(&(at, timer));
    }

    /// The time of the earliest timer.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.pending.first().map(|&(at, _)| at)
    }

    /// Removes and returns the earliest timer, if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.pending.first()?;
        (at <= now).then(|| {
            self.pending.pop_first();
            timer
        })
    }
}
