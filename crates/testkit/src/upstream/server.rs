//! UDP and TCP sockets of a scripted server.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use resolver::action::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::query_log::QueryLog;
use super::script::{ResponseOrder, Script, ScriptStep, ServerOptions};

/// Octets of the length prefix on TCP.
const LENGTH_PREFIX: usize = 2;

#[derive(Clone)]
pub(super) struct Server {
    pub(super) script: Arc<dyn Script>,
    pub(super) options: ServerOptions,
    pub(super) query_log: Arc<QueryLog>,
}

impl Server {
    /// Runs until a listening socket fails.
    pub(super) async fn serve(self, tcp: net::TcpListener, udp: net::UdpSocket) -> io::Result<()> {
        let tcp = TcpListener::from_std(tcp)?;
        let udp = Arc::new(UdpSocket::from_std(udp)?);
        let mut buffer = vec![0; usize::from(u16::MAX)];
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                received = udp.recv_from(&mut buffer) => {
                    let (length, peer) = received?;
                    if let Some(query) = buffer.get(..length).and_then(parse_query) {
                        self.query_log.record_query(&query, Transport::Udp, 0, peer);
                        let steps = self.script.steps(&query, Transport::Udp);
                        tasks.spawn(run_on_udp(Arc::clone(&udp), peer, steps));
                    }
                }
                accepted = tcp.accept() => {
                    let (stream, peer) = accepted?;
                    tasks.spawn(self.clone().handle_connection(stream, peer));
                }
                Some(ended) = tasks.join_next() => drop(ended),
            }
        }
    }

    async fn handle_connection(self, stream: TcpStream, peer: SocketAddr) {
        let number = self.query_log.connection_opened();
        let (reader, writer) = stream.into_split();
        let writer = Arc::new(Mutex::new(writer));
        let tasks = JoinSet::new();
        let mut connection = Connection { server: &self, peer, number, reader, tasks };
        // A reset, an incomplete message or a broken pipe ends it like a close.
        drop(connection.run(&writer).await);
        connection.tasks.shutdown().await;
        if let Some(writer) = Arc::into_inner(writer) {
            // Dropping the half would send a FIN before a reset.
            writer.into_inner().forget();
        }
        drop(connection);
        self.query_log.connection_closed();
    }
}

struct Connection<'a> {
    server: &'a Server,
    peer: SocketAddr,
    number: u64,
    reader: OwnedReadHalf,
    tasks: JoinSet<io::Result<AfterSteps>>,
}

impl Connection<'_> {
    async fn run(&mut self, writer: &Arc<Mutex<OwnedWriteHalf>>) -> io::Result<()> {
        let Server { script, options, query_log } = self.server;
        let mut buffer = Vec::new();
        loop {
            while options.order == ResponseOrder::OutOfOrder || self.tasks.is_empty() {
                let Some(octets) = take_message(&mut buffer) else { break };
                let Some(query) = parse_query(&octets) else { return Ok(()) };
                query_log.record_query(&query, Transport::Tcp, self.number, self.peer);
                let steps = script.steps(&query, Transport::Tcp);
                self.tasks.spawn(run_on_tcp(Arc::clone(writer), steps));
            }
            tokio::select! {
                read = timeout(options.idle, self.reader.read_buf(&mut buffer)) => match read {
                    Ok(Ok(0)) => return Ok(()),
                    Ok(Err(error)) => return Err(error),
                    Err(_) if self.tasks.is_empty() => return Ok(()),
                    _ => {}
                },
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(Ok(AfterSteps::KeepOpen)) => {}
                    _ => return Ok(()),
                },
            }
        }
    }
}

/// A message with exactly one question; others are dropped.
fn parse_query(octets: &[u8]) -> Option<Message> {
    Message::from_vec(octets).ok().filter(|query| query.queries.len() == 1)
}

/// State of the connection after the steps of a query.
enum AfterSteps {
    KeepOpen,
    Close,
}

async fn run_on_udp(udp: Arc<UdpSocket>, peer: SocketAddr, steps: Vec<ScriptStep>) {
    for step in steps {
        match step {
            ScriptStep::Wait(time) => sleep(time).await,
            ScriptStep::Send(octets) | ScriptStep::Raw(octets) | ScriptStep::Drip(octets, _) => {
                // An error means that the peer's socket is closed.
                if udp.send_to(&octets, peer).await.is_err() {
                    return;
                }
            }
            ScriptStep::Close | ScriptStep::Reset => return,
        }
    }
}

async fn run_on_tcp(writer: Arc<Mutex<OwnedWriteHalf>>, steps: Vec<ScriptStep>) -> io::Result<AfterSteps> {
    for step in steps {
        match step {
            ScriptStep::Wait(time) => sleep(time).await,
            ScriptStep::Send(octets) => writer.lock().await.write_all(&framed(&octets)?).await?,
            ScriptStep::Raw(octets) => writer.lock().await.write_all(&octets).await?,
            ScriptStep::Drip(octets, pause) => {
                drip(&mut *writer.lock().await, &framed(&octets)?, pause).await?;
            }
            ScriptStep::Close => return Ok(AfterSteps::Close),
            ScriptStep::Reset => {
                writer.lock().await.as_ref().set_zero_linger()?;
                return Ok(AfterSteps::Close);
            }
        }
    }
    Ok(AfterSteps::KeepOpen)
}

async fn drip(writer: &mut OwnedWriteHalf, octets: &[u8], pause: Duration) -> io::Result<()> {
    writer.as_ref().set_nodelay(true)?;
    for octet in octets.chunks(1) {
        writer.write_all(octet).await?;
        sleep(pause).await;
    }
    Ok(())
}

fn framed(octets: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(octets.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok([&length.to_be_bytes(), octets].concat())
}

/// Removes the first complete message from the buffer.
fn take_message(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = buffer.first_chunk::<LENGTH_PREFIX>()?;
    let end = LENGTH_PREFIX + usize::from(u16::from_be_bytes(*length));
    if buffer.len() < end {
        return None;
    }
    let rest = buffer.split_off(end);
    let message = std::mem::replace(buffer, rest);
    Some(message.into_iter().skip(LENGTH_PREFIX).collect())
}
