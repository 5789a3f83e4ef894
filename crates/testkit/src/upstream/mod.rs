//! A name server on real sockets that does what a script says and remembers what it was asked.
//!
//! [`Upstream::start`] serves [`LabelScript`]: the first label of a name says what becomes of the question.
//! It serves until it is dropped; then its sockets are closed and its thread has ended.

mod blackhole;
mod hostile;
mod label_script;
mod query_log;
mod reply;
mod server;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::sync::oneshot;

pub use blackhole::{Blackhole, ClosedPort};
pub use label_script::LabelScript;
pub use query_log::{Connections, ReceivedQuery};
pub(crate) use reply::{encode, reply_to};
pub use resolver::action::Transport;
pub use tls::TlsProxy;

use query_log::QueryLog;

/// One thing a server does about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptStep {
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
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep>;
}

/// In which order the questions of one connection are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseOrder {
    /// One question is done with before the next is read, as in CoreDNS.
    #[default]
    InOrder,
    /// Each question when it is ready (RFC 7766 section 6.2.1.1).
    OutOfOrder,
}

/// How connections are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// The order of answers on one connection.
    pub order: ResponseOrder,
    /// A connection on which nothing came for so long is closed.
    pub idle: Duration,
}

impl Default for ServerOptions {
    /// CoreDNS's: sequential, closed after 10 s.
    fn default() -> Self {
        Self { order: ResponseOrder::InOrder, idle: Duration::from_secs(10) }
    }
}

/// A server that runs until dropped.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    query_log: Arc<QueryLog>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Serves [`LabelScript`] in CoreDNS's options on UDP and TCP; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(addr: SocketAddr) -> io::Result<Self> {
        Self::start_with(addr, ServerOptions::default(), LabelScript::default())
    }

    /// Serves a script.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start_with(addr: SocketAddr, options: ServerOptions, script: impl Script) -> io::Result<Self> {
        let (tcp, udp) = bind(addr)?;
        let addr = tcp.local_addr()?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let query_log = Arc::new(QueryLog::default());
        let (stop, stopped) = oneshot::channel();
        let server = server::Server { script: Arc::new(script), options, query_log: Arc::clone(&query_log) };
        let thread = Builder::new().name(format!("upstream {addr}")).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    ended = server.serve(tcp, udp) => drop(ended),
                }
            });
        })?;
        Ok(Self { addr, query_log, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, UDP and TCP alike.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// All questions it has taken up, in order. One that waits behind another on a sequential connection is not
    /// taken up yet.
    pub fn queries(&self) -> Vec<ReceivedQuery> {
        self.query_log.queries()
    }

    /// How often it was asked for `name`, whatever the case, last dot or type.
    pub fn query_count(&self, name: &str) -> usize {
        self.queries().iter().filter(|question| question.is_for(name)).count()
    }

    /// Its TCP connections.
    pub fn connections(&self) -> Connections {
        self.query_log.connections()
    }

    /// Waits until the questions are as `wanted`, and says whether they were within `limit`.
    pub fn wait_for_queries(&self, limit: Duration, wanted: impl Fn(&[ReceivedQuery]) -> bool) -> bool {
        self.query_log.wait_for(limit, |questions, _| wanted(questions))
    }

    /// Waits until the connections are as `wanted`, and says whether they were within `limit`.
    pub fn wait_for_connections(&self, limit: Duration, wanted: impl Fn(Connections) -> bool) -> bool {
        self.query_log.wait_for(limit, |_, connections| wanted(connections))
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
