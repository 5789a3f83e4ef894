//! The sockets of a server, on one thread.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::query_log::QueryLog;
use super::{ResponseOrder, Script, ScriptStep, ServerOptions, Transport};

/// Octets of the length before a message on a stream.
const LENGTH: usize = 2;

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
                    let query = buffer.get(..length).and_then(read);
                    if let Some(query) = query {
                        self.query_log.record_query(&query, Transport::Udp, 0, peer);
                        let steps = self.script.steps(&query, Transport::Udp);
                        tasks.spawn(answer_datagram(Arc::clone(&udp), peer, steps));
                    }
                }
                accepted = tcp.accept() => {
                    let (stream, peer) = accepted?;
                    tasks.spawn(self.clone().connection(stream, peer));
                }
                Some(ended) = tasks.join_next() => drop(ended),
            }
        }
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        let number = self.query_log.connection_opened();
        let (reader, writer) = stream.into_split();
        let writer = Arc::new(Mutex::new(writer));
        let mut conversation = Conversation { server: &self, peer, number, reader, tasks: JoinSet::new() };
        // A reset, a half message or a full pipe ends it like any close.
        drop(conversation.hold(&writer).await);
        conversation.tasks.shutdown().await;
        if let Some(writer) = Arc::into_inner(writer) {
            // Dropped as it is, it would send a FIN ahead of a reset.
            writer.into_inner().forget();
        }
        drop(conversation);
        self.query_log.connection_closed();
    }
}

/// One connection.
struct Conversation<'a> {
    server: &'a Server,
    peer: SocketAddr,
    number: u64,
    reader: OwnedReadHalf,
    tasks: JoinSet<io::Result<Then>>,
}

impl Conversation<'_> {
    async fn hold(&mut self, writer: &Arc<Mutex<OwnedWriteHalf>>) -> io::Result<()> {
        let Server { script, options, query_log } = self.server;
        let mut pending = Vec::new();
        loop {
            while options.order == ResponseOrder::OutOfOrder || self.tasks.is_empty() {
                let Some(octets) = take_message(&mut pending) else { break };
                let Some(query) = read(&octets) else { return Ok(()) };
                query_log.record_query(&query, Transport::Tcp, self.number, self.peer);
                let steps = script.steps(&query, Transport::Tcp);
                self.tasks.spawn(answer_stream(Arc::clone(writer), steps));
            }
            tokio::select! {
                read = timeout(options.idle, self.reader.read_buf(&mut pending)) => match read {
                    Ok(Ok(0)) => return Ok(()),
                    Ok(Err(error)) => return Err(error),
                    Err(_) if self.tasks.is_empty() => return Ok(()),
                    _ => {}
                },
                Some(answered) = self.tasks.join_next() => match answered {
                    Ok(Ok(Then::GoOn)) => {}
                    _ => return Ok(()),
                },
            }
        }
    }
}

/// A query with one question; whatever else arrives is dropped.
fn read(octets: &[u8]) -> Option<Message> {
    Message::from_vec(octets).ok().filter(|query| query.queries.len() == 1)
}

/// What becomes of a connection after the steps of a question.
enum Then {
    GoOn,
    End,
}

async fn answer_datagram(udp: Arc<UdpSocket>, peer: SocketAddr, steps: Vec<ScriptStep>) {
    for step in steps {
        match step {
            ScriptStep::Wait(time) => sleep(time).await,
            ScriptStep::Send(octets) | ScriptStep::Raw(octets) | ScriptStep::Drip(octets, _) => {
                // A peer that has gone does not want the rest either.
                if udp.send_to(&octets, peer).await.is_err() {
                    return;
                }
            }
            ScriptStep::Close | ScriptStep::Reset => return,
        }
    }
}

async fn answer_stream(writer: Arc<Mutex<OwnedWriteHalf>>, steps: Vec<ScriptStep>) -> io::Result<Then> {
    for step in steps {
        match step {
            ScriptStep::Wait(time) => sleep(time).await,
            ScriptStep::Send(octets) => writer.lock().await.write_all(&framed(&octets)?).await?,
            ScriptStep::Raw(octets) => writer.lock().await.write_all(&octets).await?,
            ScriptStep::Drip(octets, pause) => {
                drip(&mut *writer.lock().await, &framed(&octets)?, pause).await?
            }
            ScriptStep::Close => return Ok(Then::End),
            ScriptStep::Reset => {
                writer.lock().await.as_ref().set_zero_linger()?;
                return Ok(Then::End);
            }
        }
    }
    Ok(Then::GoOn)
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

/// Takes the first whole message off what has been read.
fn take_message(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = pending.first_chunk::<LENGTH>()?;
    let end = LENGTH + usize::from(u16::from_be_bytes(*length));
    if pending.len() < end {
        return None;
    }
    let rest = pending.split_off(end);
    let message = std::mem::replace(pending, rest);
    Some(message.into_iter().skip(LENGTH).collect())
}
