//! A name server on real sockets that does what a script says and remembers what it was asked.
//!
//! [`Upstream::start`] serves [`Behaviours`]: the first label of a name says what becomes of the question.
//! It serves until it is dropped; then its sockets are closed and its thread has ended.

mod behaviour;
mod hostile;
mod nobody;
mod record;
mod reply;
mod server;
mod veil;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::sync::oneshot;

pub use behaviour::Behaviours;
pub use nobody::{ClosedPort, DeafPort};
pub use record::{Connections, Question};
pub(crate) use reply::{encode, reply_to};
pub use veil::Veil;

use record::Record;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream, with two octets of length before each message (RFC 1035 section 4.2.2).
    Tcp,
}

/// One thing a server does about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Lets time pass.
    Wait(Duration),
    /// Sends octets as one message.
    Send(Vec<u8>),
    /// Sends octets as they are, on streams too, where they should begin with a length.
    Raw(Vec<u8>),
    /// Sends octets as one message, on streams one octet at a time with this pause after each.
    Drip(Vec<u8>, Duration),
    /// Ends the connection; nothing on UDP.
    Close,
    /// Ends the connection with a reset; nothing on UDP.
    Reset,
}

/// What a server does about questions.
pub trait Script: Send + Sync + 'static {
    /// The steps for `query`, which has exactly one question.
    fn steps(&self, query: &Message, transport: Transport) -> Vec<Step>;
}

/// In which order the questions of one connection are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// One question is done with before the next is read, as in CoreDNS.
    #[default]
    Sequential,
    /// Each question when it is ready (RFC 7766 section 6.2.1.1).
    Concurrent,
}

/// How connections are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The order of answers on one connection.
    pub order: Order,
    /// A connection on which nothing came for so long is closed.
    pub idle: Duration,
}

impl Default for Manner {
    /// CoreDNS's: sequential, closed after 10 s.
    fn default() -> Self {
        Self { order: Order::Sequential, idle: Duration::from_secs(10) }
    }
}

/// A server that runs until dropped.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Serves [`Behaviours`] in CoreDNS's manner on UDP and TCP; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(addr: SocketAddr) -> io::Result<Self> {
        Self::play(addr, Manner::default(), Behaviours::default())
    }

    /// Serves a script.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn play(addr: SocketAddr, manner: Manner, script: impl Script) -> io::Result<Self> {
        let (tcp, udp) = bind(addr)?;
        let addr = tcp.local_addr()?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let record = Arc::new(Record::default());
        let (stop, stopped) = oneshot::channel();
        let server = server::Server { script: Arc::new(script), manner, record: Arc::clone(&record) };
        let thread = Builder::new().name(format!("upstream {addr}")).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    ended = server.serve(tcp, udp) => drop(ended),
                }
            });
        })?;
        Ok(Self { addr, record, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, UDP and TCP alike.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// All questions it has taken up, in order. One that waits behind another on a sequential connection is not
    /// taken up yet.
    pub fn questions(&self) -> Vec<Question> {
        self.record.questions()
    }

    /// How often it was asked for `name`, whatever the case, last dot or type.
    pub fn asked(&self, name: &str) -> usize {
        self.questions().iter().filter(|question| question.is_for(name)).count()
    }

    /// Its TCP connections.
    pub fn connections(&self) -> Connections {
        self.record.connections()
    }

    /// Waits until the questions are as `wanted`, and says whether they were within `limit`.
    pub fn wait_for(&self, limit: Duration, wanted: impl Fn(&[Question]) -> bool) -> bool {
        self.record.wait_for(limit, |questions, _| wanted(questions))
    }

    /// Waits until the connections are as `wanted`, and says whether they were within `limit`.
    pub fn wait_for_connections(&self, limit: Duration, wanted: impl Fn(Connections) -> bool) -> bool {
        self.record.wait_for(limit, |_, connections| wanted(connections))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has already been printed there.
            drop(thread.join());
        }
    }
}

/// Both sockets on one port. A port that is free for TCP may be taken for UDP: then another is tried.
fn bind(addr: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    const ATTEMPTS: usize = 16;
    let mut attempt = 1;
    loop {
        let tcp = TcpListener::bind(addr)?;
        match UdpSocket::bind(tcp.local_addr()?) {
            Ok(udp) => return Ok((tcp, udp)),
            Err(_) if addr.port() == 0 && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
