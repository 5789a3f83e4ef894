//! TCP server: client connections with pipelined queries and responses out of order (RFC 7766
//! section 7), and limits on everything a client can hold.

mod accept_error;
mod connection;
mod connection_task;
mod limiter;
mod timeouts;
mod write_buffer;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use resolver::action::{Client, ConnectionId};
use resolver::counters::WorkerCounters;
use resolver::policy::ListenerId;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time;

use super::handler::QueryHandler;
use super::tasks::Tasks;
use super::turn::{self, TurnLimiter};
use crate::metrics::ProcessCounters;
use accept_error::{AcceptErrors, AfterError};
use connection::ClientConnection;
use connection_task::CloseReason;
pub(crate) use limiter::{ConnectionLimiter, left_descriptors};
pub(crate) use timeouts::ConnectionTimeouts;

/// Pause before the next accept when the last one failed and the next would, too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connected clients may send further queries after their listener was closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(4);

/// Connections that have work per turn.
const CONNECTIONS_PER_TURN: usize = 16;

/// The TCP listeners and client connections of a worker.
pub(super) struct TcpServer {
    listeners: RefCell<HashMap<ListenerId, Vec<AbortHandle>>>,
    connections: RefCell<HashMap<ConnectionId, Rc<ClientConnection>>>,
    /// Connections with responses to write.
    unflushed: RefCell<Vec<Rc<ClientConnection>>>,
    turns: TurnLimiter,
    last_id: Cell<u64>,
    timeouts: RefCell<HashMap<ListenerId, ConnectionTimeouts>>,
    limiter: Arc<ConnectionLimiter>,
    counters: Arc<WorkerCounters>,
    process: Arc<ProcessCounters>,
    tasks: Rc<Tasks>,
}

impl TcpServer {
    pub(super) fn new(
        limiter: Arc<ConnectionLimiter>,
        timeouts: HashMap<ListenerId, ConnectionTimeouts>,
        counters: Arc<WorkerCounters>,
        process: Arc<ProcessCounters>,
        tasks: Rc<Tasks>,
    ) -> Self {
        Self {
            listeners: RefCell::default(),
            connections: RefCell::default(),
            unflushed: RefCell::default(),
            turns: TurnLimiter::new(CONNECTIONS_PER_TURN),
            last_id: Cell::new(0),
            timeouts: RefCell::new(timeouts),
            limiter,
            counters,
            process,
            tasks,
        }
    }

    /// Gives connections their turns; runs as long as the worker.
    pub(super) async fn run_turns(self: Rc<Self>) {
        self.turns.run().await;
    }

    /// Accepts connections of `listener` from now on.
    pub(super) fn open(
        self: &Rc<Self>,
        handler: &Rc<impl QueryHandler>,
        id: ListenerId,
        listener: TcpListener,
    ) {
        let accept = Rc::clone(self).accept(Rc::clone(handler), id, listener);
        let task = self.tasks.spawn_permanent("TCP listener", accept);
        self.listeners.borrow_mut().entry(id).or_default().push(task);
    }

    /// Applies new timeouts, to open connections as well.
    pub(super) fn reconfigure(&self, timeouts: HashMap<ListenerId, ConnectionTimeouts>) {
        for connection in self.connections.borrow().values() {
            if let Some(timeouts) = timeouts.get(&connection.listener) {
                connection.set_timeouts(*timeouts);
            }
        }
        self.timeouts.replace(timeouts);
    }

    /// Stops accepting on a listener that was closed or handed over. Connected clients may send
    /// queries a little longer: one already under way would be lost.
    pub(super) fn close(&self, id: ListenerId) {
        for task in self.listeners.borrow_mut().remove(&id).into_iter().flatten() {
            task.abort();
        }
        self.close_connections(|connection| connection.listener == id);
    }

    /// Stops accepting on every listener, likewise.
    pub(super) fn close_all(&self) {
        for task in self.listeners.borrow_mut().drain().flat_map(|(_, tasks)| tasks) {
            task.abort();
        }
        self.close_connections(|_| true);
    }

    fn close_connections(&self, is_closing: impl Fn(&ClientConnection) -> bool) {
        let mut closing = Vec::new();
        for connection in self.connections.borrow().values().filter(|one| is_closing(one)) {
            connection.shorten_timeouts();
            // The socket closes with the last reference.
            closing.push(Rc::downgrade(connection));
        }
        self.tasks.spawn_temporary(async move {
            time::sleep(CLOSE_TIMEOUT).await;
            closing.iter().filter_map(Weak::upgrade).for_each(|connection| connection.stop_reading());
        });
    }

    pub(super) fn has_no_connections(&self) -> bool {
        self.connections.borrow().is_empty()
    }

    /// Buffers a response until [`flush`](Self::flush), unless the connection has been closed in the
    /// meantime.
    pub(super) fn respond(&self, id: ConnectionId, message: &[u8]) {
        if let Some(connection) = self.connections.borrow().get(&id)
            && connection.respond(message)
        {
            self.unflushed.borrow_mut().push(Rc::clone(connection));
        }
    }

    /// Writes the buffered responses, those of a connection together.
    pub(super) fn flush(&self) {
        for connection in self.unflushed.borrow_mut().drain(..) {
            connection.flush();
        }
    }

    async fn accept(self: Rc<Self>, handler: Rc<impl QueryHandler>, id: ListenerId, listener: TcpListener) {
        let mut errors = AcceptErrors::default();
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    errors.reset();
                    self.admit(&handler, id, stream, peer);
                }
                Err(error) => match errors.record(&error) {
                    AfterError::Continue => {}
                    AfterError::Pause => {
                        self.process.connections.accept_errors.inc();
                        time::sleep(ACCEPT_PAUSE).await;
                    }
                    AfterError::End => return tracing::error!("a TCP listener accepts no more: {error}"),
                },
            }
            // A connection that was evicted for this one returns its descriptor in the meantime.
            turn::end().await;
        }
    }

    fn admit(
        self: &Rc<Self>,
        handler: &Rc<impl QueryHandler>,
        listener: ListenerId,
        stream: TcpStream,
        peer: SocketAddr,
    ) {
        let local = stream.local_addr().ok().map(|local| local.ip());
        if linux::tcp::tune_accepted(&stream).is_err() {
            return;
        }
        let Some(permit) = self.limiter.admit(peer.ip()) else { return };
        let timeouts = self.timeouts.borrow().get(&listener).copied().unwrap_or_default();
        let (id, connection) = self.insert(ClientConnection::new(stream, listener, timeouts, permit));
        let client = Client { listener, peer, local, connection: Some(id) };
        let (server, handler) = (Rc::clone(self), Rc::clone(handler));
        tokio::task::spawn_local(async move {
            let served = connection_task::serve(&connection, &handler, client, &server.turns);
            match server.tasks.guard(served).await {
                Some(CloseReason::TimedOut) => server.process.connections.timed_out.inc(),
                Some(CloseReason::BufferLimit) => server.process.connections.write_buffer_exceeded.inc(),
                Some(CloseReason::NotDns) => server.counters.dropped.add(1),
                Some(CloseReason::Done) | None => {}
            }
            server.connections.borrow_mut().remove(&id);
        });
    }

    fn insert(&self, connection: ClientConnection) -> (ConnectionId, Rc<ClientConnection>) {
        self.last_id.set(self.last_id.get() + 1);
        let id = ConnectionId(self.last_id.get());
        let connection = Rc::new(connection);
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        (id, connection)
    }
}
