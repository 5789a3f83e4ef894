//! State of one connection to an upstream, from before the dial until the close: pending queries,
//! matching of messages by ID, quarantine, idle timeout and maximum age.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use resolver::action::{AttemptFailure, AttemptId, SendQuery};
use tokio::sync::Notify;
use wire::frame;

use super::pending::{PendingQueries, PendingQuery};
use crate::clock;

/// A connection is silent when nothing has arrived for this long while a query is pending: it may
/// lead to a pod that is gone.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// Above the longest deadline of an attempt: fails a pending query that was never cancelled.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limits of a connection.
#[derive(Clone, Copy)]
pub(super) struct ConnectionLimits {
    /// For the dial, TLS handshake included.
    pub(super) dial_deadline: Instant,
    /// When it is retired: the maximum age.
    pub(super) retire_at: Instant,
    pub(super) idle_timeout: Duration,
}

pub(super) struct UpstreamConnection {
    pub(super) limits: ConnectionLimits,
    pub(super) write_buffer: RefCell<Vec<u8>>,
    pub(super) changed: Notify,
    /// Those that wait for the dial included.
    pending: PendingQueries,
    opened_at: Instant,
    dialling: Cell<bool>,
    last_used: Cell<Instant>,
    last_received: Cell<Instant>,
    has_responded: Cell<bool>,
    /// A mismatch has arrived, and no response since.
    out_of_sync: Cell<bool>,
    /// Gets no more queries.
    retired: Cell<bool>,
    /// Set when the connection is to be closed.
    closing: Cell<Option<AttemptFailure>>,
    /// The attempt whose message is being passed on.
    delivering: Cell<Option<AttemptId>>,
}

/// How a received message was matched.
pub(super) enum Delivery {
    /// The response of this query.
    Response(AttemptId, PendingQuery),
    /// For a cancelled query, or a mismatch.
    Discarded,
    /// No pending query has this ID. If the upstream responds in order, as CoreDNS does, the
    /// message belongs to the oldest query that has had no mismatch yet.
    Unmatched(Option<AttemptId>),
    /// Not a DNS message: the framing of what follows cannot be trusted.
    Malformed,
}

impl UpstreamConnection {
    pub(super) fn new(now: Instant, limits: ConnectionLimits) -> Self {
        Self {
            limits,
            write_buffer: RefCell::default(),
            changed: Notify::new(),
            pending: PendingQueries::default(),
            opened_at: now,
            dialling: Cell::new(true),
            last_used: Cell::new(now),
            last_received: Cell::new(now),
            has_responded: Cell::new(false),
            out_of_sync: Cell::new(false),
            retired: Cell::new(false),
            closing: Cell::new(None),
            delivering: Cell::new(None),
        }
    }

    pub(super) fn send(&self, now: Instant, query: &SendQuery, message: &[u8]) {
        let Some(header) = wire::header::Header::read(message) else { return };
        frame::push(message, &mut self.write_buffer.borrow_mut());
        let (attempt, fresh) = (Some(query.attempt), query.fresh);
        self.pending.push(PendingQuery { id: header.id, sent_at: now, fresh, attempt, mismatched: false });
        self.last_used.set(now);
        self.changed.notify_one();
    }

    pub(super) fn established(&self) {
        self.dialling.set(false);
        self.last_received.set(clock::now());
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.dialling.get()
    }

    /// Still being dialled, for less than `limit`.
    pub(super) fn is_younger_than(&self, limit: Duration, now: Instant) -> bool {
        self.dialling.get() && now.saturating_duration_since(self.opened_at) < limit
    }

    pub(super) fn accepts_queries(&self, now: Instant) -> bool {
        self.closing.get().is_none() && !self.retired.get() && now < self.limits.retire_at
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn has_no_pending(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn carries(&self, attempt: AttemptId) -> bool {
        self.pending.carries(attempt)
    }

    /// True when the oldest query has been pending longer than `limit`.
    pub(super) fn waits_longer_than(&self, limit: Duration, now: Instant) -> bool {
        let oldest = self.pending.oldest_sent_at();
        oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) > limit)
    }

    /// Start of the silence, for a silent connection.
    pub(super) fn silent_since(&self, now: Instant) -> Option<Instant> {
        let since = self.waiting_since()?;
        (now.saturating_duration_since(since) > SILENT_AFTER).then_some(since)
    }

    /// Since when a query is pending and nothing has arrived.
    fn waiting_since(&self) -> Option<Instant> {
        Some(self.pending.oldest_sent_at()?.max(self.last_received.get()))
    }

    /// A hedge sent elsewhere at `sent_at` has its response. Retires this connection if it had been
    /// waiting for longer than `limit` by then.
    pub(super) fn outrun_by_hedge(&self, sent_at: Instant, limit: Duration) {
        if self.waiting_since().is_some_and(|since| since + limit < sent_at) {
            self.retire();
        }
    }

    /// Cancels an attempt. The connection was too slow for it, hence is retired; a late response is
    /// still matched to this query and no other.
    pub(super) fn cancel(&self, attempt: AttemptId) {
        if self.delivering.get() == Some(attempt) {
            return self.remove(|query| query.attempt == Some(attempt));
        }
        if self.pending.is_mismatched(attempt) && self.out_of_sync.get() {
            self.close_out_of_sync();
        }
        if self.pending.cancel(attempt) {
            self.retire();
        }
    }

    /// No response has followed a mismatch in time: nothing on this stream can be trusted. Queries
    /// without a mismatch are retried elsewhere; the resolver ends the others itself.
    fn close_out_of_sync(&self) {
        self.pending.cancel_mismatched();
        self.close(AttemptFailure::Closed { reused: true });
    }

    /// Quarantine: a mismatch arrived for `attempt` (RFC 5452). Pending queries may get their
    /// responses, further ones are not sent here.
    pub(super) fn quarantine(&self, attempt: AttemptId) {
        if self.pending.set_mismatched(attempt) {
            self.out_of_sync.set(true);
            self.retire();
        }
    }

    /// Accepts no more queries, and closes when the pending ones are done.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        self.close_if_done();
    }

    fn close_if_done(&self) {
        if self.retired.get() && self.pending.are_cancelled() {
            self.close(self.closed());
        }
    }

    /// Closes the connection; pending attempts fail with `failure`.
    pub(super) fn close(&self, failure: AttemptFailure) {
        self.closing.set(self.closing.get().or(Some(failure)));
        self.changed.notify_one();
    }

    /// Waits until the connection is to be closed.
    pub(super) async fn wait_for_close(&self) -> AttemptFailure {
        loop {
            if let Some(failure) = self.closing.get() {
                return failure;
            }
            self.changed.notified().await;
        }
    }

    /// The failure of pending attempts, if the connection is to be closed now.
    pub(super) fn close_due(&self, now: Instant) -> Option<AttemptFailure> {
        let timed_out = || {
            let failure = if self.has_no_pending() { self.closed() } else { AttemptFailure::TimedOut };
            (now >= self.deadline()).then_some(failure)
        };
        self.closing.get().or_else(timed_out)
    }

    /// The failure of pending attempts when the upstream closes the connection.
    pub(super) fn closed(&self) -> AttemptFailure {
        AttemptFailure::Closed { reused: self.has_responded.get() }
    }

    /// Closes the connection and returns the attempts that were pending.
    pub(super) fn take_pending(&self) -> Vec<AttemptId> {
        self.close(AttemptFailure::TimedOut);
        self.pending.take()
    }

    /// Matches a message by its ID and passes it to `handle` if its attempt is not cancelled.
    /// `handle` may call [`Self::quarantine`]: the question did not match.
    pub(super) fn deliver(&self, message: &[u8], handle: impl FnOnce(AttemptId)) -> Delivery {
        self.last_received.set(clock::now());
        let Some(header) = wire::header::Header::read(message) else { return Delivery::Malformed };
        let Some(query) = self.pending.with_id(header.id) else {
            self.retire();
            return Delivery::Unmatched(self.pending.oldest_without_mismatch());
        };
        let Some(attempt) = query.attempt else {
            self.remove(|pending| pending.id == query.id && pending.attempt.is_none());
            return Delivery::Discarded;
        };
        self.delivering.set(Some(attempt));
        handle(attempt);
        self.delivering.set(None);
        if self.pending.is_mismatched(attempt) {
            return Delivery::Discarded;
        }
        self.has_responded.set(true);
        self.out_of_sync.set(false);
        self.remove(|pending| pending.attempt == Some(attempt));
        Delivery::Response(attempt, query)
    }

    fn remove(&self, is_it: impl Fn(&PendingQuery) -> bool) {
        self.pending.remove(is_it);
        self.last_used.set(clock::now());
        self.close_if_done();
    }

    /// When the connection closes if nothing happens.
    pub(super) fn deadline(&self) -> Instant {
        match self.pending.oldest_sent_at() {
            Some(oldest) => oldest + RESPONSE_TIMEOUT,
            None => {
                let idle_until = self.last_used.get() + self.limits.idle_timeout;
                idle_until.min(self.limits.retire_at).max(self.last_used.get())
            }
        }
    }
}
