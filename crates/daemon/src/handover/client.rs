//! Client side of the hand-over: runs in the instance that starts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use resolver::cache::{Cache, ImportSummary, ImportTarget};
use tokio::time;

use super::contents::{Welcome, hello, one_line, parse_block};
use super::directory::{SocketDirectory, SocketName, check_peer};
use super::message::{Message, MessageType};
use super::protocol::{Connection, ProtocolError};
use super::sockets::accept_socket;
use super::status::InstanceStatus;
use crate::clock;
use crate::http;
use crate::worker::InheritedSockets;

/// For the active instance to send its offer; a healthy one takes milliseconds.
const OFFER_TIMEOUT: Duration = Duration::from_secs(2);
/// For the cache to arrive. The active instance serves meanwhile.
const CACHE_TIMEOUT: Duration = Duration::from_secs(5);
/// For the peer's reply to any other message.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// For the reply to a request for the status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// Server blocks that a predecessor may have; the cache of further ones is not received. A Corefile
/// has a handful.
const MAX_BLOCKS: usize = 1024;

/// Response to a request for an offer.
#[derive(Debug)]
pub(crate) enum OfferResponse {
    /// No instance is active here.
    NoInstance,
    /// The active instance closed the connection before its offer was complete: it was about to
    /// exit.
    Closed,
    /// An instance is active but makes no usable offer, for this reason.
    Refused(String),
    /// An offer; the active instance serves until it is taken.
    Received(Box<ReceivedOffer>),
}

/// What the active instance offers.
#[derive(Debug)]
pub(crate) struct ReceivedOffer {
    connection: Connection,
    /// Version of the active instance.
    pub(crate) version: String,
    /// Addresses on its link.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) dns: InheritedSockets,
    pub(crate) http: http::InheritedListeners,
    /// Fingerprints of its server blocks, by number.
    blocks: HashMap<u16, String>,
    rejected: RejectedSockets,
}

/// Sockets that were received and closed.
#[derive(Debug, Default)]
struct RejectedSockets {
    count: u64,
    /// Description of the first one, and the reason.
    first: Option<(String, String)>,
}

/// Cache entries that were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheTransfer {
    pub(crate) imported: u64,
    /// Of unknown server blocks, expired, malformed, or beyond the capacity.
    pub(crate) rejected: u64,
}

impl CacheTransfer {
    fn add(&mut self, summary: &ImportSummary) {
        self.imported += summary.imported;
        self.rejected += summary.rejected
            + summary.expired
            + summary.unknown_block
            + summary.already_cached
            + summary.store_full;
    }
}

/// Connection to the predecessor, which is on standby as long as this is open.
#[derive(Debug)]
pub(crate) struct PredecessorLink {
    connection: Connection,
}

/// Requests an offer from the active instance, if there is one.
pub(crate) async fn request_offer(directory: &SocketDirectory) -> OfferResponse {
    let stream = match directory.connect(SocketName::Handover).await {
        Ok(Some(stream)) => stream,
        Ok(None) => return OfferResponse::NoInstance,
        Err(error) => return OfferResponse::Refused(error.to_string()),
    };
    match time::timeout(OFFER_TIMEOUT, ReceivedOffer::request(Connection::new(stream))).await {
        Ok(Ok(offer)) => OfferResponse::Received(Box::new(offer)),
        Ok(Err(ProtocolError::Closed)) => OfferResponse::Closed,
        Ok(Err(error)) => OfferResponse::Refused(error.to_string()),
        Err(_) => OfferResponse::Refused(ProtocolError::Timeout(OFFER_TIMEOUT).to_string()),
    }
}

/// Queries the active instance in `directory`, if there is one. It must not be this process.
pub(crate) async fn query_status(directory: &SocketDirectory) -> Option<InstanceStatus> {
    let stream = directory.connect(SocketName::Handover).await.ok().flatten()?;
    let same_pid_namespace = check_peer(&stream).is_ok_and(|pid| pid.is_some());
    let mut status = InstanceStatus { same_pid_namespace, ..InstanceStatus::default() };
    let mut connection = Connection::new(stream);
    let reply = async {
        connection.send(MessageType::STATUS_REQUEST, &[]).await?;
        loop {
            let message = connection.receive().await?;
            if message.kind == MessageType::STATUS {
                return Ok::<_, ProtocolError>(message.octets);
            }
        }
    };
    if let Ok(Ok(octets)) = time::timeout(STATUS_TIMEOUT, reply).await {
        status.parse(&String::from_utf8_lossy(&octets));
    }
    Some(status)
}

impl ReceivedOffer {
    async fn request(connection: Connection) -> Result<Self, ProtocolError> {
        connection.send(MessageType::HELLO, hello().as_bytes()).await?;
        let mut offer = Self {
            connection,
            version: String::new(),
            addresses: Vec::new(),
            dns: InheritedSockets::default(),
            http: http::InheritedListeners::new(),
            blocks: HashMap::new(),
            rejected: RejectedSockets::default(),
        };
        loop {
            let message = offer.connection.receive().await?;
            match message.kind {
                MessageType::WELCOME => {
                    Welcome { version: offer.version, addresses: offer.addresses } =
                        Welcome::parse(&message.octets);
                }
                MessageType::SOCKET => offer.receive_socket(message),
                MessageType::BLOCK => offer.add_block(&message.octets),
                MessageType::OFFERED => {
                    offer.rejected.log();
                    return Ok(offer);
                }
                _ => {}
            }
        }
    }

    /// A socket that does not match its description is closed; one of our own is bound instead.
    fn receive_socket(&mut self, message: Message) {
        let Some(descriptor) = message.descriptor else { return };
        let description = String::from_utf8_lossy(&message.octets).into_owned();
        if let Err(reason) = accept_socket(&mut self.dns, &mut self.http, &description, descriptor) {
            self.rejected.count += 1;
            self.rejected.first.get_or_insert_with(|| (one_line(&description), reason));
        }
    }

    fn add_block(&mut self, octets: &[u8]) {
        if let Some((number, fingerprint)) = parse_block(octets)
            && self.blocks.len() < MAX_BLOCKS
        {
            self.blocks.insert(number, fingerprint);
        }
    }

    /// The number of accepted sockets.
    pub(crate) fn sockets(&self) -> usize {
        let dns = self.dns.udp.values().map(Vec::len).chain(self.dns.tcp.values().map(Vec::len));
        dns.sum::<usize>() + self.http.len()
    }

    /// Imports the predecessor's entries of server blocks that are among `targets`, by fingerprint,
    /// into `cache`.
    ///
    /// # Errors
    /// Why the transfer ended early; what had arrived is kept.
    pub(crate) async fn receive_cache(
        &mut self,
        cache: &Cache,
        targets: &HashMap<String, ImportTarget>,
    ) -> (CacheTransfer, Result<(), String>) {
        let numbers = self.blocks.keys().max().map_or(0, |number| usize::from(*number) + 1);
        let mut by_number = vec![None; numbers];
        for (number, fingerprint) in &self.blocks {
            if let Some(target) = by_number.get_mut(usize::from(*number)) {
                *target = targets.get(fingerprint).cloned();
            }
        }
        let mut transfer = CacheTransfer::default();
        let received = async {
            loop {
                let message = self.connection.receive().await.map_err(|error| error.to_string())?;
                match message.kind {
                    MessageType::ENTRIES => {
                        let now = clock::now();
                        transfer.add(&cache.import(now, Duration::ZERO, &message.octets, &by_number));
                    }
                    MessageType::ENTRIES_END => return Ok(()),
                    _ => {}
                }
                // Lets HTTP probes and signals be handled in between.
                tokio::task::yield_now().await;
            }
        };
        let late = |_| Err(format!("not complete after {CACHE_TIMEOUT:?}"));
        let received = time::timeout(CACHE_TIMEOUT, received).await.unwrap_or_else(late);
        (transfer, received)
    }

    /// Reports to the predecessor that its sockets are read, and waits until it has stopped
    /// reading. One that [does not reply](ProtocolError::Timeout) in time receives the message
    /// later, and is on standby from then on.
    pub(crate) async fn take_over(self) -> (PredecessorLink, Result<(), ProtocolError>) {
        let mut link = PredecessorLink { connection: self.connection };
        let stopped = link.request(MessageType::TAKEN, MessageType::STOPPED).await;
        (link, stopped)
    }
}

impl RejectedSockets {
    fn log(&self) {
        if let Some((description, reason)) = &self.first {
            tracing::warn!(
                "{} sockets of the predecessor are rejected; the first, {description:?}: {reason}",
                self.count
            );
        }
    }
}

impl PredecessorLink {
    /// Resolves when the predecessor has exited.
    pub(crate) async fn exited(&mut self) {
        while self.connection.receive().await.is_ok() {}
    }

    /// Has the predecessor serve again. When this returns successfully, it reads from its sockets,
    /// and from these, which it has not had.
    ///
    /// # Errors
    /// The predecessor has exited, or does not reply.
    pub(crate) async fn hand_back(&mut self, sockets: &[(String, OwnedFd)]) -> Result<(), ProtocolError> {
        let sent = time::timeout(REPLY_TIMEOUT, self.connection.send_sockets(sockets)).await;
        sent.unwrap_or(Err(ProtocolError::Timeout(REPLY_TIMEOUT)))?;
        self.request(MessageType::RETURNED, MessageType::RESUMED).await
    }

    /// Reports to the predecessor that it is no longer needed on standby.
    pub(crate) async fn dismiss(self) {
        // One that has exited need not know.
        time::timeout(REPLY_TIMEOUT, self.connection.send(MessageType::DISMISSED, &[])).await.ok();
    }

    async fn request(&mut self, kind: MessageType, reply: MessageType) -> Result<(), ProtocolError> {
        let replied = async {
            self.connection.send(kind, &[]).await?;
            while self.connection.receive().await?.kind != reply {}
            Ok(())
        };
        time::timeout(REPLY_TIMEOUT, replied).await.unwrap_or(Err(ProtocolError::Timeout(REPLY_TIMEOUT)))
    }
}
