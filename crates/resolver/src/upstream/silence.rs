//! Silence of a connection: since when its queries are unanswered, and when a new connection is
//! suspect.

use std::time::{Duration, Instant};

/// A connection is silent when nothing has arrived for this long while a query is pending: it may
/// lead to a pod that is gone.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// A new connection without a response for this long since it was established is suspect: a server
/// with few TCP workers leaves it in its backlog.
pub(super) const SUSPECT_AFTER: Duration = Duration::from_millis(300);

/// Pause between two searches for a connection that takes the queries of a suspect one.
const SUSPECT_INTERVAL: Duration = Duration::from_millis(100);

/// What has been received on a connection, and since when nothing has been.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Since when queries are pending and nothing has arrived.
    since: Option<Instant>,
    /// When its first query was sent, or it was established after that.
    first_wait: Option<Instant>,
    /// Octets sent on it, or its SYN, were not acknowledged, and nothing has arrived since.
    is_unacknowledged: bool,
    has_responded: bool,
    /// When it is suspect, or looked at again.
    suspect_check_at: Option<Instant>,
    /// Its queries have been repeated on another connection.
    is_suspect: bool,
}

impl Silence {
    /// A query was sent, or the connection of one was established.
    pub(super) fn begin(&mut self, now: Instant, is_dialling: bool) {
        self.since = Some(now);
        self.first_wait = Some(now);
        let suspect_after = if is_dialling { SILENT_AFTER } else { SUSPECT_AFTER };
        self.suspect_check_at = Some(now + suspect_after);
    }

    /// No query is pending any more.
    pub(super) fn end(&mut self) {
        self.since = None;
    }

    /// Something has arrived; it begins anew for the queries that are pending, if any `is_awaited`.
    pub(super) fn received(&mut self, now: Instant, is_awaited: bool) {
        self.is_unacknowledged = false;
        self.since = is_awaited.then_some(now);
    }

    /// A query has its response. Returns how long the first response took, for a connection without
    /// an earlier one.
    pub(super) fn responded(&mut self, now: Instant) -> Option<Duration> {
        let is_first = !std::mem::replace(&mut self.has_responded, true);
        let since = self.first_wait.filter(|_| is_first)?;
        Some(now.saturating_duration_since(since))
    }

    pub(super) fn has_responded(&self) -> bool {
        self.has_responded
    }

    /// Its octets, or its SYN, are not acknowledged. False when that was known and nothing has
    /// arrived since.
    pub(super) fn lose_packets(&mut self) -> bool {
        !std::mem::replace(&mut self.is_unacknowledged, true)
    }

    /// Its queries are repeated on another connection.
    pub(super) fn set_suspect(&mut self) {
        self.is_suspect = true;
    }

    /// Searches again later for a connection that takes the queries of this suspect one.
    pub(super) fn postpone_suspicion(&mut self, now: Instant) {
        self.suspect_check_at = Some(now + SUSPECT_INTERVAL);
    }

    /// When a connection without a response is suspect; none once it is.
    pub(super) fn suspect_check_at(&self) -> Option<Instant> {
        self.suspect_check_at.filter(|_| !self.has_responded && !self.is_suspect)
    }

    /// Since when queries are pending and nothing has arrived.
    pub(super) fn unanswered_since(&self) -> Option<Instant> {
        self.since
    }

    /// The same for a silent connection.
    pub(super) fn silent_since(&self, now: Instant) -> Option<Instant> {
        self.since.filter(|since| *since + SILENT_AFTER < now)
    }
}
