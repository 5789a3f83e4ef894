//! Who was in service before us on this node, and who comes after.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use linux::node::NodeSetup;
use resolver::cache::ImportTarget;
use tracing::{error, info, warn};

use super::super::signals::Signals;
use super::super::{Fault, tell};
use super::{Conditions, Service};
use crate::clock;
use crate::handover::{Door, Estate, Knock, Lease, Neighbour, Offer, Outcome, PostError, Succession};
use crate::snapshot::{Archivist, INTERVAL, Loaded, Refused, Snapshot};
use crate::worker::{Adoption, Transport, Worker};

/// How the time beside a successor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standby {
    /// We were told to leave.
    Over,
    /// The successor has left, and we are in service again.
    InService,
}

/// The next knock at `server`.
pub(super) async fn next_knock(door: &mut Option<Door>) -> Knock {
    match door {
        Some(door) => door.next().await,
        None => pending().await,
    }
}

/// Resolves when the predecessor has ended that stands by.
pub(super) async fn ended(lease: &mut Option<Lease>) {
    match lease {
        Some(lease) => lease.ended().await,
        None => pending().await,
    }
}

/// A duplicate of a socket with its description.
pub(super) fn dns_socket(
    (transport, address, socket): (Transport, SocketAddr, BorrowedFd<'_>),
) -> io::Result<(String, OwnedFd)> {
    let word = match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    duplicate(format!("{word} {address}"), socket)
}

fn duplicate(text: String, socket: BorrowedFd<'_>) -> io::Result<(String, OwnedFd)> {
    Ok((text, socket.try_clone_to_owned()?))
}

impl Service<'_> {
    /// Fills the cache with what a predecessor has, or with what one that crashed has left in a file.
    pub(super) async fn inherit(
        &mut self,
        estate: Option<Box<Estate>>,
        import_targets: &HashMap<String, ImportTarget>,
    ) -> Option<Box<Estate>> {
        let Some(mut estate) = estate else {
            self.load_snapshot(import_targets);
            return None;
        };
        let local = &self.scene.flags.options.local_ips;
        self.forsaken = estate.addresses.iter().filter(|address| !local.contains(address)).copied().collect();
        let sockets = estate.sockets();
        let (moved, received) = estate.receive_cache(&self.cache, import_targets).await;
        self.scene.process.imported.predecessor.add(moved.taken);
        if let Err(reason) = received {
            warn!("the cache of the running instance has not come over whole: {reason}");
        }
        info!(
            "the running instance, version {}, gives {sockets} sockets and {} answers ({} are not wanted)",
            estate.version, moved.taken, moved.left
        );
        Some(estate)
    }

    fn load_snapshot(&self, import_targets: &HashMap<String, ImportTarget>) {
        let Some(place) = self.scene.place else { return };
        match Snapshot::new(place.directory()).load(&self.cache, import_targets) {
            Ok(Loaded { summary, age }) => {
                self.scene.process.imported.snapshot.add(summary.imported);
                info!("{} answers from a snapshot of {} s ago", summary.imported, age.as_secs());
            }
            Err(Refused::Absent) => {}
            Err(reason) => warn!("the snapshot of the cache is not used: {reason}"),
        }
    }

    /// Has the predecessor stop, and can be met by a successor of our own.
    pub(super) async fn take_over(&mut self, estate: Option<Box<Estate>>) {
        if let Some(estate) = estate {
            let (lease, stopped) = estate.take().await;
            match &stopped {
                Ok(()) => {
                    self.scene.process.handovers.taken_over.inc();
                    info!("took over; the instance before stands by until it is told to leave");
                }
                Err(PostError::Gone) => info!("the instance before has ended"),
                Err(error) => warn!("the instance before has not said that it stopped: {error}"),
            }
            // Were we gone for one that is only late, it would go on, and be met in our place.
            if matches!(stopped, Ok(()) | Err(PostError::Silent(_))) {
                self.lease = Some(lease);
            }
        }
        self.settle();
    }

    /// Can be met by a successor, and writes snapshots for one that starts after a crash.
    fn settle(&mut self) {
        let Some(place) = self.scene.place else { return };
        let (snapshot, counters) = (Snapshot::new(place.directory()), Arc::clone(self.scene.process));
        let (cache, blocks) = (Arc::clone(&self.cache), self.blocks.clone());
        match Archivist::start(snapshot, INTERVAL, cache, blocks, counters) {
            Ok(archivist) => self.archivist = Some(archivist),
            Err(error) => error!("no snapshots of the cache are written: {error}"),
        }
        self.open_door(place);
    }

    /// Answers who knocks; says when a successor has taken over.
    pub(super) fn answer_knock(&mut self, knock: Knock, conditions: &Conditions) -> Option<Succession> {
        match knock {
            Knock::Offer(reply) => {
                self.offered = Some(clock::now());
                // One that does not wait any more does not want it.
                reply.send(self.offer()).unwrap_or_default();
            }
            Knock::Status(reply) => reply.send(self.status(conditions)).unwrap_or_default(),
            Knock::Taken(succession) => return Some(succession),
        }
        None
    }

    fn status(&self, conditions: &Conditions) -> Neighbour {
        let flags = self.scene.flags;
        Neighbour {
            has_spoken: true,
            is_near: false,
            awaits: conditions.awaited(),
            link: flags.setup_interface.then(|| flags.interface_name.clone()),
            addresses: self.kept_addresses(),
            keeps_rules: flags.setup_iptables,
        }
    }

    /// Those that we look after on the link.
    fn kept_addresses(&self) -> Vec<IpAddr> {
        let flags = self.scene.flags;
        if flags.setup_interface { flags.options.local_ips.clone() } else { Vec::new() }
    }

    fn offer(&self) -> io::Result<Offer> {
        let dns = self.listening.iter().map(dns_socket);
        let http = self
            .http_server
            .sockets()
            .map(|(asked, bound, socket)| duplicate(format!("http {asked} {bound}"), socket));
        let mut addresses = self.kept_addresses();
        // Should the one before us still be there, it leaves them to whoever comes after us.
        addresses.extend(&self.forsaken);
        Ok(Offer {
            addresses,
            sockets: dns.chain(http).collect::<io::Result<_>>()?,
            blocks: self.blocks.clone(),
            cache: self.cache.clone(),
        })
    }

    /// The predecessor has ended: what only it served is taken off the link.
    pub(super) async fn predecessor_has_left(&mut self, node: &mut NodeSetup) {
        info!("the instance before has left");
        self.lease = None;
        let addresses = std::mem::take(&mut self.forsaken);
        for event in &node.release(&addresses).await {
            tell(event, self.scene.process);
        }
    }

    /// Leaves the sockets to `handover`, and reads them again should it end.
    ///
    /// # Errors
    /// When it ended and a worker cannot go on.
    pub(crate) async fn stand_by(
        &mut self,
        mut succession: Succession,
        signals: &mut Signals,
    ) -> Result<Standby, Fault> {
        self.step_aside().await;
        let outcome = match succession.confirm().await {
            Ok(()) => {
                self.scene.process.handovers.handed_over.inc();
                info!("handed over to {}; standing by until told to leave", succession.version);
                tokio::select! {
                    biased;
                    outcome = succession.outcome() => outcome,
                    () = signals.leave() => return Ok(Standby::Over),
                }
            }
            Err(_) => Outcome::Lost,
        };
        match outcome {
            Outcome::Dismissed => {
                signals.leave().await;
                return Ok(Standby::Over);
            }
            Outcome::Returned => info!("the instance that took over leaves"),
            Outcome::Lost => warn!("the instance that took over has ended"),
        }
        self.listening.extend(std::mem::take(&mut succession.returned), self.workers.len());
        self.step_forward().await?;
        self.scene.process.handovers.resumed.inc();
        self.offered = None;
        info!("in service again");
        if outcome == Outcome::Returned && succession.resumed().await.is_err() {
            warn!("the instance that took over has not waited for us");
        }
        Ok(Standby::InService)
    }

    /// Reads no more from any socket. What is open is still answered.
    pub(super) async fn step_aside(&mut self) {
        for worker in &self.workers {
            let closed = self.listeners.clone();
            if let Err(error) = worker.adopt(Adoption { closed, ..Adoption::default() }).await {
                error!("a worker does not stop reading: {error}");
            }
        }
        self.http_server.pause();
        self.door = None;
        if let Some(archivist) = self.archivist.take() {
            archivist.leave();
        }
        if let Some(lease) = self.lease.take() {
            lease.dismiss().await;
        }
    }

    pub(super) async fn step_forward(&mut self) -> Result<(), Fault> {
        if self.workers.iter().any(Worker::has_ended) {
            return Err(Fault::WorkerDied);
        }
        let sockets = self.listening.again(self.workers.len()).map_err(Fault::Thread)?;
        for (worker, opened) in self.workers.iter().zip(sockets) {
            worker.adopt(Adoption { opened, ..Adoption::default() }).await.map_err(Fault::Thread)?;
        }
        self.http_server.resume().map_err(Fault::Thread)?;
        self.settle();
        Ok(())
    }
}
