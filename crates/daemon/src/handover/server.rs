//! Server side of the hand-over: runs in the active instance.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::cache::Cache;
use resolver::policy::BlockId;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{info, warn};

use super::contents::{Welcome, block, one_line};
use super::directory::{SocketDirectory, SocketFile, SocketName, accept_peers};
use super::message::{MAX_MESSAGE_LEN, Message, MessageError, MessageType};
use super::protocol::{Connection, ProtocolError};
use super::sockets::accept_socket;
use super::status::InstanceStatus;
use crate::clock;
use crate::http;
use crate::metrics::ProcessCounters;
use crate::worker::InheritedSockets;

/// For the first message on a connection.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// For a successor to receive the sockets, and for it to receive the cache entries.
const OFFER_TIMEOUT: Duration = Duration::from_secs(5);
/// For sending cache entries; what is not sent by then is left out.
const CACHE_TIMEOUT: Duration = Duration::from_secs(2);
/// For a successor to read from the sockets. Until then nothing has changed.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at a time, most of which have not sent anything yet. All peers run as our own user.
const MAX_CONNECTIONS: usize = 64;
/// Of them, successors with an offer: each holds a descriptor of every socket.
const MAX_SUCCESSORS: usize = 8;
/// Accepts connections of other instances. Dropping it closes the socket and removes its file.
#[derive(Debug)]
pub(crate) struct Server {
    file: SocketFile,
    requests: mpsc::Receiver<Request>,
    _accept_task: JoinSet<()>,
}

/// Request of another instance.
#[derive(Debug)]
pub(crate) enum Request {
    /// For an offer, from a successor.
    Offer(oneshot::Sender<io::Result<Offer>>),
    /// To stop reading: the successor reads from our sockets.
    TakenOver(SuccessorLink),
    /// For the status.
    Status(oneshot::Sender<InstanceStatus>),
}

/// What the active instance offers a successor.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Addresses on its link.
    pub(crate) addresses: Vec<IpAddr>,
    /// Each with its description.
    pub(crate) sockets: Vec<(String, OwnedFd)>,
    /// Its server blocks with a cache, by fingerprint.
    pub(crate) blocks: Vec<(String, BlockId)>,
    pub(crate) cache: Arc<Cache>,
    /// For the entries that are left out.
    pub(crate) counters: Arc<ProcessCounters>,
}

/// Connection to a successor that has taken over.
#[derive(Debug)]
pub(crate) struct SuccessorLink {
    connection: Connection,
    /// Version of the successor.
    pub(crate) version: String,
    /// Sockets that only the successor had.
    pub(crate) returned: InheritedSockets,
}

/// How a successor's time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuccessorOutcome {
    /// It exited without a message.
    Disconnected,
    /// It exits, and waits until this instance serves again.
    HandedBack,
    /// It has a successor itself.
    Dismissed,
}

impl Server {
    /// Listens in `directory`. To be called inside a [`LocalSet`](tokio::task::LocalSet).
    ///
    /// # Errors
    /// The socket cannot be bound.
    pub(crate) fn bind(directory: &SocketDirectory) -> io::Result<Self> {
        let (listener, file) = directory.bind(SocketName::Handover)?;
        let (sender, requests) = mpsc::channel(MAX_CONNECTIONS);
        let mut accept_task = JoinSet::new();
        let permits = Rc::new(Semaphore::new(MAX_SUCCESSORS));
        let handle = move |stream| handle(stream, sender.clone(), Rc::clone(&permits));
        accept_task.spawn_local(accept_peers(listener, ("hand-over", MAX_CONNECTIONS), handle));
        Ok(Self { file, requests, _accept_task: accept_task })
    }

    /// True if no instance can be reached in `directory`, where this was bound: the file was
    /// removed, or replaced by an instance that crashed.
    pub(crate) async fn is_lost(&self, directory: &SocketDirectory) -> bool {
        !self.file.exists()
            && directory.connect(SocketName::Handover).await.is_ok_and(|stream| stream.is_none())
    }

    /// The next request. Cancel safe.
    pub(crate) async fn next(&mut self) -> Request {
        match self.requests.recv().await {
            Some(request) => request,
            None => pending().await,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.file.remove() {
            warn!("the hand-over socket cannot be removed: {error}");
        }
    }
}

/// A connection until it is closed, or until the successor at its other end has taken over.
async fn handle(stream: UnixStream, requests: mpsc::Sender<Request>, permits: Rc<Semaphore>) {
    let mut connection = Connection::new(stream);
    match time::timeout(HELLO_TIMEOUT, connection.receive()).await {
        Ok(Ok(message)) if message.kind == MessageType::HELLO => {
            let version = one_line(&String::from_utf8_lossy(&message.octets));
            let Ok(_permit) = permits.acquire().await else { return };
            match offer(connection, &requests).await {
                Ok(connection) => {
                    let returned = InheritedSockets::default();
                    let successor = SuccessorLink { connection, version, returned };
                    // Without the control thread there is nothing left to hand over.
                    requests.send(Request::TakenOver(successor)).await.ok();
                }
                Err(error) => warn!("a successor has not taken over: {error}"),
            }
        }
        Ok(Ok(message)) if message.kind == MessageType::STATUS_REQUEST => {
            if let Ok(status) = request(&requests, Request::Status).await {
                // A peer that has closed the connection does not need the reply.
                connection.send(MessageType::STATUS, status.to_lines().as_bytes()).await.ok();
            }
        }
        Ok(Err(error @ ProtocolError::Message(MessageError::Version(_)))) => {
            warn!("a successor cannot take over: {error}");
            // Its header tells the peer our version.
            connection.send(MessageType::WELCOME, &[]).await.ok();
        }
        Ok(Err(ProtocolError::Closed)) | Err(_) => {}
        Ok(Ok(_)) => warn!("hand-over connection rejected: {}", MessageError::NotThisProtocol),
        Ok(Err(error)) => warn!("hand-over connection rejected: {error}"),
    }
}

/// Sends an offer, and waits until the successor reads from the sockets.
async fn offer(
    mut connection: Connection,
    requests: &mpsc::Sender<Request>,
) -> Result<Connection, ProtocolError> {
    let offer = request(requests, Request::Offer).await??;
    let late = |_| Err(ProtocolError::Timeout(OFFER_TIMEOUT));
    time::timeout(OFFER_TIMEOUT, send_sockets_and_blocks(&connection, &offer)).await.unwrap_or_else(late)?;
    let until = clock::now() + CACHE_TIMEOUT;
    time::timeout(OFFER_TIMEOUT, send_cache(&connection, &offer, until)).await.unwrap_or_else(late)?;
    // Sockets that a reload closes meanwhile must not stay open here.
    drop(offer);
    let taken = async {
        while connection.receive().await?.kind != MessageType::TAKEN {}
        Ok(())
    };
    time::timeout(TAKE_OVER_TIMEOUT, taken)
        .await
        .unwrap_or(Err(ProtocolError::Timeout(TAKE_OVER_TIMEOUT)))?;
    Ok(connection)
}

/// Sends a request to the control thread, and waits for the reply.
async fn request<T>(
    requests: &mpsc::Sender<Request>,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Result<T, ProtocolError> {
    let (sender, reply) = oneshot::channel();
    requests.send(request(sender)).await.map_err(|_| ProtocolError::Closed)?;
    reply.await.map_err(|_| ProtocolError::Closed)
}

async fn send_sockets_and_blocks(connection: &Connection, offer: &Offer) -> Result<(), ProtocolError> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let welcome = Welcome { version, addresses: offer.addresses.clone() };
    connection.send(MessageType::WELCOME, welcome.to_lines().as_bytes()).await?;
    connection.send_sockets(&offer.sockets).await?;
    for (number, (fingerprint, _)) in (0_u16..).zip(&offer.blocks) {
        connection.send(MessageType::BLOCK, &block(number, fingerprint)).await?;
    }
    connection.send(MessageType::OFFERED, &[]).await
}

/// Sends cache entries until `until`.
async fn send_cache(connection: &Connection, offer: &Offer, until: Instant) -> Result<(), ProtocolError> {
    let numbers: HashMap<BlockId, u16> =
        (0_u16..).zip(&offer.blocks).map(|(number, (_, block))| (*block, number)).collect();
    let mut export = offer.cache.export(clock::now(), &numbers);
    let mut octets = Vec::new();
    // In pieces, so that HTTP probes and signals are handled in between. A part of the cache is of
    // use as well.
    while clock::now() < until && export.write_records(MAX_MESSAGE_LEN / 2, &mut octets) > 0 {
        connection.send(MessageType::ENTRIES, &octets).await?;
        octets.clear();
        tokio::task::yield_now().await;
    }
    let omitted = export.remaining();
    if omitted > 0 {
        info!("{omitted} cache entries are not handed over: not sent within {CACHE_TIMEOUT:?}");
        offer.counters.omitted.successor.add(omitted as u64);
    }
    connection.send(MessageType::ENTRIES_END, &[]).await
}

impl SuccessorLink {
    /// Confirms to the successor that this instance has stopped reading.
    pub(crate) async fn confirm_stopped(&self) -> Result<(), ProtocolError> {
        self.connection.send(MessageType::STOPPED, &[]).await
    }

    /// Resolves when the successor exits or ends the standby.
    pub(crate) async fn outcome(&mut self) -> SuccessorOutcome {
        loop {
            match self.connection.receive().await {
                Ok(message) if message.kind == MessageType::RETURNED => return SuccessorOutcome::HandedBack,
                Ok(message) if message.kind == MessageType::DISMISSED => return SuccessorOutcome::Dismissed,
                Ok(message) => self.accept_returned(message),
                Err(_) => return SuccessorOutcome::Disconnected,
            }
        }
    }

    fn accept_returned(&mut self, message: Message) {
        let Some(descriptor) = message.descriptor else { return };
        let description = String::from_utf8_lossy(&message.octets);
        let mut http = http::InheritedListeners::new();
        if let Err(reason) = accept_socket(&mut self.returned, &mut http, &description, descriptor) {
            warn!("a socket of the successor is rejected, {:?}: {reason}", one_line(&description));
        }
    }

    /// Confirms to the successor that this instance reads again.
    pub(crate) async fn confirm_resumed(&self) -> Result<(), ProtocolError> {
        self.connection.send(MessageType::RESUMED, &[]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::fixture::CachedHost;

    /// The types of the messages of a cache with two entries, and the entries left out of it.
    async fn sent_until(until: Instant) -> (Vec<MessageType>, u64) {
        let host = CachedHost::with_entries(&["a.example", "b.example"]);
        let offer = Offer {
            addresses: Vec::new(),
            sockets: Vec::new(),
            blocks: host.blocks(),
            cache: Arc::clone(&host.cache),
            counters: Arc::default(),
        };
        let (ours, theirs) = UnixStream::pair().unwrap();
        send_cache(&Connection::new(ours), &offer, until).await.unwrap();
        let (mut theirs, mut types) = (Connection::new(theirs), Vec::new());
        while let Ok(message) = theirs.receive().await {
            types.push(message.kind);
        }
        (types, offer.counters.omitted.successor.get())
    }

    #[tokio::test]
    async fn entries_that_are_not_sent_in_time_are_counted() {
        let in_time = sent_until(clock::now() + Duration::from_secs(3600)).await;
        assert_eq!(in_time, (vec![MessageType::ENTRIES, MessageType::ENTRIES_END], 0));
        assert_eq!(sent_until(clock::now()).await, (vec![MessageType::ENTRIES_END], 2));
    }
}
