//! State of a client's TCP connection: queries in flight, write buffer, timeouts.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use resolver::policy::ListenerId;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use wire::frame::FrameDecoder;

use super::limiter::Permit;
use super::timeouts::ConnectionTimeouts;
use super::write_buffer::WriteBuffer;
use crate::clock;

/// Queries in flight on one connection; further ones stay unread.
const MAX_INFLIGHT: usize = 32;
/// Octets in the write buffer above which no more queries are read. The responses of queries in
/// flight may come on top: a connection never buffers more than 2.2 MiB, and the limiter caps the
/// sum of all.
pub(super) const MAX_UNREAD: usize = 128 * 1024;
/// Longer than the deadline of any query: a query in flight for longer was lost.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct ClientConnection {
    pub(super) listener: ListenerId,
    pub(super) stream: TcpStream,
    timeouts: Cell<ConnectionTimeouts>,
    pub(super) permit: Permit,
    pub(super) write_buffer: RefCell<WriteBuffer>,
    pub(super) inflight: Cell<usize>,
    /// Queries received so far.
    queries: Cell<u32>,
    /// No more queries are read: end of file, or closed by us.
    pub(super) read_closed: Cell<bool>,
    /// Closed by us while the client may have more queries.
    closed_by_us: Cell<bool>,
    /// Responses are written together, once the queries at hand have been received.
    corked: Cell<bool>,
    /// Octets of incomplete queries after the last step.
    unparsed: Cell<usize>,
    /// All connections together buffer too much, and this one is closed for it.
    over_limit: Cell<bool>,
    pub(super) changed: Notify,
}

/// What has been read, and the start of the read and idle timeouts.
pub(super) struct ReadState {
    pub(super) frames: FrameDecoder,
    /// Start of the read timeout, while the first query or the rest of an incomplete one is due.
    query_due_since: Option<Instant>,
    /// Last query, or last time the connection became idle.
    idle_since: Instant,
}

impl ReadState {
    pub(super) fn new() -> Self {
        let now = clock::now();
        Self { frames: FrameDecoder::default(), query_due_since: Some(now), idle_since: now }
    }
}

impl ClientConnection {
    pub(super) fn new(
        stream: TcpStream,
        listener: ListenerId,
        timeouts: ConnectionTimeouts,
        permit: Permit,
    ) -> Self {
        Self {
            listener,
            stream,
            timeouts: Cell::new(timeouts),
            permit,
            write_buffer: RefCell::new(WriteBuffer::new()),
            inflight: Cell::new(0),
            queries: Cell::new(0),
            read_closed: Cell::new(false),
            closed_by_us: Cell::new(false),
            corked: Cell::new(false),
            unparsed: Cell::new(0),
            over_limit: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Buffers the response of one query in flight. True when a [`flush`](Self::flush) is due.
    pub(super) fn respond(&self, message: &[u8]) -> bool {
        self.inflight.set(self.inflight.get().saturating_sub(1));
        if self.over_limit.get() {
            return false;
        }
        let was_empty = self.write_buffer.borrow().octets.is_empty();
        self.write_buffer.borrow_mut().push(message);
        if self.corked.get() {
            return false;
        }
        self.changed.notify_one();
        was_empty
    }

    /// Responses stay buffered until [`uncork`](Self::uncork).
    pub(super) fn cork(&self) {
        self.corked.set(true);
    }

    /// Writes the responses buffered since [`cork`](Self::cork).
    pub(super) fn uncork(&self) {
        self.corked.set(false);
        self.flush();
    }

    /// Writes what the socket takes at once. The rest, and an error, are left to the connection
    /// task, if all connections together may buffer the rest.
    pub(super) fn flush(&self) {
        let mut buffer = self.write_buffer.borrow_mut();
        if buffer.octets.is_empty() {
            return;
        }
        if let Ok(written) = self.stream.try_write(&buffer.octets) {
            buffer.consume(written);
        }
        drop(buffer);
        self.report_buffered();
    }

    pub(super) fn query_received(&self) {
        self.inflight.set(self.inflight.get() + 1);
        self.queries.set(self.queries.get().saturating_add(1));
    }

    pub(super) fn set_timeouts(&self, timeouts: ConnectionTimeouts) {
        self.timeouts.set(timeouts);
        self.changed.notify_one();
    }

    pub(super) fn shorten_timeouts(&self) {
        self.set_timeouts(self.timeouts.get().shortened());
    }

    /// Closes the connection as soon as nothing is pending.
    pub(super) fn stop_reading(&self) {
        if !self.read_closed.replace(true) {
            self.closed_by_us.set(true);
        }
        self.changed.notify_one();
    }

    /// True while a query is in flight or a response unread, and while it is to be closed over the
    /// limit.
    pub(super) fn has_pending(&self) -> bool {
        self.inflight.get() > 0 || !self.write_buffer.borrow().octets.is_empty() || self.over_limit.get()
    }

    pub(super) fn interest(&self) -> Interest {
        match (self.reads(), self.write_buffer.borrow().octets.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => Interest::ERROR,
        }
    }

    pub(super) fn reads(&self) -> bool {
        !self.read_closed.get() && self.has_capacity()
    }

    /// True when another query may be received.
    pub(super) fn has_capacity(&self) -> bool {
        let has_space = self.write_buffer.borrow().octets.len() < MAX_UNREAD;
        self.inflight.get() < MAX_INFLIGHT && has_space && !self.over_limit.get()
    }

    pub(super) fn is_at_query_limit(&self) -> bool {
        self.timeouts.get().max_queries.is_some_and(|most| self.queries.get() >= most.get())
    }

    /// True when the client may be sending queries that nobody reads.
    pub(super) fn needs_lingering_close(&self) -> bool {
        self.closed_by_us.get() || self.is_at_query_limit()
    }

    /// When the next of the read, write, response and idle timeouts expires.
    pub(super) fn deadline(&self, state: &ReadState) -> Instant {
        let timeouts = self.timeouts.get();
        let query_due = state.query_due_since.map(|since| since + timeouts.read);
        let mut pending = None;
        if !self.write_buffer.borrow().octets.is_empty() {
            pending = Some(self.write_buffer.borrow().since + timeouts.write);
        } else if self.inflight.get() > 0 {
            pending = Some(state.idle_since + RESPONSE_TIMEOUT);
        }
        let next = pending.unwrap_or(state.idle_since + timeouts.idle);
        query_due.map_or(next, |query_due| query_due.min(next))
    }

    pub(super) fn is_write_timed_out(&self) -> bool {
        let unread = self.write_buffer.borrow();
        !unread.octets.is_empty() && unread.since + self.timeouts.get().write <= clock::now()
    }

    /// Updates the timeouts and the permit after a step in which queries were received or not, and
    /// before which something was pending or not.
    pub(super) fn update(&self, state: &mut ReadState, received: bool, was_pending: bool) {
        let is_pending = self.has_pending();
        if received || was_pending {
            state.idle_since = clock::now();
        }
        if is_pending {
            self.permit.set_busy();
        } else if received || was_pending {
            self.permit.set_idle();
        }
        state.frames.shrink();
        let is_due = self.queries.get() == 0 || state.frames.is_partial();
        state.query_due_since = match state.query_due_since {
            _ if !is_due || !self.reads() => None,
            Some(since) if !received => Some(since),
            _ => Some(clock::now()),
        };
    }

    /// Reports the octets buffered for this connection to the limiter; false when it must be
    /// closed.
    pub(super) fn is_buffer_allowed(&self, state: &ReadState) -> bool {
        self.unparsed.set(state.frames.buffered_len());
        self.report_buffered();
        !self.over_limit.get()
    }

    /// Reports the octets buffered for this connection to the limiter. Over the limit it frees them,
    /// takes no more, and has its task close the connection.
    fn report_buffered(&self) {
        let unread = self.write_buffer.borrow().octets.len();
        if !self.permit.set_buffered(unread + self.unparsed.get()) {
            self.over_limit.set(true);
            self.write_buffer.replace(WriteBuffer::new());
            self.permit.set_buffered(self.unparsed.get());
            self.changed.notify_one();
        }
    }
}
