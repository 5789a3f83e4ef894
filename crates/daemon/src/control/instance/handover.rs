//! Who was in service before us on this node, and who comes after.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use linux::node::NodeSetup;
use resolver::action::Transport;
use resolver::cache::ImportTarget;
use tracing::{error, info, warn};

use super::super::signals::Signals;
use super::super::{FatalError, tell};
use super::{Instance, ReadinessConditions};
use crate::clock;
use crate::handover::{
    InstanceStatus, Offer, PredecessorLink, ProtocolError, ReceivedOffer, Request, Server, SuccessorLink,
    SuccessorOutcome,
};
use crate::snapshot::{INTERVAL, LoadError, Loaded, Snapshot, SnapshotWriter};
use crate::worker::{Reconfigure, Worker};

/// How the time beside a successor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standby {
    /// We were told to leave.
    Over,
    /// The successor has left, and we are in service again.
    InService,
}

/// The next knock at `server`.
pub(super) async fn next_knock(door: &mut Option<Server>) -> Request {
    match door {
        Some(door) => door.next().await,
        None => pending().await,
    }
}

/// Resolves when the predecessor has ended that stands by.
pub(super) async fn ended(lease: &mut Option<PredecessorLink>) {
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

impl Instance<'_> {
    /// Fills the cache with what a predecessor has, or with what one that crashed has left in a file.
    pub(super) async fn inherit(
        &mut self,
        estate: Option<Box<ReceivedOffer>>,
        import_targets: &HashMap<String, ImportTarget>,
    ) -> Option<Box<ReceivedOffer>> {
        let Some(mut estate) = estate else {
            self.load_snapshot(import_targets);
            return None;
        };
        let local = &self.context.flags.options.local_ips;
        self.forsaken = estate.addresses.iter().filter(|address| !local.contains(address)).copied().collect();
        let sockets = estate.sockets();
        let (moved, received) = estate.receive_cache(&self.cache, import_targets).await;
        self.context.process.imported.predecessor.add(moved.taken);
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
        let Some(directory) = self.context.directory else { return };
        match Snapshot::new(directory.directory()).load(&self.cache, import_targets) {
            Ok(Loaded { summary, age }) => {
                self.context.process.imported.snapshot.add(summary.imported);
                info!("{} answers from a snapshot of {} s ago", summary.imported, age.as_secs());
            }
            Err(LoadError::NotFound) => {}
            Err(reason) => warn!("the snapshot of the cache is not used: {reason}"),
        }
    }

    /// Has the predecessor stop, and can be met by a successor of our own.
    pub(super) async fn take_over(&mut self, estate: Option<Box<ReceivedOffer>>) {
        if let Some(estate) = estate {
            let (lease, stopped) = estate.take().await;
            match &stopped {
                Ok(()) => {
                    self.context.process.handovers.taken_over.inc();
                    info!("took over; the instance before stands by until it is told to leave");
                }
                Err(ProtocolError::Gone) => info!("the instance before has ended"),
                Err(error) => warn!("the instance before has not said that it stopped: {error}"),
            }
            // Were we gone for one that is only late, it would go on, and be met in our directory.
            if matches!(stopped, Ok(()) | Err(ProtocolError::Silent(_))) {
                self.lease = Some(lease);
            }
        }
        self.settle();
    }

    /// Can be met by a successor, and writes snapshots for one that starts after a crash.
    fn settle(&mut self) {
        let Some(directory) = self.context.directory else { return };
        let (snapshot, counters) = (Snapshot::new(directory.directory()), Arc::clone(self.context.process));
        let (cache, blocks) = (Arc::clone(&self.cache), self.blocks.clone());
        match SnapshotWriter::start(snapshot, INTERVAL, cache, blocks, counters) {
            Ok(snapshot_writer) => self.snapshot_writer = Some(snapshot_writer),
            Err(error) => error!("no snapshots of the cache are written: {error}"),
        }
        self.open_door(directory);
    }

    /// Answers who knocks; says when a successor has taken over.
    pub(super) fn answer_knock(
        &mut self,
        knock: Request,
        conditions: &ReadinessConditions,
    ) -> Option<SuccessorLink> {
        match knock {
            Request::Offer(reply) => {
                self.offered = Some(clock::now());
                // One that does not wait any more does not want it.
                reply.send(self.offer()).unwrap_or_default();
            }
            Request::Status(reply) => reply.send(self.status(conditions)).unwrap_or_default(),
            Request::Taken(succession) => return Some(succession),
        }
        None
    }

    fn status(&self, conditions: &ReadinessConditions) -> InstanceStatus {
        let flags = self.context.flags;
        InstanceStatus {
            has_answered: true,
            same_pid_namespace: false,
            awaits: conditions.awaited(),
            link: flags.setup_interface.then(|| flags.interface_name.clone()),
            addresses: self.kept_addresses(),
            owns_rules: flags.setup_iptables,
        }
    }

    /// Those that we look after on the link.
    fn kept_addresses(&self) -> Vec<IpAddr> {
        let flags = self.context.flags;
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
        for event in &node.remove_predecessor_addresses(&addresses).await {
            tell(event, self.context.process);
        }
    }

    /// Leaves the sockets to `handover`, and reads them again should it end.
    ///
    /// # Errors
    /// When it ended and a worker cannot go on.
    pub(crate) async fn stand_by(
        &mut self,
        mut succession: SuccessorLink,
        signals: &mut Signals,
    ) -> Result<Standby, FatalError> {
        self.step_aside().await;
        let outcome = match succession.confirm().await {
            Ok(()) => {
                self.context.process.handovers.handed_over.inc();
                info!("handed over to {}; standing by until told to leave", succession.version);
                tokio::select! {
                    biased;
                    outcome = succession.outcome() => outcome,
                    () = signals.leave() => return Ok(Standby::Over),
                }
            }
            Err(_) => SuccessorOutcome::Lost,
        };
        match outcome {
            SuccessorOutcome::Dismissed => {
                signals.leave().await;
                return Ok(Standby::Over);
            }
            SuccessorOutcome::Returned => info!("the instance that took over leaves"),
            SuccessorOutcome::Lost => warn!("the instance that took over has ended"),
        }
        self.listening.extend(std::mem::take(&mut succession.returned), self.workers.len());
        self.step_forward().await?;
        self.context.process.handovers.resumed.inc();
        self.offered = None;
        info!("in service again");
        if outcome == SuccessorOutcome::Returned && succession.resumed().await.is_err() {
            warn!("the instance that took over has not waited for us");
        }
        Ok(Standby::InService)
    }

    /// Reads no more from any socket. What is open is still answered.
    pub(super) async fn step_aside(&mut self) {
        for worker in &self.workers {
            let closed = self.listeners.clone();
            if let Err(error) = worker.reconfigure(Reconfigure { closed, ..Reconfigure::default() }).await {
                error!("a worker does not stop reading: {error}");
            }
        }
        self.http_server.pause();
        self.door = None;
        if let Some(snapshot_writer) = self.snapshot_writer.take() {
            snapshot_writer.leave();
        }
        if let Some(lease) = self.lease.take() {
            lease.dismiss().await;
        }
    }

    pub(super) async fn step_forward(&mut self) -> Result<(), FatalError> {
        if self.workers.iter().any(Worker::has_ended) {
            return Err(FatalError::WorkerDied);
        }
        let sockets = self.listening.duplicate(self.workers.len()).map_err(FatalError::Thread)?;
        for (worker, opened) in self.workers.iter().zip(sockets) {
            worker
                .reconfigure(Reconfigure { opened, ..Reconfigure::default() })
                .await
                .map_err(FatalError::Thread)?;
        }
        self.http_server.resume().map_err(FatalError::Thread)?;
        self.settle();
        Ok(())
    }
}
