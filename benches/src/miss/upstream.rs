//! Upstream of the servers under test: a thread that answers every query over UDP and TCP, out of
//! order, at once or after a delay, and counts queries, connections and source ports.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;
use wire::frame::{self, FrameDecoder};

use crate::figures::now;
use crate::output::BenchError;
use crate::queries;
use crate::servers;
use crate::upstream::ADDRESS;

/// Its address and counters.
pub(crate) struct MissUpstream {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
}

/// Sockets of a client of the upstream.
#[derive(Clone, Copy)]
pub(crate) struct Sockets {
    /// Maximum TCP connections at once.
    pub(crate) connections: usize,
    /// Distinct UDP source ports.
    pub(crate) source_ports: usize,
}

#[derive(Default)]
struct State {
    /// Delay of a response in milliseconds.
    delay_ms: AtomicU64,
    queries: AtomicU64,
    open: AtomicUsize,
    max_open: AtomicUsize,
    source_ports: Mutex<HashSet<u16>>,
}

impl MissUpstream {
    /// Starts the thread, which runs until the process ends.
    pub(crate) fn start() -> Result<Self, BenchError> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, servers::free_port()?));
        let udp = UdpSocket::bind(addr)?;
        let tcp = TcpListener::bind(addr)?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, async {
                let shared = &shared;
                let (udp, tcp) = tokio::join!(answer_udp(udp, shared), accept(tcp, shared));
                udp.and(tcp)
            })
        })?;
        Ok(Self { addr, state })
    }

    /// Delays responses from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Queries so far.
    pub(crate) fn query_count(&self) -> u64 {
        self.state.queries.load(Relaxed)
    }

    /// The sockets of its client since the last call.
    pub(crate) fn take_sockets(&self) -> Sockets {
        Sockets {
            connections: self.state.max_open.swap(self.state.open.load(Relaxed), Relaxed),
            source_ports: std::mem::take(&mut *self.state.source_ports()).len(),
        }
    }
}

impl State {
    /// The response to `query`, and when it is due.
    fn answer(&self, query: &[u8]) -> Option<(Instant, Vec<u8>)> {
        let mut buffer = wire::name::NameBuffer::new();
        let query = wire::Query::parse(query, &mut buffer).ok()?;
        self.queries.fetch_add(1, Relaxed);
        let mut response = queries::scripted(query.header.question, ADDRESS);
        response.splice(..2, query.header.id.to_be_bytes());
        Some((now() + Duration::from_millis(self.delay_ms.load(Relaxed)), response))
    }

    // No code panics while it holds the lock.
    fn source_ports(&self) -> MutexGuard<'_, HashSet<u16>> {
        self.source_ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Responses in the order in which they are due.
type Due<T> = VecDeque<(Instant, T)>;

/// Removes the next response that is due.
fn pop_due<T>(due: &mut Due<T>) -> Option<T> {
    due.pop_front_if(|(at, _)| *at <= now()).map(|(_, response)| response)
}

/// Waits until the next response is due.
async fn next_due<T>(due: &Due<T>) {
    match due.front() {
        Some((at, _)) => tokio::time::sleep_until((*at).into()).await,
        None => std::future::pending().await,
    }
}

async fn answer_udp(socket: UdpSocket, state: &State) -> io::Result<()> {
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut buffer = [0; 512];
    let mut due = Due::new();
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let (len, peer) = received?;
                state.source_ports().insert(peer.port());
                if let Some((at, response)) = state.answer(buffer.get(..len).unwrap_or_default()) {
                    due.push_back((at, (peer, response)));
                }
            }
            () = next_due(&due) => {}
        }
        while let Some((peer, response)) = pop_due(&mut due) {
            // An error means that the peer's socket is closed.
            socket.send_to(&response, peer).await.ok();
        }
    }
}

async fn accept(listener: TcpListener, state: &Arc<State>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let open = state.open.fetch_add(1, Relaxed) + 1;
        state.max_open.fetch_max(open, Relaxed);
        let state = Arc::clone(state);
        tokio::task::spawn_local(async move {
            // An error ends the connection like a close.
            answer_tcp(stream, &state).await.ok();
            state.open.fetch_sub(1, Relaxed);
        });
    }
}

async fn answer_tcp(mut stream: tokio::net::TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut to_send) = (vec![0; 1 << 14], Vec::new());
    let mut decoder = FrameDecoder::default();
    let mut due = Due::new();
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => match read? {
                0 => return Ok(()),
                len => decoder.extend(buffer.get(..len).unwrap_or_default()),
            },
            () = next_due(&due) => {}
        }
        while let Some(query) = decoder.next_message() {
            due.extend(state.answer(query));
        }
        while let Some(response) = pop_due(&mut due) {
            frame::push(&response, &mut to_send);
        }
        stream.write_all(&to_send).await?;
        to_send.clear();
    }
}
