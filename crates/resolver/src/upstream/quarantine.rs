//! Quarantine of a connection that is out of step: a mismatch, or a message that does not end.

use std::time::{Duration, Instant};

/// How long after the first mismatch the matching response is still awaited. A spoofer is ahead of
/// the upstream by no more than a round trip, and a desynchronized upstream is not worth a longer
/// wait. The end of a message that has begun to arrive on a stream is awaited as long.
const GRACE_PERIOD: Duration = Duration::from_millis(300);

/// More mismatches than this on a socket are an attack or a broken upstream; the grace period ends
/// at once. A stream cannot be spoofed.
const MAX_MISMATCHES: u32 = 3;

/// Whether a connection is out of step, and how long matching responses are still awaited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quarantine {
    is_active: bool,
    mismatches: u32,
    /// End of the grace period; none before it begins and once it has ended.
    until: Option<Instant>,
    /// Since when the beginning of a message is there, but not its end.
    partial_since: Option<Instant>,
}

impl Quarantine {
    /// A mismatch arrived. Of a socket, too many end the grace period.
    pub(super) fn mismatch(&mut self, now: Instant, is_socket: bool) {
        if !std::mem::replace(&mut self.is_active, true) {
            self.until = Some(now + GRACE_PERIOD);
        }
        self.mismatches += 1;
        if is_socket && self.has_too_many() && self.until.is_some() {
            self.until = Some(now);
        }
    }

    /// A message has arrived in part. If it does not end, its length prefix is too large.
    pub(super) fn received_partial(&mut self, now: Instant) {
        self.partial_since.get_or_insert(now);
    }

    /// A message has arrived.
    pub(super) fn received(&mut self) {
        self.partial_since = None;
    }

    /// The connection is out of step: it gets no further query.
    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    /// More mismatches than a late response or two could be.
    pub(super) fn has_too_many(&self) -> bool {
        self.mismatches > MAX_MISMATCHES
    }

    /// When the grace period ends. A query that has the stream for itself (`is_dedicated`) waits for
    /// the end of a message until its timeout.
    pub(super) fn grace_period_end(&self, is_dedicated: bool) -> Option<Instant> {
        let partial_since = self.partial_since.filter(|_| !is_dedicated && !self.is_active);
        self.until.or_else(|| Some(partial_since? + GRACE_PERIOD))
    }

    /// The grace period is over.
    pub(super) fn end_grace_period(&mut self) {
        self.is_active = true;
        self.until = None;
    }
}
