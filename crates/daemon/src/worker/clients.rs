//! Clients by TCP: several questions open on a connection, answers as they come (RFC 7766 section 7), and
//! bounds on everything a client can hold.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Client, ConnectionId};
use resolver::policy::ListenerId;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time;
use wire::frame::{self, Frames};
use wire::header::{Flags, Header};

use super::Core;
use crate::clock;
use crate::metrics::ProcessTally;

/// Connections of one worker.
const MOST_CONNECTIONS: usize = 1024;
/// Connections of one client address to one worker.
const MOST_PER_CLIENT: usize = 128;
/// Questions of one connection that wait for their answers; more are left unread.
const MOST_QUESTIONS: usize = 32;
/// Octets of answers that wait for a client to read them; its questions are left unread meanwhile.
const MOST_UNREAD: usize = 256 * 1024;
/// From connecting to the first question, and from the first octet of a question to its last.
const QUESTION_TIME: Duration = Duration::from_secs(3);
/// Without any question open.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// Without the client taking a single octet of what waits for it.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// Before trying again when the machine has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const READ_LEN: usize = 4096;

/// The TCP listeners and connections of a worker.
pub(super) struct Clients {
    listeners: RefCell<HashMap<ListenerId, Vec<AbortHandle>>>,
    connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    per_client: RefCell<HashMap<IpAddr, usize>>,
    last_id: Cell<u64>,
    process: Arc<ProcessTally>,
}

impl Clients {
    pub(super) fn new(process: Arc<ProcessTally>) -> Self {
        Self {
            listeners: RefCell::default(),
            connections: RefCell::default(),
            per_client: RefCell::default(),
            last_id: Cell::new(0),
            process,
        }
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

    /// Accepts and reads no more on a listener that is no more; its connections end when their last answer is out.
    pub(super) fn close(&self, id: ListenerId) {
        for task in self.listeners.borrow_mut().remove(&id).into_iter().flatten() {
            task.abort();
        }
        for connection in self.connections.borrow().values().filter(|one| one.listener == id) {
            connection.read_no_more();
        }
    }

    /// Accepts and reads no more; connections end when their last answer is out.
    pub(super) fn stop_reading(&self) {
        for task in self.listeners.borrow_mut().drain().flat_map(|(_, tasks)| tasks) {
            task.abort();
        }
        for connection in self.connections.borrow().values() {
            connection.read_no_more();
        }
    }

    /// True when no connection is open.
    pub(super) fn is_empty(&self) -> bool {
        self.connections.borrow().is_empty()
    }

    /// Puts an answer on its way; nobody minds when the connection is gone.
    pub(super) fn answer(&self, id: ConnectionId, message: &[u8]) {
        let connection = self.connections.borrow().get(&id).map(Rc::clone);
        if let Some(connection) = connection {
            connection.answer(message);
        }
    }

    fn admit(&self, listener: ListenerId, peer: SocketAddr) -> Option<(ConnectionId, Rc<Connection>)> {
        let mut connections = self.connections.borrow_mut();
        let mut per_client = self.per_client.borrow_mut();
        let open = per_client.get(&peer.ip()).copied().unwrap_or(0);
        if connections.len() >= MOST_CONNECTIONS || open >= MOST_PER_CLIENT {
            self.process.connections.refused.up();
            return None;
        }
        per_client.insert(peer.ip(), open + 1);
        self.last_id.set(self.last_id.get() + 1);
        let id = ConnectionId(self.last_id.get());
        let connection = Rc::new(Connection::new(listener));
        connections.insert(id, Rc::clone(&connection));
        self.process.connections.open.up();
        Some((id, connection))
    }

    fn dismiss(&self, id: ConnectionId, peer: SocketAddr) {
        self.connections.borrow_mut().remove(&id);
        let mut per_client = self.per_client.borrow_mut();
        if let Some(open) = per_client.get_mut(&peer.ip()) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                per_client.remove(&peer.ip());
            }
        }
        self.process.connections.open.down();
    }
}

async fn accept(core: Rc<Core>, id: ListenerId, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&core, id, stream, peer),
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn admit(core: &Rc<Core>, listener: ListenerId, stream: TcpStream, peer: SocketAddr) {
    let local = stream.local_addr().ok().map(|local| local.ip());
    if linux::tcp::tune_accepted(&stream).is_err() {
        return;
    }
    let Some((id, connection)) = core.clients.admit(listener, peer) else { return };
    let client = Client { listener, peer, local, connection: Some(id) };
    let core = Rc::clone(core);
    tokio::task::spawn_local(async move {
        if connection.converse(&core, client, &stream).await == End::TimedOut {
            core.process.connections.timed_out.up();
        }
        core.clients.dismiss(id, peer);
    });
}

/// One connection: questions in, answers out.
struct Connection {
    listener: ListenerId,
    unsent: RefCell<Vec<u8>>,
    open_questions: Cell<usize>,
    /// No more questions are read: the client has sent its last, or we are leaving.
    ended: Cell<bool>,
    last_progress: Cell<Instant>,
    changed: Notify,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    TimedOut,
}

impl Connection {
    fn new(listener: ListenerId) -> Self {
        Self {
            listener,
            unsent: RefCell::default(),
            open_questions: Cell::new(0),
            ended: Cell::new(false),
            last_progress: Cell::new(clock::now()),
            changed: Notify::new(),
        }
    }

    fn answer(&self, message: &[u8]) {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.is_empty() {
            self.last_progress.set(clock::now());
        }
        frame::push(message, &mut unsent);
        self.open_questions.set(self.open_questions.get().saturating_sub(1));
        self.changed.notify_one();
    }

    fn read_no_more(&self) {
        self.ended.set(true);
        self.changed.notify_one();
    }

    async fn converse(&self, core: &Rc<Core>, client: Client, stream: &TcpStream) -> End {
        let mut frames = Frames::default();
        let mut awaited = clock::now() + QUESTION_TIME;
        loop {
            if self.ended.get() && self.open_questions.get() == 0 && self.unsent.borrow().is_empty() {
                return End::Done;
            }
            let owed = self.open_questions.get() > 0 || !self.unsent.borrow().is_empty();
            tokio::select! {
                ready = stream.ready(self.interest()) => {
                    let served = ready.and_then(|ready| {
                        if ready.is_writable() {
                            self.write(stream)?;
                        }
                        if ready.is_readable() && self.reads() {
                            self.read(stream, &mut frames)?;
                        }
                        Ok(!ready.is_error())
                    });
                    if !served.unwrap_or(false) {
                        return End::Done;
                    }
                }
                () = self.changed.notified() => {}
                () = time::sleep_until(self.patience(awaited).into()) => return End::TimedOut,
            }
            let was_partial = frames.is_partial();
            match self.ask(core, client, &mut frames) {
                // Nothing came and nothing was owed: waking up gives a client no new time.
                Ok(0) if !frames.is_partial() && !owed => {}
                Ok(0) if frames.is_partial() && was_partial => {}
                Ok(_) => awaited = clock::now() + if frames.is_partial() { QUESTION_TIME } else { IDLE_TIME },
                Err(NotDns) => return End::Done,
            }
            // Readiness never waits while there is something to read: a client that sends without pause would
            // have the worker for itself.
            tokio::task::yield_now().await;
        }
    }

    fn interest(&self) -> Interest {
        match (self.reads(), self.unsent.borrow().is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => Interest::ERROR,
        }
    }

    fn reads(&self) -> bool {
        !self.ended.get() && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.open_questions.get() < MOST_QUESTIONS && self.unsent.borrow().len() < MOST_UNREAD
    }

    /// When patience with the client ends: it reads too slowly, asks too slowly, or not at all. While only we
    /// owe something, the resolver's deadline bounds the wait.
    fn patience(&self, awaited: Instant) -> Instant {
        if !self.unsent.borrow().is_empty() {
            return self.last_progress.get() + WRITE_TIME;
        }
        if self.open_questions.get() > 0 { awaited.max(clock::now() + IDLE_TIME) } else { awaited }
    }

    fn write(&self, stream: &TcpStream) -> io::Result<()> {
        let mut unsent = self.unsent.borrow_mut();
        match stream.try_write(&unsent) {
            Ok(written) => {
                unsent.drain(..written);
                self.last_progress.set(clock::now());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(&self, stream: &TcpStream, frames: &mut Frames) -> io::Result<()> {
        let mut buffer = [0; READ_LEN];
        match stream.try_read(&mut buffer) {
            Ok(0) => self.ended.set(true),
            Ok(len) => frames.extend(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Hands over the questions that have arrived whole, as many as there is room for; says how many.
    fn ask(&self, core: &Rc<Core>, client: Client, frames: &mut Frames) -> Result<usize, NotDns> {
        let mut asked = 0;
        while self.has_room() {
            let Some(message) = frames.next_message() else { break };
            if Header::read(message).is_none_or(|header| header.flags.has(Flags::QR)) {
                return Err(NotDns);
            }
            self.open_questions.set(self.open_questions.get() + 1);
            core.queries(std::iter::once((client, message)));
            asked += 1;
        }
        Ok(asked)
    }
}

/// A message shorter than a header, or a response: whoever sends it does not ask, and nothing is ever answered to
/// it.
struct NotDns;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Ipv4Addr;

    use socket2::SockRef;
    use tokio::io::AsyncWriteExt;
    use tokio::task::LocalSet;

    use super::super::tests::core;
    use super::*;

    const BOUND: Duration = Duration::from_secs(5);
    /// A question for the root, which the core of these tests, without any zone, leaves open for ever.
    const QUESTION: [u8; 17] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];

    fn client(peer: SocketAddr) -> Client {
        Client { listener: ListenerId(0), peer, local: None, connection: None }
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut framed = Vec::new();
        frame::push(message, &mut framed);
        framed
    }

    #[test]
    fn who_is_turned_away_is_not_remembered() {
        let clients = Clients::new(Arc::default());
        let peers = (0..=MOST_CONNECTIONS).map(|place| {
            let ip = Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(place).unwrap());
            SocketAddr::from((ip, 40_000))
        });
        let admitted = peers.filter(|peer| clients.admit(ListenerId(0), *peer).is_some()).count();
        assert_eq!(admitted, MOST_CONNECTIONS);
        assert_eq!(clients.per_client.borrow().len(), MOST_CONNECTIONS);
    }

    /// Nothing more is read from a client that has sent its last, so only the error shows that it is gone.
    #[tokio::test]
    async fn a_reset_ends_a_half_closed_connection() {
        let reset = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (ours, peer) = listener.accept().await.unwrap();
            let connection = Connection::new(ListenerId(0));
            let core = core();
            let leaving = async {
                theirs.write_all(&framed(&QUESTION)).await.unwrap();
                theirs.shutdown().await.unwrap();
                while !connection.ended.get() {
                    tokio::task::yield_now().await;
                }
                SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
                drop(theirs);
            };
            let (end, ()) = tokio::join!(connection.converse(&core, client(peer), &ours), leaving);
            assert_eq!(connection.open_questions.get(), 1);
            end
        };
        let end = LocalSet::new().run_until(time::timeout(BOUND, reset)).await;
        assert_eq!(end.unwrap(), End::Done);
    }

    #[tokio::test]
    async fn a_flood_leaves_others_their_turn() {
        let others_turn = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, peer) = listener.accept().await.unwrap();
            let core = core();
            let flood = std::thread::Builder::new().spawn(move || {
                let until = clock::now() + BOUND;
                while clock::now() < until && theirs.write_all(&[0; 64 * 1024]).is_ok() {}
                clock::now() < until
            });
            let connection = Connection::new(ListenerId(0));
            tokio::select! {
                end = connection.converse(&core, client(peer), &ours) => unreachable!("{end:?}"),
                () = time::sleep(Duration::from_millis(50)) => {}
            }
            drop(ours);
            flood.unwrap().join().unwrap()
        };
        assert!(LocalSet::new().run_until(others_turn).await, "others had to wait for the end of the flood");
    }

    #[tokio::test]
    async fn questions_wait_while_answers_are_not_read() {
        let asked = async {
            let mut frames = Frames::default();
            frames.extend(&framed(&QUESTION));
            let (core, connection) = (core(), Connection::new(ListenerId(0)));
            let client = client((Ipv4Addr::LOCALHOST, 40_000).into());
            connection.unsent.borrow_mut().resize(MOST_UNREAD, 0);
            let too_early = connection.ask(&core, client, &mut frames).ok();
            connection.unsent.borrow_mut().clear();
            (too_early, connection.ask(&core, client, &mut frames).ok())
        };
        assert_eq!(LocalSet::new().run_until(asked).await, (Some(0), Some(1)));
    }
}
