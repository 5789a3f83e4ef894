//! The side of the one that starts.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::Duration;

use linux::udp::UdpListener;
use resolver::cache::{Cache, ImportSummary, ImportTarget};
use tokio::time;

use super::directory::SocketDirectory;
use super::protocol::{Connection, Message, MessageType, ProtocolError, one_line};
use crate::clock;
use crate::http;
use crate::worker::InheritedSockets;

/// How long an instance in service may take to say what it has; a healthy one takes milliseconds.
const OFFER_TIME: Duration = Duration::from_secs(2);
/// How long the cache may take to come. The instance in service serves on meanwhile.
const CACHE_TIME: Duration = Duration::from_secs(5);
/// How long the other side may take for anything else.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Server blocks that a predecessor may have; the cache of further ones stays behind. A Corefile has a handful.
const MOST_BLOCKS: usize = 1024;

/// What came of knocking.
#[derive(Debug)]
pub(crate) enum OfferResponse {
    /// Nobody is in service here.
    NoInstance,
    /// Somebody was, and ended before it had given anything: it was about to leave.
    Closed,
    /// Somebody is, but nothing can be had of it, for this reason.
    Refused(String),
    /// What it has, and that it goes on until this is taken.
    Received(Box<ReceivedOffer>),
}

/// What a predecessor gives.
#[derive(Debug)]
pub(crate) struct ReceivedOffer {
    connection: Connection,
    /// Its version.
    pub(crate) version: String,
    /// The addresses on its link.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) dns: InheritedSockets,
    pub(crate) http: http::InheritedListeners,
    /// The fingerprints of its server blocks, by number.
    blocks: HashMap<u16, String>,
    rejected: RejectedSockets,
}

/// Sockets that were let go.
#[derive(Debug, Default)]
struct RejectedSockets {
    count: u64,
    /// The first one's description, and the reason.
    first: Option<(String, String)>,
}

/// How many cached answers came over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheTransfer {
    pub(crate) taken: u64,
    /// Of server blocks that are gone, over, not sound, or more than there is room for.
    pub(crate) left: u64,
}

impl CacheTransfer {
    fn add(&mut self, summary: &ImportSummary) {
        self.taken += summary.imported;
        self.left += summary.rejected
            + summary.expired
            + summary.unknown_block
            + summary.already_cached
            + summary.store_full;
    }
}

/// The predecessor stands by as long as this lasts.
#[derive(Debug)]
pub(crate) struct PredecessorLink {
    connection: Connection,
}

/// Asks the instance in service, if there is one, for what it has.
pub(crate) async fn request_offer(place: &SocketDirectory) -> OfferResponse {
    let stream = match place.connect().await {
        Ok(Some(stream)) => stream,
        Ok(None) => return OfferResponse::NoInstance,
        Err(error) => return OfferResponse::Refused(error.to_string()),
    };
    match time::timeout(OFFER_TIME, ReceivedOffer::ask(Connection::new(stream))).await {
        Ok(Ok(offer)) => OfferResponse::Received(Box::new(offer)),
        Ok(Err(ProtocolError::Gone)) => OfferResponse::Closed,
        Ok(Err(error)) => OfferResponse::Refused(error.to_string()),
        Err(_) => OfferResponse::Refused(format!("it says nothing for {OFFER_TIME:?}")),
    }
}

impl ReceivedOffer {
    async fn ask(connection: Connection) -> Result<Self, ProtocolError> {
        connection
            .send(MessageType::HELLO, format!("version {}\n", env!("CARGO_PKG_VERSION")).as_bytes())
            .await?;
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
                MessageType::WELCOME => offer.meet(&message.octets),
                MessageType::SOCKET => offer.receive_socket(message),
                MessageType::BLOCK => offer.note_block(&message.octets),
                MessageType::OFFERED => {
                    offer.rejected.tell();
                    return Ok(offer);
                }
                _ => {}
            }
        }
    }

    fn meet(&mut self, octets: &[u8]) {
        let lines = String::from_utf8_lossy(octets);
        let said = |wanted| {
            let lines = lines.lines().filter_map(|line| line.split_once(' '));
            lines.filter(move |(word, _)| *word == wanted).map(|(_, value)| value)
        };
        self.version = said("version").next().map(one_line).unwrap_or_default();
        self.addresses = said("address").filter_map(|value| value.parse().ok()).collect();
    }

    /// A socket that is not what is said of it is let go: one of our own takes its place.
    fn receive_socket(&mut self, message: Message) {
        let Some(descriptor) = message.descriptor else { return };
        let text = String::from_utf8_lossy(&message.octets).into_owned();
        if let Err(reason) = keep_socket(&mut self.dns, &mut self.http, &text, descriptor) {
            self.rejected.count += 1;
            self.rejected.first.get_or_insert_with(|| (one_line(&text), reason));
        }
    }

    fn note_block(&mut self, octets: &[u8]) {
        if let Some((number, fingerprint)) = octets.split_first_chunk()
            && self.blocks.len() < MOST_BLOCKS
        {
            let fingerprint = String::from_utf8_lossy(fingerprint).into_owned();
            self.blocks.insert(u16::from_be_bytes(*number), fingerprint);
        }
    }

    /// How many sockets were given.
    pub(crate) fn sockets(&self) -> usize {
        let dns = self.dns.udp.values().map(Vec::len).chain(self.dns.tcp.values().map(Vec::len));
        dns.sum::<usize>() + self.http.len()
    }

    /// Fills `cache` with what the predecessor has for blocks that are in `import_targets` too, by fingerprint. What does not come
    /// in time is asked for when it is wanted.
    ///
    /// # Errors
    /// Why it ended early; what came until then is kept.
    pub(crate) async fn receive_cache(
        &mut self,
        cache: &Cache,
        import_targets: &HashMap<String, ImportTarget>,
    ) -> (CacheTransfer, Result<(), String>) {
        let numbers = self.blocks.keys().max().map_or(0, |number| usize::from(*number) + 1);
        let mut by_number = vec![None; numbers];
        for (number, fingerprint) in &self.blocks {
            if let Some(place) = by_number.get_mut(usize::from(*number)) {
                *place = import_targets.get(fingerprint).cloned();
            }
        }
        let mut moved = CacheTransfer::default();
        let received = async {
            loop {
                let message = self.connection.receive().await.map_err(in_words)?;
                match message.kind {
                    MessageType::ENTRIES => {
                        let summary = cache.import(clock::now(), Duration::ZERO, &message.octets, &by_number);
                        moved.add(&summary);
                    }
                    MessageType::PACKED => return Ok(()),
                    _ => {}
                }
                // Probes and signals have their turn between two pieces.
                tokio::task::yield_now().await;
            }
        };
        let late = |_| Err(format!("not all came within {CACHE_TIME:?}"));
        let received = time::timeout(CACHE_TIME, received).await.unwrap_or_else(late);
        (moved, received)
    }

    /// Tells the predecessor that its sockets are read, and waits a moment until it reads them no more. One that is
    /// [silent](ProtocolError::Silent) hears of it later, and stands by from then on.
    pub(crate) async fn take(self) -> (PredecessorLink, Result<(), ProtocolError>) {
        let mut lease = PredecessorLink { connection: self.connection };
        let stopped = lease.ask(MessageType::TAKEN, MessageType::STOPPED).await;
        (lease, stopped)
    }
}

impl RejectedSockets {
    fn tell(&self) {
        if let Some((text, reason)) = &self.first {
            tracing::warn!(
                "{} sockets of the running instance are not taken over; the first, {text:?}: {reason}",
                self.count
            );
        }
    }
}

impl PredecessorLink {
    /// Resolves when the predecessor has ended.
    pub(crate) async fn ended(&mut self) {
        while self.connection.receive().await.is_ok() {}
    }

    /// Has the predecessor go on. When this returns well, it reads from the sockets, and from these too, which it has
    /// not had.
    ///
    /// # Errors
    /// It is gone, or does not answer.
    pub(crate) async fn give_back(&mut self, sockets: &[(String, OwnedFd)]) -> Result<(), ProtocolError> {
        let sent = time::timeout(ANSWER_TIME, self.connection.send_sockets(sockets)).await;
        sent.unwrap_or(Err(ProtocolError::Silent(ANSWER_TIME)))?;
        self.ask(MessageType::RETURNED, MessageType::RESUMED).await
    }

    /// Lets the predecessor know that another one goes on from here.
    pub(crate) async fn dismiss(self) {
        // One that is gone need not know.
        let told = time::timeout(ANSWER_TIME, self.connection.send(MessageType::DISMISSED, &[])).await;
        drop(told);
    }

    async fn ask(&mut self, kind: MessageType, answer: MessageType) -> Result<(), ProtocolError> {
        let asked = async {
            self.connection.send(kind, &[]).await?;
            while self.connection.receive().await?.kind != answer {}
            Ok(())
        };
        time::timeout(ANSWER_TIME, asked).await.unwrap_or(Err(ProtocolError::Silent(ANSWER_TIME)))
    }
}

/// Puts a socket where its description says it belongs, if that is what it is.
pub(super) fn keep_socket(
    dns: &mut InheritedSockets,
    http: &mut http::InheritedListeners,
    text: &str,
    descriptor: OwnedFd,
) -> Result<(), String> {
    let mut words = text.split(' ');
    let transport = words.next().unwrap_or_default();
    let address: SocketAddr = read(words.next())?;
    match transport {
        "udp" => {
            let socket = UdpListener::inherit(descriptor, address).map_err(in_words)?;
            dns.udp.entry(address).or_default().push(socket);
        }
        "tcp" => {
            let socket = linux::tcp::inherit(descriptor, address).map_err(in_words)?;
            dns.tcp.entry(address).or_default().push(socket);
        }
        "http" => {
            let socket = linux::tcp::inherit(descriptor, read(words.next())?).map_err(in_words)?;
            http.insert(address, socket);
        }
        _ => return Err("nobody knows what it is for".to_owned()),
    }
    Ok(())
}

fn read<T: FromStr<Err: Display>>(word: Option<&str>) -> Result<T, String> {
    word.unwrap_or_default().parse().map_err(in_words)
}

fn in_words(error: impl Display) -> String {
    error.to_string()
}
