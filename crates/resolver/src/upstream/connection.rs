//! Upstream connection: its pending queries, matching by message ID, quarantine, idle timeout and
//! maximum age, from before the dial until the close. A connected UDP socket is one, too.

use std::time::{Duration, Instant};

use super::pending::{PendingQueries, PendingQuery};
use super::quarantine::Quarantine;
use super::silence::Silence;
use crate::action::UpstreamConnectionId;
use crate::timers::AttemptId;
use crate::transport::Transport;

/// How long a dial may take, TLS handshake included. Above the deadline of any query.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// When it is retired: the maximum age.
    pub(super) retire_at: Instant,
    /// When it is closed if it is idle.
    pub(super) idle_until: Instant,
    /// Above this number of queries it is retired.
    pub(super) max_queries: u32,
}

/// What is due on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DueEvent {
    DialTimeout,
    GracePeriodEnd,
    Suspect,
    Retire,
    /// Idle for as long as an idle connection beyond the first is kept.
    Idle,
}

/// A connection to an upstream.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: UpstreamConnectionId,
    pub(super) transport: Transport,
    /// Carries one query and no other until it is answered.
    pub(super) is_dedicated: bool,
    /// When its pending timer fires.
    pub(super) timer: Option<Instant>,
    limits: ConnectionLimits,
    pending: PendingQueries,
    silence: Silence,
    sent: u32,
    /// The attempt of the first query.
    dialled_for: Option<AttemptId>,
    opened_at: Instant,
    is_dialling: bool,
    last_used: Instant,
    is_retired: bool,
    quarantine: Quarantine,
}

impl Connection {
    pub(super) fn new(
        now: Instant,
        id: UpstreamConnectionId,
        transport: Transport,
        limits: ConnectionLimits,
    ) -> Self {
        Self {
            id,
            transport,
            is_dedicated: false,
            timer: None,
            limits,
            pending: PendingQueries::default(),
            silence: Silence::default(),
            sent: 0,
            dialled_for: None,
            opened_at: now,
            is_dialling: transport == Transport::Tcp,
            last_used: now,
            is_retired: false,
            quarantine: Quarantine::default(),
        }
    }

    pub(super) fn pending(&self) -> &PendingQueries {
        &self.pending
    }

    pub(super) fn send(&mut self, now: Instant, id: u16, query: PendingQuery) {
        self.pending.insert(id, query);
        self.sent = self.sent.saturating_add(1);
        if self.sent == 1 {
            self.dialled_for = query.attempt;
        }
        self.is_retired |= self.sent >= self.limits.max_queries;
        self.last_used = now;
        if self.silence.unanswered_since().is_none() {
            self.silence.begin(now, self.is_dialling);
        }
    }

    pub(super) fn established(&mut self, now: Instant) {
        self.is_dialling = false;
        if self.pending.is_awaited() {
            self.silence.begin(now, false);
        }
    }

    /// Its octets, or its SYN, are not acknowledged. False when that was known and nothing has
    /// arrived since.
    pub(super) fn lose_packets(&mut self) -> bool {
        self.silence.lose_packets()
    }

    /// Something has arrived.
    pub(super) fn received(&mut self, now: Instant) {
        self.is_dialling = false;
        self.quarantine.received();
        self.silence.received(now, self.pending.is_awaited());
    }

    /// A message has arrived in part. If it does not end, its length prefix is too large.
    pub(super) fn received_partial(&mut self, now: Instant) {
        self.quarantine.received_partial(now);
    }

    /// A query has its response. Returns how long its first response took, for a connection without
    /// an earlier one.
    pub(super) fn responded(&mut self, now: Instant, id: u16) -> Option<Duration> {
        self.remove(now, id)?;
        self.is_dedicated = false;
        let is_idle = self.transport == Transport::Tcp && self.pending.is_empty();
        self.is_retired |= is_idle && now >= self.limits.idle_until;
        self.silence.responded(now)
    }

    /// Removes a query whose response has arrived.
    pub(super) fn remove(&mut self, now: Instant, id: u16) -> Option<PendingQuery> {
        let query = self.pending.remove(id)?;
        self.last_used = now;
        if !self.pending.is_awaited() {
            self.silence.end();
        }
        Some(query)
    }

    /// Abandons a query: nothing waits for its response. On a stream, a late response would delay
    /// those of further queries, which is why the stream gets none.
    pub(super) fn abandon(&mut self, now: Instant, id: u16) {
        // Connection tracking may lead a silent socket to a pod that is gone.
        self.is_retired |= self.transport == Transport::Tcp || self.silent_since(now).is_some();
        if self.pending.abandon(id) && !self.pending.is_awaited() {
            self.silence.end();
        }
    }

    /// Keeps it for that long if it is idle.
    pub(super) fn keep_until(&mut self, until: Instant) {
        self.limits.idle_until = self.limits.idle_until.max(until);
    }

    /// A mismatch arrived (RFC 5452 section 9.1): pending queries may get their responses, further
    /// ones are not sent.
    pub(super) fn quarantine(&mut self, now: Instant) {
        self.quarantine.mismatch(now, self.transport == Transport::Udp);
        self.is_retired = true;
    }

    /// Accepts no more queries.
    pub(super) fn retire(&mut self) {
        self.is_retired = true;
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.is_dialling
    }

    /// True for a socket with more mismatches than a late response or two could be: a spoofer has
    /// found its port.
    pub(super) fn is_spoofed(&self) -> bool {
        self.transport == Transport::Udp && self.quarantine.has_too_many()
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.quarantine.is_active()
    }

    pub(super) fn has_responded(&self) -> bool {
        self.silence.has_responded()
    }

    /// Still being dialled, for less than `limit`.
    pub(super) fn is_younger_than(&self, limit: Duration, now: Instant) -> bool {
        self.is_dialling && now < self.opened_at + limit
    }

    pub(super) fn accepts_queries(&self, now: Instant) -> bool {
        !self.is_retired && !self.is_dedicated && now < self.limits.retire_at
    }

    /// True for a connection that gets no further query but waits for responses.
    pub(super) fn is_draining(&self) -> bool {
        self.is_retired
    }

    /// True when it gets no more queries and nothing waits for a response.
    pub(super) fn is_done(&self) -> bool {
        self.is_retired && !self.pending.is_awaited()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.is_dialling
    }

    pub(super) fn last_used(&self) -> Instant {
        self.last_used
    }

    /// The attempt for which it was opened.
    pub(super) fn dialled_for(&self) -> Option<AttemptId> {
        self.dialled_for
    }

    pub(super) fn has_carried_one_query(&self) -> bool {
        self.sent == 1
    }

    /// True when the oldest query has been pending longer than `limit`.
    pub(super) fn waits_longer_than(&self, limit: Duration, now: Instant) -> bool {
        self.pending.oldest().is_some_and(|oldest| oldest + limit < now)
    }

    /// True when queries have been pending for `limit` and nothing has arrived.
    pub(super) fn is_unanswered_for(&self, limit: Duration, now: Instant) -> bool {
        self.silence.unanswered_since().is_some_and(|since| since + limit < now)
    }

    /// Start of the silence, for a silent connection.
    pub(super) fn silent_since(&self, now: Instant) -> Option<Instant> {
        self.silence.silent_since(now)
    }

    /// A hedge sent elsewhere at `sent_at` has its response. Retires this connection if it had been
    /// waiting for longer than `limit` by then.
    pub(super) fn outrun_by_hedge(&mut self, sent_at: Instant, limit: Duration) {
        if self.silence.unanswered_since().is_some_and(|since| since + limit < sent_at) {
            self.retire();
        }
    }

    /// When something is due next. `idle_timeout` is that of an idle connection beyond the first.
    pub(super) fn next_event(&self, idle_timeout: Duration) -> Option<Instant> {
        let suspicion = self.suspect_check_at();
        if self.is_dialling {
            let timeout = self.opened_at + DIAL_TIMEOUT;
            return Some(suspicion.map_or(timeout, |at| at.min(timeout)));
        }
        let grace_period = self.quarantine.grace_period_end(self.is_dedicated);
        let retire = (!self.is_retired).then_some(self.limits.retire_at.max(self.last_used));
        let idle = self.idle_end(idle_timeout);
        let events = [grace_period, suspicion, retire, idle];
        events.into_iter().flatten().min()
    }

    /// What is due at `now`, most important first.
    pub(super) fn due_event(&self, now: Instant, idle_timeout: Duration) -> Option<DueEvent> {
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.is_dialling && now >= self.opened_at + DIAL_TIMEOUT {
            return Some(DueEvent::DialTimeout);
        }
        if is_over(self.quarantine.grace_period_end(self.is_dedicated)) {
            return Some(DueEvent::GracePeriodEnd);
        }
        if is_over(self.suspect_check_at()) {
            return Some(DueEvent::Suspect);
        }
        if !self.is_retired && !self.is_dialling && now >= self.limits.retire_at {
            return Some(DueEvent::Retire);
        }
        is_over(self.idle_end(idle_timeout)).then_some(DueEvent::Idle)
    }

    /// When an idle stream is closed.
    fn idle_end(&self, idle_timeout: Duration) -> Option<Instant> {
        let is_idle = self.transport == Transport::Tcp && self.is_idle();
        let until = self.limits.idle_until.max(self.last_used);
        is_idle.then(|| (self.last_used + idle_timeout).min(until))
    }

    /// No matching response has followed in the grace period.
    pub(super) fn end_grace_period(&mut self) {
        self.quarantine.end_grace_period();
        self.is_retired = true;
    }

    /// Its queries are repeated on another connection, and it gets no more.
    pub(super) fn set_suspect(&mut self) {
        self.silence.set_suspect();
        self.is_retired = true;
    }

    /// Searches again later for a connection that takes the queries of this suspect one.
    pub(super) fn postpone_suspicion(&mut self, now: Instant) {
        self.silence.postpone_suspicion(now);
    }

    /// When it is suspect: of streams, those that have queries of several clients.
    fn suspect_check_at(&self) -> Option<Instant> {
        let may_move = !self.is_dedicated && !self.quarantine.is_active() && self.pending.is_awaited();
        let is_stream = self.transport == Transport::Tcp;
        self.silence.suspect_check_at().filter(|_| is_stream && may_move)
    }
}
