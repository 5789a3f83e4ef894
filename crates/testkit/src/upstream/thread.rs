//! A scripted server on a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::label_script::LabelScript;
use super::query_log::{Connections, QueryLog, ReceivedQuery};
use super::script::{Script, ServerOptions};
use super::server::Server;
use crate::clock;

/// A server that runs until dropped; its sockets are closed and its thread has ended by then.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    query_log: Arc<QueryLog>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Serves [`LabelScript`] with CoreDNS's connection options on UDP and TCP; port 0 takes a free
    /// one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(addr: SocketAddr) -> io::Result<Self> {
        Self::start_with(addr, ServerOptions::default(), LabelScript::default())
    }

    /// Serves a script.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start_with(addr: SocketAddr, options: ServerOptions, script: impl Script) -> io::Result<Self> {
        let (tcp, udp) = bind(addr)?;
        let addr = tcp.local_addr()?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let query_log = Arc::new(QueryLog::default());
        let (stop, stopped) = oneshot::channel();
        let script = Arc::new(script);
        let server = Server { script, options, query_log: Arc::clone(&query_log) };
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

    /// The address of both sockets.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// All queries read so far, in order. With [`ResponseOrder::InOrder`](super::ResponseOrder) a
    /// query that waits behind another on its connection has not been read.
    pub fn queries(&self) -> Vec<ReceivedQuery> {
        self.query_log.queries()
    }

    /// Number of queries for `name`, whatever the case, trailing dot or type.
    pub fn query_count(&self, name: &str) -> usize {
        self.queries().iter().filter(|query| query.is_for(name)).count()
    }

    /// TCP connections.
    pub fn connections(&self) -> Connections {
        self.query_log.connections()
    }

    /// Waits until `condition` holds for the queries; false after `timeout`.
    pub fn wait_for_queries(&self, timeout: Duration, condition: impl Fn(&[ReceivedQuery]) -> bool) -> bool {
        self.query_log.wait_for(timeout, |queries, _| condition(queries))
    }

    /// Waits until `condition` holds for the connections; false after `timeout`.
    pub fn wait_for_connections(&self, timeout: Duration, condition: impl Fn(Connections) -> bool) -> bool {
        self.query_log.wait_for(timeout, |_, connections| condition(connections))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has printed its own panic.
            drop(thread.join());
        }
    }
}

/// Both sockets on one port. A free TCP port may be taken for UDP; then another one is tried.
fn bind(addr: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    const ATTEMPTS: usize = 16;
    let mut attempt = 1;
    loop {
        let tcp = when_free(addr, || TcpListener::bind(addr))?;
        let bound = tcp.local_addr()?;
        match when_free(addr, || UdpSocket::bind(bound)) {
            Ok(udp) => return Ok((tcp, udp)),
            Err(_) if addr.port() == 0 && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Binds a given port once it is free: a process that another thread is starting has the sockets that were
/// on it until it executes its program.
fn when_free<S>(addr: SocketAddr, bind: impl Fn() -> io::Result<S>) -> io::Result<S> {
    const LIMIT: Duration = Duration::from_secs(2);
    let started = clock::now();
    loop {
        match bind() {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && addr.port() != 0
                    && clock::now().saturating_duration_since(started) < LIMIT =>
            {
                thread::yield_now();
            }
            bound => return bound,
        }
    }
}
