//! Queries and connections that a scripted server has received.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use resolver::action::Transport;

use crate::clock::now;

/// A received query.
#[derive(Clone, Debug)]
pub struct ReceivedQuery {
    /// QNAME with its case and trailing dot.
    pub name: String,
    /// QTYPE.
    pub record_type: RecordType,
    /// Transport.
    pub transport: Transport,
    /// Number of the TCP connection, from 1; 0 on UDP.
    pub connection: u64,
    /// Source address.
    pub peer: SocketAddr,
    /// When it was read.
    pub received_at: Instant,
    /// The whole message.
    pub message: Message,
}

impl ReceivedQuery {
    /// Whether QNAME is `name`, whatever the case or trailing dot.
    pub fn is_for(&self, name: &str) -> bool {
        let bare = |text: &str| text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        bare(&self.name) == bare(name)
    }
}

/// TCP connections of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Accepted so far.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
    /// Maximum open at once.
    pub max_open: u64,
}

#[derive(Debug, Default)]
pub(super) struct QueryLog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queries: Vec<ReceivedQuery>,
    connections: Connections,
}

impl QueryLog {
    pub(super) fn queries(&self) -> Vec<ReceivedQuery> {
        self.state().queries.clone()
    }

    pub(super) fn connections(&self) -> Connections {
        self.state().connections
    }

    pub(super) fn wait_for(
        &self,
        timeout: Duration,
        condition: impl Fn(&[ReceivedQuery], Connections) -> bool,
    ) -> bool {
        let pending = |state: &mut State| !condition(&state.queries, state.connections);
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), timeout, pending)
            .unwrap_or_else(PoisonError::into_inner);
        condition(&state.queries, state.connections)
    }

    pub(super) fn record_query(
        &self,
        query: &Message,
        transport: Transport,
        connection: u64,
        peer: SocketAddr,
    ) {
        let Some(question) = query.queries.first() else { return };
        let received = ReceivedQuery {
            name: question.name.to_ascii(),
            record_type: question.query_type,
            transport,
            connection,
            peer,
            received_at: now(),
            message: query.clone(),
        };
        self.state().queries.push(received);
        self.changed.notify_all();
    }

    /// Counts an accepted connection and returns its number.
    pub(super) fn connection_opened(&self) -> u64 {
        let mut state = self.state();
        let connections = &mut state.connections;
        connections.accepted += 1;
        connections.open += 1;
        connections.max_open = connections.max_open.max(connections.open);
        let number = connections.accepted;
        drop(state);
        self.changed.notify_all();
        number
    }

    pub(super) fn connection_closed(&self) {
        self.state().connections.open -= 1;
        self.changed.notify_all();
    }

    // No code panics while it holds the lock: a poisoned state is consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
