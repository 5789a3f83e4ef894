//! What a server remembers.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use super::Transport;
use crate::clock::now;

/// A question that arrived.
#[derive(Clone, Debug)]
pub struct ReceivedQuery {
    /// The name as it was asked, with the last dot.
    pub name: String,
    /// The type.
    pub record_type: RecordType,
    /// How it came.
    pub transport: Transport,
    /// The TCP connection it came on, counted from 1; 0 on UDP.
    pub connection: u64,
    /// Who asked.
    pub peer: SocketAddr,
    /// When it was taken up.
    pub received_at: Instant,
    /// The whole query.
    pub message: Message,
}

impl ReceivedQuery {
    /// Whether it asks for `name`, whatever the case or last dot.
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
    /// Open.
    pub open: u64,
    /// The most that were open at once.
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
        limit: Duration,
        wanted: impl Fn(&[ReceivedQuery], Connections) -> bool,
    ) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), limit, |state| !wanted(&state.queries, state.connections))
            .unwrap_or_else(PoisonError::into_inner);
        wanted(&state.queries, state.connections)
    }

    /// Notes the one question of `query`.
    pub(super) fn record_query(
        &self,
        query: &Message,
        transport: Transport,
        connection: u64,
        peer: SocketAddr,
    ) {
        let Some(asked) = query.queries.first() else { return };
        let question = ReceivedQuery {
            name: asked.name.to_ascii(),
            record_type: asked.query_type,
            transport,
            connection,
            peer,
            received_at: now(),
            message: query.clone(),
        };
        self.state().queries.push(question);
        self.changed.notify_all();
    }

    /// Notes a connection and gives its number.
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

    // Nothing panics while it holds the lock, so what is behind a poisoned one is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
