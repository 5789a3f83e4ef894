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
use super::directory::{Place, SocketFile, check};
use super::protocol::{Kind, MOST_OCTETS, Message, Post, PostError, one_line};
use super::status::Neighbour;
use crate::clock;
use crate::http;
use crate::worker::Inherited;

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
pub(crate) struct Door {
    file: SocketFile,
    knocks: mpsc::Receiver<Knock>,
    _porter: JoinSet<()>,
}

/// What a visitor wants of the one in service.
#[derive(Debug)]
pub(crate) enum Knock {
    /// A successor wants to be told what there is.
    Offer(oneshot::Sender<io::Result<Offer>>),
    /// It reads from our sockets, and wants us to stop.
    Taken(Succession),
    /// Somebody wants to know how things are.
    Status(oneshot::Sender<Neighbour>),
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
pub(crate) struct Succession {
    post: Post,
    /// Its version.
    pub(crate) version: String,
    /// Sockets that only it had.
    pub(crate) returned: Inherited,
}

/// How a succession ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The successor has ended without a word.
    Lost,
    /// It leaves, and waits until we go on.
    Returned,
    /// Another one goes on from there.
    Dismissed,
}

impl Door {
    /// Can be met at `directory` from now on. To be called inside a [`LocalSet`](tokio::task::LocalSet).
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(place: &Place) -> io::Result<Self> {
        let (listener, file) = place.settle()?;
        let (sender, knocks) = mpsc::channel(MOST_VISITORS);
        let mut porter = JoinSet::new();
        porter.spawn_local(admit(listener, sender));
        Ok(Self { file, knocks, _porter: porter })
    }

    /// True when nobody can be met at `directory`, where this was opened: its file was removed, or replaced by one who died.
    pub(crate) async fn is_lost(&self, place: &Place) -> bool {
        !self.file.is_there() && place.visit().await.is_ok_and(|met| met.is_none())
    }

    /// The next knock.
    pub(crate) async fn next(&mut self) -> Knock {
        match self.knocks.recv().await {
            Some(knock) => knock,
            None => pending().await,
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = self.file.remove() {
            warn!("the socket of the hand-over stays behind: {error}");
        }
    }
}

async fn admit(listener: UnixListener, knocks: mpsc::Sender<Knock>) {
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

async fn receive(stream: UnixStream, knocks: mpsc::Sender<Knock>, seats: Rc<Semaphore>) {
    let mut post = Post::new(stream);
    match time::timeout(HELLO_TIME, post.receive()).await {
        Ok(Ok(message)) if message.kind == Kind::HELLO => {
            let version = one_line(&String::from_utf8_lossy(&message.octets));
            let Ok(_seat) = seats.acquire().await else { return };
            match offer(post, &knocks).await {
                Ok(post) => {
                    // Without the control thread, there is nothing left to hand over.
                    knocks
                        .send(Knock::Taken(Succession { post, version, returned: Inherited::default() }))
                        .await
                        .unwrap_or_default();
                }
                Err(error) => warn!("a successor has not taken over: {error}"),
            }
        }
        Ok(Ok(message)) if message.kind == Kind::ASKED => {
            if let Ok(neighbour) = ask(&knocks, Knock::Status).await {
                // Who does not listen any more need not know.
                post.send(Kind::STATUS, neighbour.lines().as_bytes()).await.unwrap_or_default();
            }
        }
        // So that it learns which version we speak.
        Ok(Err(error @ PostError::Version(_))) => {
            warn!("a successor cannot take over: {error}");
            post.send(Kind::WELCOME, &[]).await.unwrap_or_default();
        }
        Ok(Err(PostError::Gone)) | Err(_) => {}
        Ok(Ok(_)) => warn!("a visitor is turned away: {}", PostError::Foreign),
        Ok(Err(error)) => warn!("a visitor is turned away: {error}"),
    }
}

/// Gives a successor all there is, and waits until it has taken it into use.
async fn offer(mut post: Post, knocks: &mpsc::Sender<Knock>) -> Result<Post, PostError> {
    let offer = ask(knocks, Knock::Offer).await??;
    let silent = |_| Err(PostError::Silent(OFFER_TIME));
    time::timeout(OFFER_TIME, send_estate(&post, &offer)).await.unwrap_or_else(silent)?;
    time::timeout(OFFER_TIME, send_cache(&post, &offer)).await.unwrap_or_else(silent)?;
    // Sockets that a reload closes meanwhile must not stay open here.
    drop(offer);
    let taken = async {
        while post.receive().await?.kind != Kind::TAKEN {}
        Ok(())
    };
    time::timeout(TAKE_TIME, taken).await.unwrap_or(Err(PostError::Silent(TAKE_TIME)))?;
    Ok(post)
}

async fn ask<T>(
    knocks: &mpsc::Sender<Knock>,
    knock: impl FnOnce(oneshot::Sender<T>) -> Knock,
) -> Result<T, PostError> {
    let (sender, answer) = oneshot::channel();
    knocks.send(knock(sender)).await.map_err(|_| PostError::Gone)?;
    answer.await.map_err(|_| PostError::Gone)
}

async fn send_estate(post: &Post, offer: &Offer) -> Result<(), PostError> {
    let mut lines = format!("version {}\n", env!("CARGO_PKG_VERSION"));
    for address in &offer.addresses {
        lines += &format!("address {address}\n");
    }
    post.send(Kind::WELCOME, lines.as_bytes()).await?;
    post.send_sockets(&offer.sockets).await?;
    for (number, (fingerprint, _)) in (0_u16..).zip(&offer.blocks) {
        let mut octets = number.to_be_bytes().to_vec();
        octets.extend(fingerprint.as_bytes());
        post.send(Kind::BLOCK, &octets).await?;
    }
    post.send(Kind::OFFERED, &[]).await
}

async fn send_cache(post: &Post, offer: &Offer) -> Result<(), PostError> {
    let numbers: HashMap<BlockId, u16> =
        (0_u16..).zip(&offer.blocks).map(|(number, (_, block))| (*block, number)).collect();
    let mut export = offer.cache.export(clock::now(), &numbers);
    let until = clock::now() + CACHE_TIME;
    let mut octets = Vec::new();
    // In pieces, so that probes and signals have their turn between two. A cache of which half is over is half as good.
    while clock::now() < until && export.write_records(MOST_OCTETS / 2, &mut octets) > 0 {
        post.send(Kind::ENTRIES, &octets).await?;
        octets.clear();
        tokio::task::yield_now().await;
    }
    post.send(Kind::PACKED, &[]).await
}

impl Succession {
    /// Tells the successor that it is alone on the sockets.
    pub(crate) async fn confirm(&self) -> Result<(), PostError> {
        self.post.send(Kind::STOPPED, &[]).await
    }

    /// How it ends.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        loop {
            match self.post.receive().await {
                Ok(message) if message.kind == Kind::RETURNED => return Outcome::Returned,
                Ok(message) if message.kind == Kind::DISMISSED => return Outcome::Dismissed,
                Ok(message) => self.keep(message),
                Err(_) => return Outcome::Lost,
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
    pub(crate) async fn resumed(&self) -> Result<(), PostError> {
        self.post.send(Kind::RESUMED, &[]).await
    }
}
