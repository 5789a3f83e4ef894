//! The instance's part in hand-overs: the server for a successor, and the link to a predecessor on
//! standby.

use std::collections::BTreeSet;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::context::ProcessContext;
use super::exit::FatalError;
use super::workers::Workers;
use crate::clock;
use crate::handover::{
    PredecessorLink, ProtocolError, ReceivedOffer, Request, Server, SocketDirectory, describe_dns_socket,
};
use crate::self_check;
use crate::worker::ListeningSockets;

/// A successor that has received an offer takes over within a fraction of this.
const OFFER_LIFETIME: Duration = Duration::from_secs(3);

/// Longer than the deadline of any query that was read before the take-over failed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Handover<'a> {
    context: ProcessContext<'a>,
    /// Accepts a successor's connection.
    server: Option<Server>,
    /// The last attempt to bind the server's socket failed, and the failure has been logged.
    bind_failed: bool,
    /// The predecessor on standby.
    predecessor: Option<PredecessorLink>,
    /// Addresses on the link that only the predecessor serves.
    predecessor_addresses: Vec<IpAddr>,
    /// When a successor that has not taken over yet received its offer.
    offered: Option<Instant>,
}

/// What happens at the instance's hand-over connections.
pub(super) enum HandoverEvent {
    /// Another instance sends a request.
    Request(Box<Request>),
    /// The predecessor on standby has exited.
    PredecessorExited,
}

impl<'a> Handover<'a> {
    pub(super) fn new(context: ProcessContext<'a>, offer: Option<&ReceivedOffer>) -> Self {
        let served = &context.flags.options.local_ips;
        let addresses = offer.map(|offer| offer.addresses.as_slice()).unwrap_or_default();
        Self {
            context,
            server: None,
            bind_failed: false,
            predecessor: None,
            predecessor_addresses: addresses.iter().filter(|ip| !served.contains(ip)).copied().collect(),
            offered: None,
        }
    }

    pub(super) async fn next_event(&mut self) -> HandoverEvent {
        tokio::select! {
            biased;
            request = next_request(&mut self.server) => HandoverEvent::Request(Box::new(request)),
            () = exited(&mut self.predecessor) => HandoverEvent::PredecessorExited,
        }
    }

    pub(super) async fn next_request(&mut self) -> Request {
        next_request(&mut self.server).await
    }

    /// Has the predecessor stop reading, and serves in its place once this instance has answered
    /// queries of its own on all addresses that the predecessor `served`. Until then the predecessor
    /// can serve again, and finds what has arrived meanwhile in the sockets.
    ///
    /// # Errors
    /// An address on which this instance does not answer; the predecessor serves again.
    pub(super) async fn take_over(
        &mut self,
        offer: Box<ReceivedOffer>,
        served: &BTreeSet<SocketAddr>,
        workers: &mut Workers,
    ) -> Result<(), FatalError> {
        let (predecessor, stopped) = offer.take_over().await;
        match &stopped {
            Ok(()) => {}
            Err(ProtocolError::Closed) => info!("the predecessor exited during the hand-over"),
            Err(error) => warn!("the predecessor has not confirmed that it stopped reading: {error}"),
        }
        // Closing the connection would make a predecessor that is merely slow serve again in our
        // place.
        if !matches!(stopped, Ok(()) | Err(ProtocolError::Timeout(_))) {
            return Ok(());
        }
        self.predecessor = Some(predecessor);
        if let Some(address) = self_check::first_unanswered(served).await {
            workers.stop_reading().await;
            if let Some(Err(error)) = self.return_to_predecessor(workers.sockets()).await {
                warn!("the predecessor does not serve again: {error}");
            }
            workers.drain(clock::now() + DRAIN_TIMEOUT).await;
            return Err(FatalError::NotAnswered(address));
        }
        if stopped.is_ok() {
            self.context.counters.handovers.taken_over.inc();
            info!("took over; the predecessor is on standby until it is terminated");
        }
        Ok(())
    }

    /// Binds the server's socket.
    pub(super) fn listen(&mut self) {
        let Some(directory) = self.context.directory else { return };
        match Server::bind(directory) {
            Ok(server) => (self.server, self.bind_failed) = (Some(server), false),
            Err(error) if !std::mem::replace(&mut self.bind_failed, true) => {
                error!("{}: no successor will be able to take over: {error}", directory.path().display());
            }
            // Already logged.
            Err(_) => {}
        }
    }

    /// Binds the server's socket again when its file was removed, unless another instance is active
    /// beside us.
    pub(super) async fn ensure_listening(&mut self) {
        let Some(directory) = self.context.directory else { return };
        if self.is_listening(directory).await {
            return;
        }
        if self.server.take().is_some() {
            warn!("the hand-over socket was removed: created again");
        }
        self.listen();
    }

    async fn is_listening(&self, directory: &SocketDirectory) -> bool {
        match &self.server {
            Some(server) => !server.is_lost(directory).await,
            None => false,
        }
    }

    /// Closes the server's socket and removes its file.
    pub(super) fn stop_listening(&mut self) {
        self.server = None;
    }

    /// Notes that a successor is sent an offer.
    pub(super) fn offer_sent(&mut self) {
        self.offered = Some(clock::now());
    }

    /// A successor has received an offer and may be setting up the node.
    pub(super) fn offer_is_pending(&self) -> bool {
        self.offered.is_some()
    }

    /// Withdraws an offer that a successor has not used in time; true when there was one.
    pub(super) fn expire_offer(&mut self) -> bool {
        self.offered.take_if(|offered| clock::now() >= *offered + OFFER_LIFETIME).is_some()
    }

    /// Forgets an offer; true when there was one.
    pub(super) fn withdraw_offer(&mut self) -> bool {
        self.offered.take().is_some()
    }

    /// Addresses that the predecessor has and a successor of ours should leave in place, too.
    pub(super) fn predecessor_addresses(&self) -> &[IpAddr] {
        &self.predecessor_addresses
    }

    /// Drops the link to a predecessor that has exited, and returns the addresses that only it
    /// served.
    pub(super) fn forget_predecessor(&mut self) -> Vec<IpAddr> {
        info!("the predecessor has exited");
        self.predecessor = None;
        std::mem::take(&mut self.predecessor_addresses)
    }

    /// The predecessor exited while its connection was not watched.
    pub(super) fn missed_exit(&self) -> bool {
        self.predecessor.is_none() && !self.predecessor_addresses.is_empty()
    }

    /// Ends the standby of the predecessor: a successor of ours has taken over.
    pub(super) async fn dismiss_predecessor(&mut self) {
        if let Some(predecessor) = self.predecessor.take() {
            predecessor.dismiss().await;
        }
    }

    /// Hands back to the predecessor on standby, if there is one, with the sockets that only we
    /// have.
    pub(super) async fn return_to_predecessor(
        &mut self,
        sockets: &ListeningSockets,
    ) -> Option<Result<(), ProtocolError>> {
        let mut predecessor = self.predecessor.take()?;
        // Our socket is closed first: the predecessor binds its own in the same place.
        self.server = None;
        let sockets: Vec<_> = sockets.own().filter_map(|socket| describe_dns_socket(socket).ok()).collect();
        Some(predecessor.hand_back(&sockets).await)
    }
}

async fn next_request(server: &mut Option<Server>) -> Request {
    match server {
        Some(server) => server.next().await,
        None => pending().await,
    }
}

async fn exited(predecessor: &mut Option<PredecessorLink>) {
    match predecessor {
        Some(predecessor) => predecessor.exited().await,
        None => pending().await,
    }
}
