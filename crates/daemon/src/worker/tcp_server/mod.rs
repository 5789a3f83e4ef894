//! Clients by TCP: several questions open on a connection, answers as they come (RFC 7766 section 7), and
//! bounds on everything a client can hold.

mod connection;
mod limiter;
mod timeouts;
mod write_buffer;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use resolver::action::{Client, ConnectionId};
use resolver::policy::ListenerId;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time;

use super::{ANSWER_LOOK, Core};
use crate::clock;
use connection::{Connection, End};
pub(crate) use limiter::ConnectionLimiter;
pub(crate) use timeouts::ConnectionTimeouts;

/// Before trying again when the machine has no descriptors or memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long whoever is connected may ask on when nobody is accepted any more.
const LAST_CALL: Duration = Duration::from_secs(4);

/// The TCP listeners and connections of a worker.
pub(super) struct Clients {
    listeners: RefCell<HashMap<ListenerId, Vec<AbortHandle>>>,
    connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    last_id: Cell<u64>,
    room: Arc<ConnectionLimiter>,
}

impl Clients {
    pub(super) fn new(room: Arc<ConnectionLimiter>) -> Self {
        Self { listeners: RefCell::default(), connections: RefCell::default(), last_id: Cell::new(0), room }
    }

    /// Accepts connections of `socket` from now on.
    pub(super) fn open(
        &self,
        core: &Rc<Core>,
        id: ListenerId,
        socket: std::net::TcpListener,
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(socket)?;
        let task = tokio::task::spawn_local(accept(Rc::clone(core), id, listener)).abort_handle();
        self.listeners.borrow_mut().entry(id).or_default().push(task);
        Ok(())
    }

    /// Deals with the clients of each listener in another way from now on, those included that are connected.
    pub(super) fn adopt(&self, timeouts: &HashMap<ListenerId, ConnectionTimeouts>) {
        for connection in self.connections.borrow().values() {
            if let Some(timeouts) = timeouts.get(&connection.listener) {
                connection.adopt(*timeouts);
            }
        }
    }

    /// Accepts no more on a listener that is no more, or another process's. Whoever is connected may still ask for a
    /// while: a question that is on its way would be lost.
    pub(super) fn close(&self, id: ListenerId) {
        for task in self.listeners.borrow_mut().remove(&id).into_iter().flatten() {
            task.abort();
        }
        self.hurry(|connection| connection.listener == id);
    }

    /// Accepts no more on any listener, and has whoever is connected ask his last.
    pub(super) fn close_all(&self) {
        for task in self.listeners.borrow_mut().drain().flat_map(|(_, tasks)| tasks) {
            task.abort();
        }
        self.hurry(|_| true);
    }

    fn hurry(&self, leaves: impl Fn(&Connection) -> bool) {
        let connections = self.connections.borrow();
        let leaving: Vec<_> = connections.values().filter(|one| leaves(one)).map(Rc::clone).collect();
        leaving.iter().for_each(|connection| connection.hurry());
        tokio::task::spawn_local(async move {
            time::sleep(LAST_CALL).await;
            leaving.iter().for_each(|connection| connection.read_no_more());
        });
    }

    /// Waits until no connection is open, and not beyond `until`.
    pub(super) async fn all_gone(&self, until: Instant) {
        while !self.connections.borrow().is_empty() && clock::now() < until {
            time::sleep(ANSWER_LOOK).await;
        }
    }

    /// Puts an answer on its way; nobody minds when the connection is gone.
    pub(super) fn answer(&self, id: ConnectionId, message: &[u8]) {
        let connection = self.connections.borrow().get(&id).map(Rc::clone);
        if let Some(connection) = connection {
            connection.answer(message);
        }
    }

    fn enter(&self, connection: Connection) -> (ConnectionId, Rc<Connection>) {
        self.last_id.set(self.last_id.get() + 1);
        let id = ConnectionId(self.last_id.get());
        let connection = Rc::new(connection);
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        (id, connection)
    }
}

async fn accept(core: Rc<Core>, id: ListenerId, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&core, id, stream, peer),
            Err(error) if is_shortage(&error) => {
                core.process.connections.accept_errors.inc();
                time::sleep(ACCEPT_PAUSE).await;
            }
            // The client was gone before its turn came.
            Err(_) => {}
        }
        tokio::task::yield_now().await;
    }
}

/// True when the next connection would fare no better.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| shortages.contains(&Errno::from_raw(code)))
}

fn admit(core: &Rc<Core>, listener: ListenerId, stream: TcpStream, peer: SocketAddr) {
    let local = stream.local_addr().ok().map(|local| local.ip());
    if linux::tcp::tune_accepted(&stream).is_err() {
        return;
    }
    let Some(place) = core.clients.room.admit(peer.ip()) else { return };
    let timeouts = core.orders.borrow().timeouts.get(&listener).copied().unwrap_or_default();
    let (id, connection) = core.clients.enter(Connection::new(listener, timeouts, place));
    let client = Client { listener, peer, local, connection: Some(id) };
    let core = Rc::clone(core);
    tokio::task::spawn_local(async move {
        match connection.converse(&core, client, &stream).await {
            End::Done => {}
            End::TimedOut => core.process.connections.timed_out.inc(),
            End::Unread => core.process.connections.write_buffer_exceeded.inc(),
        }
        core.clients.connections.borrow_mut().remove(&id);
    });
}
