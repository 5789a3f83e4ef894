//! The side of the one in service.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use resolver::cache::Cache;
use resolver::policy::BlockId;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

use super::client::keep_socket;
use super::directory::{SocketDirectory, SocketFile, check};
use super::protocol::{Connection, MOST_OCTETS, Message, MessageType, ProtocolError, one_line};
use super::status::InstanceStatus;
use crate::clock;
use crate::http;
use crate::worker::InheritedSockets;

/// How long a visitor may take to say what he wants.
const HELLO_TIME: Duration = Duration::from_secs(2);
/// How long a successor may take to receive the sockets, and what is sent of the cache.
const OFFER_TIME: Duration = Duration::from_secs(5);
/// How long the cache is exported and sent; the rest of it stays.
const CACHE_TIME: Duration = Duration::from_secs(2);
/// How long a successor may take until it reads from the sockets. Until then nothing has changed.
const TAKE_TIME: Duration = Duration::from_secs(30);
/// Visitors at a time, most of whom have said nothing yet. All are of our own user.
const MOST_VISITORS: usize = 64;
/// Of them, successors that are being told what there is, or have been: each has a descriptor of every socket.
const MOST_SUCCESSORS: usize = 8;
/// Before another visitor is let in when that has failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a successor knocks. Dropping it closes the socket and removes its file.
#[derive(Debug)]
pub(crate) struct Server {
    file: SocketFile,
    knocks: mpsc::Receiver<Request>,
    _porter: JoinSet<()>,
}

/// What a visitor wants of the one in service.
#[derive(Debug)]
pub(crate) enum Request {
    /// A successor wants to be told what there is.
    Offer(oneshot::Sender<io::Result<Offer>>),
    /// It reads from our sockets, and wants us to stop.
    Taken(SuccessorLink),
    /// Somebody wants to know how things are.
    Status(oneshot::Sender<InstanceStatus>),
}

/// What the one in service has to give.
#[derive(Debug)]
pub(crate) struct Offer {
    /// The addresses on its link.
    pub(crate) addresses: Vec<IpAddr>,
    /// Each with its description.
    pub(crate) sockets: Vec<(String, OwnedFd)>,
    /// The fingerprints of its server blocks.
    pub(crate) blocks: Vec<(String, BlockId)>,
    pub(crate) cache: Arc<Cache>,
}

/// A successor that has taken over.
#[derive(Debug)]
pub(crate) struct SuccessorLink {
    connection: Connection,
    /// Its version.
    pub(crate) version: String,
    /// Sockets that only it had.
    pub(crate) returned: InheritedSockets,
}

/// How a succession ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuccessorOutcome {
    /// The successor has ended without a word.
    Lost,
    /// It leaves, and waits until we go on.
    Returned,
    /// Another one goes on from there.
    Dismissed,
}

impl Server {
    /// Can be met at `directory` from now on. To be called inside a [`LocalSet`](tokio::task::LocalSet).
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(place: &SocketDirectory) -> io::Result<Self> {
        let (listener, file) = place.bind()?;
        let (sender, knocks) = mpsc::channel(MOST_VISITORS);
        let mut porter = JoinSet::new();
        porter.spawn_local(admit(listener, sender));
        Ok(Self { file, knocks, _porter: porter })
    }

    /// True when nobody can be met at `directory`, where this was opened: its file was removed, or replaced by one who died.
    pub(crate) async fn is_lost(&self, place: &SocketDirectory) -> bool {
        !self.file.is_there() && place.connect().await.is_ok_and(|met| met.is_none())
    }

    /// The next knock.
    pub(crate) async fn next(&mut self) -> Request {
        match self.knocks.recv().await {
            Some(knock) => knock,
            None => pending().await,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.file.remove() {
            warn!("the socket of the hand-over stays behind: {error}");
        }
    }
}

async fn admit(listener: UnixListener, knocks: mpsc::Sender<Request>) {
    let mut visits = JoinSet::new();
    let seats = Rc::new(Semaphore::new(MOST_SUCCESSORS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if visits.len() < MOST_VISITORS => accepted,
            Some(_) = visits.join_next() => continue,
        };
        match accepted.map(|(stream, _)| (check(&stream), stream)) {
            Ok((Ok(_), stream)) => {
                visits.spawn_local(receive(stream, knocks.clone(), Rc::clone(&seats)));
            }
            Ok((Err(error), _)) => warn!("a visitor is turned away: {error}"),
            Err(error) => {
                debug!(%error, "no visitor can be let in");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn receive(stream: UnixStream, knocks: mpsc::Sender<Request>, seats: Rc<Semaphore>) {
    let mut connection = Connection::new(stream);
    match time::timeout(HELLO_TIME, connection.receive()).await {
        Ok(Ok(message)) if message.kind == MessageType::HELLO => {
            let version = one_line(&String::from_utf8_lossy(&message.octets));
            let Ok(_seat) = seats.acquire().await else { return };
            match offer(connection, &knocks).await {
                Ok(connection) => {
                    // Without the control thread, there is nothing left to hand over.
                    knocks
                        .send(Request::Taken(SuccessorLink {
                            connection,
                            version,
                            returned: InheritedSockets::default(),
                        }))
                        .await
                        .unwrap_or_default();
                }
                Err(error) => warn!("a successor has not taken over: {error}"),
            }
        }
        Ok(Ok(message)) if message.kind == MessageType::ASKED => {
            if let Ok(status) = ask(&knocks, Request::Status).await {
                // Who does not listen any more need not know.
                connection.send(MessageType::STATUS, status.lines().as_bytes()).await.unwrap_or_default();
            }
        }
        // So that it learns which version we speak.
        Ok(Err(error @ ProtocolError::Version(_))) => {
            warn!("a successor cannot take over: {error}");
            connection.send(MessageType::WELCOME, &[]).await.unwrap_or_default();
        }
        Ok(Err(ProtocolError::Gone)) | Err(_) => {}
        Ok(Ok(_)) => warn!("a visitor is turned away: {}", ProtocolError::Foreign),
        Ok(Err(error)) => warn!("a visitor is turned away: {error}"),
    }
}

/// Gives a successor all there is, and waits until it has taken it into use.
async fn offer(
    mut connection: Connection,
    knocks: &mpsc::Sender<Request>,
) -> Result<Connection, ProtocolError> {
    let offer = ask(knocks, Request::Offer).await??;
    let silent = |_| Err(ProtocolError::Silent(OFFER_TIME));
    time::timeout(OFFER_TIME, send_estate(&connection, &offer)).await.unwrap_or_else(silent)?;
    time::timeout(OFFER_TIME, send_cache(&connection, &offer)).await.unwrap_or_else(silent)?;
    // Sockets that a reload closes meanwhile must not stay open here.
    drop(offer);
    let taken = async {
        while connection.receive().await?.kind != MessageType::TAKEN {}
        Ok(())
    };
    time::timeout(TAKE_TIME, taken).await.unwrap_or(Err(ProtocolError::Silent(TAKE_TIME)))?;
    Ok(connection)
}

async fn ask<T>(
    knocks: &mpsc::Sender<Request>,
    knock: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Result<T, ProtocolError> {
    let (sender, answer) = oneshot::channel();
    knocks.send(knock(sender)).await.map_err(|_| ProtocolError::Gone)?;
    answer.await.map_err(|_| ProtocolError::Gone)
}

async fn send_estate(connection: &Connection, offer: &Offer) -> Result<(), ProtocolError> {
    let mut lines = format!("version {}\n", env!("CARGO_PKG_VERSION"));
    for address in &offer.addresses {
        lines += &format!("address {address}\n");
    }
    connection.send(MessageType::WELCOME, lines.as_bytes()).await?;
    connection.send_sockets(&offer.sockets).await?;
    for (number, (fingerprint, _)) in (0_u16..).zip(&offer.blocks) {
        let mut octets = number.to_be_bytes().to_vec();
        octets.extend(fingerprint.as_bytes());
        connection.send(MessageType::BLOCK, &octets).await?;
    }
    connection.send(MessageType::OFFERED, &[]).await
}

async fn send_cache(connection: &Connection, offer: &Offer) -> Result<(), ProtocolError> {
    let numbers: HashMap<BlockId, u16> =
        (0_u16..).zip(&offer.blocks).map(|(number, (_, block))| (*block, number)).collect();
    let mut export = offer.cache.export(clock::now(), &numbers);
    let until = clock::now() + CACHE_TIME;
    let mut octets = Vec::new();
    // In pieces, so that probes and signals have their turn between two. A cache of which half is over is half as good.
    while clock::now() < until && export.write_records(MOST_OCTETS / 2, &mut octets) > 0 {
        connection.send(MessageType::ENTRIES, &octets).await?;
        octets.clear();
        tokio::task::yield_now().await;
    }
    connection.send(MessageType::PACKED, &[]).await
}

impl SuccessorLink {
    /// Tells the successor that it is alone on the sockets.
    pub(crate) async fn confirm(&self) -> Result<(), ProtocolError> {
        self.connection.send(MessageType::STOPPED, &[]).await
    }

    /// How it ends.
    pub(crate) async fn outcome(&mut self) -> SuccessorOutcome {
        loop {
            match self.connection.receive().await {
                Ok(message) if message.kind == MessageType::RETURNED => return SuccessorOutcome::Returned,
                Ok(message) if message.kind == MessageType::DISMISSED => return SuccessorOutcome::Dismissed,
                Ok(message) => self.keep(message),
                Err(_) => return SuccessorOutcome::Lost,
            }
        }
    }

    fn keep(&mut self, message: Message) {
        let Some(descriptor) = message.descriptor else { return };
        let text = String::from_utf8_lossy(&message.octets);
        let mut http = http::InheritedListeners::new();
        if let Err(reason) = keep_socket(&mut self.returned, &mut http, &text, descriptor) {
            warn!(
                "a socket of the instance that took over is not taken back, {:?}: {reason}",
                one_line(&text)
            );
        }
    }

    /// Tells the successor that we read again.
    pub(crate) async fn resumed(&self) -> Result<(), ProtocolError> {
        self.connection.send(MessageType::RESUMED, &[]).await
    }
}
