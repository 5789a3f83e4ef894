//! Upstream connection: its pending queries, matching by message ID, quarantine, idle timeout and
//! maximum age, from before the dial until the close. A connected UDP socket is one, too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use super::connection_use::ConnectionUse;
use super::quarantine::Quarantine;
use crate::action::UpstreamConnectionId;
use crate::timers::AttemptId;
use crate::transport::Transport;

/// A connection is silent when nothing has arrived for this long while a query is pending: it may
/// lead to a pod that is gone.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// A new connection without a response for this long since it was established is suspect: a server
/// with few TCP workers leaves it in its backlog.
pub(super) const SUSPECT_AFTER: Duration = Duration::from_millis(300);

/// Pause between two searches for a connection that takes the queries of a suspect one.
const SUSPECT_INTERVAL: Duration = Duration::from_millis(100);

/// How long a dial may take, TLS handshake included. Above the deadline of any query.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

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
    pending: BTreeMap<u16, PendingQuery>,
    /// Pending queries that are not abandoned.
    wanted: usize,
    sent: u32,
    /// The attempt of the first query.
    dialled_for: Option<AttemptId>,
    opened_at: Instant,
    is_dialling: bool,
    last_used: Instant,
    /// Since when queries are pending and nothing has arrived.
    unanswered_since: Option<Instant>,
    /// When its first query was sent, or it was established after that.
    first_wait: Option<Instant>,
    /// Octets sent on it, or its SYN, were not acknowledged, and nothing has arrived since.
    is_unacknowledged: bool,
    /// When it is suspect, or looked at again.
    suspect_check_at: Option<Instant>,
    /// Its queries have been repeated on another connection.
    is_suspect: bool,
    has_responded: bool,
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
            pending: BTreeMap::new(),
            wanted: 0,
            sent: 0,
            dialled_for: None,
            opened_at: now,
            is_dialling: transport == Transport::Tcp,
            last_used: now,
            unanswered_since: None,
            first_wait: None,
            is_unacknowledged: false,
            suspect_check_at: None,
            is_suspect: false,
            has_responded: false,
            is_retired: false,
            quarantine: Quarantine::default(),
        }
    }

    /// A random message ID that no pending query has (RFC 5452 section 4.3).
    pub(super) fn unused_id(&self, random: &mut StdRng) -> Option<u16> {
        let mut draws = std::iter::repeat_with(|| random.random::<u16>()).take(MAX_DRAWS);
        draws.find(|id| !self.pending.contains_key(id))
    }

    pub(super) fn send(&mut self, now: Instant, id: u16, query: PendingQuery) {
        self.pending.insert(id, query);
        self.wanted += 1;
        self.sent = self.sent.saturating_add(1);
        if self.sent == 1 {
            self.dialled_for = query.attempt;
        }
        self.is_retired |= self.sent >= self.limits.max_queries;
        self.last_used = now;
        if self.unanswered_since.is_none() {
            self.wait_from(now);
        }
    }

    pub(super) fn established(&mut self, now: Instant) {
        self.is_dialling = false;
        if self.wanted > 0 {
            self.wait_from(now);
        }
    }

    /// The query that a message with this ID responds to.
    pub(super) fn pending_query(&self, id: u16) -> Option<&PendingQuery> {
        self.pending.get(&id)
    }

    /// Its octets, or its SYN, are not acknowledged. False when that was known and nothing has
    /// arrived since.
    pub(super) fn lose_packets(&mut self) -> bool {
        !std::mem::replace(&mut self.is_unacknowledged, true)
    }

    /// Something has arrived.
    pub(super) fn received(&mut self, now: Instant) {
        self.is_unacknowledged = false;
        self.is_dialling = false;
        self.quarantine.received();
        self.unanswered_since = (self.wanted > 0).then_some(now);
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
        let is_first = !std::mem::replace(&mut self.has_responded, true);
        let since = self.first_wait.filter(|_| is_first)?;
        Some(now.saturating_duration_since(since))
    }

    /// Removes a query whose response has arrived.
    pub(super) fn remove(&mut self, now: Instant, id: u16) -> Option<PendingQuery> {
        let query = self.pending.remove(&id)?;
        self.wanted -= usize::from(query.attempt.is_some());
        self.last_used = now;
        if self.wanted == 0 {
            self.unanswered_since = None;
        }
        Some(query)
    }

    /// Abandons a query: nothing waits for its response. On a stream, a late response would delay
    /// those of further queries, which is why the stream gets none.
    pub(super) fn abandon(&mut self, now: Instant, id: u16) {
        // Connection tracking may lead a silent socket to a pod that is gone.
        self.is_retired |= self.transport == Transport::Tcp || self.silent_since(now).is_some();
        let Some(query) = self.pending.get_mut(&id) else { return };
        if query.attempt.take().is_some() {
            self.wanted -= 1;
        }
        if self.wanted == 0 {
            self.unanswered_since = None;
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
        self.has_responded
    }

    /// Still being dialled, for less than `limit`.
    pub(super) fn is_younger_than(&self, limit: Duration, now: Instant) -> bool {
        self.is_dialling && now.saturating_duration_since(self.opened_at) < limit
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
        self.is_retired && self.wanted == 0
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.is_dialling
    }

    pub(super) fn pending_len(&self) -> usize {
        self.pending.len()
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

    /// The attempts that wait for a response, oldest first.
    pub(super) fn attempts(&self) -> Vec<AttemptId> {
        let mut attempts: Vec<AttemptId> = self.pending.values().filter_map(|query| query.attempt).collect();
        attempts.sort_unstable();
        attempts
    }

    /// True when the oldest query has been pending longer than `limit`.
    pub(super) fn waits_longer_than(&self, limit: Duration, now: Instant) -> bool {
        let oldest = self.pending.values().map(|query| query.sent_at).min();
        oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) > limit)
    }

    /// True when queries have been pending for `limit` and nothing has arrived.
    pub(super) fn is_unanswered_for(&self, limit: Duration, now: Instant) -> bool {
        self.unanswered_since.is_some_and(|since| now.saturating_duration_since(since) > limit)
    }

    /// Start of the silence, for a silent connection.
    pub(super) fn silent_since(&self, now: Instant) -> Option<Instant> {
        self.unanswered_since.filter(|since| now.saturating_duration_since(*since) > SILENT_AFTER)
    }

    /// A hedge sent elsewhere at `sent_at` has its response. Retires this connection if it had been
    /// waiting for longer than `limit` by then.
    pub(super) fn outrun_by_hedge(&mut self, sent_at: Instant, limit: Duration) {
        if self.unanswered_since.is_some_and(|since| since + limit < sent_at) {
            self.retire();
        }
    }

    /// When something is due next. `idle_timeout` is that of an idle connection beyond the first.
    pub(super) fn next_event(&self, idle_timeout: Duration) -> Option<Instant> {
        let suspicion = self.suspect_check_at.filter(|_| self.may_be_suspect());
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
        if self.may_be_suspect() && is_over(self.suspect_check_at) {
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
        self.is_suspect = true;
        self.is_retired = true;
    }

    /// Searches again later for a connection that takes the queries of this suspect one.
    pub(super) fn postpone_suspicion(&mut self, now: Instant) {
        self.suspect_check_at = Some(now + SUSPECT_INTERVAL);
    }

    fn may_be_suspect(&self) -> bool {
        let is_silent = !self.has_responded && self.wanted > 0;
        let may_move = !self.is_dedicated && !self.is_suspect && !self.quarantine.is_active();
        self.transport == Transport::Tcp && is_silent && may_move
    }

    fn wait_from(&mut self, now: Instant) {
        self.unanswered_since = Some(now);
        self.first_wait = Some(now);
        let suspect_after = if self.is_dialling { SILENT_AFTER } else { SUSPECT_AFTER };
        self.suspect_check_at = Some(now + suspect_after);
    }
}
