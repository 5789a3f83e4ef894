//! Standby: the instance after a successor has taken over, until it exits or returns to service.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tracing::{info, warn};

use super::Instance;
use crate::control::exit::FatalError;
use crate::control::signals::Signals;
use crate::handover::{InstanceStatus, Offer, Request, SuccessorLink, SuccessorOutcome, describe_dns_socket};

/// How the standby ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandbyEnd {
    /// A signal terminates this instance.
    Terminate,
    /// The successor has exited, and this instance is active again.
    Resumed,
}

impl Instance<'_> {
    /// Answers a request of another instance; returns the successor if it has taken over.
    pub(super) async fn handle_request(&mut self, request: Request) -> Option<SuccessorLink> {
        match request {
            Request::Offer(reply) => {
                self.handover.offer_sent();
                // A receiver that is gone does not need the reply.
                reply.send(self.offer().await).ok();
            }
            Request::Status(reply) => {
                reply.send(self.status()).ok();
            }
            Request::TakenOver(successor) => return Some(successor),
        }
        None
    }

    fn status(&self) -> InstanceStatus {
        let flags = self.context.flags;
        InstanceStatus {
            has_answered: true,
            same_pid_namespace: false,
            unmet: self.readiness.unmet(),
            link: flags.setup_interface.then(|| flags.interface_name.clone()),
            addresses: self.link_addresses(),
            owns_rules: flags.setup_iptables,
        }
    }

    /// The addresses that this instance keeps on the link.
    fn link_addresses(&self) -> Vec<IpAddr> {
        let flags = self.context.flags;
        if flags.setup_interface { flags.options.local_ips.clone() } else { Vec::new() }
    }

    async fn offer(&self) -> io::Result<Offer> {
        let dns = self.workers.sockets().iter().map(describe_dns_socket);
        let http = self.http.sockets().await?;
        let mut addresses = self.link_addresses();
        // A predecessor that is still on standby leaves its addresses to the last successor.
        addresses.extend(self.handover.predecessor_addresses());
        Ok(Offer {
            addresses,
            sockets: dns.chain(http.into_iter().map(Ok)).collect::<io::Result<_>>()?,
            blocks: self.cache.blocks().to_vec(),
            cache: self.cache.cache().clone(),
            counters: Arc::clone(self.context.counters),
        })
    }

    /// Leaves the sockets to `successor`, and reads them again if it exits.
    ///
    /// # Errors
    /// The successor has exited and a worker cannot read again, or a worker has ended.
    pub(super) async fn run_standby(
        &mut self,
        mut successor: SuccessorLink,
        signals: &mut Signals,
    ) -> Result<StandbyEnd, FatalError> {
        self.deactivate().await;
        let outcome = match successor.confirm_stopped().await {
            Ok(()) => {
                self.context.counters.handovers.handed_over.inc();
                info!("handed over to {}; on standby until terminated", successor.version);
                tokio::select! {
                    biased;
                    outcome = successor.outcome() => outcome,
                    failure = self.workers.failed() => return Err(failure),
                    () = signals.terminate() => return Ok(StandbyEnd::Terminate),
                }
            }
            Err(_) => SuccessorOutcome::Disconnected,
        };
        match outcome {
            SuccessorOutcome::Dismissed => {
                tokio::select! {
                    failure = self.workers.failed() => return Err(failure),
                    () = signals.terminate() => return Ok(StandbyEnd::Terminate),
                }
            }
            SuccessorOutcome::HandedBack => info!("the successor shuts down and hands back"),
            SuccessorOutcome::Disconnected => warn!("the successor has exited without handing back"),
        }
        self.workers.add_sockets(std::mem::take(&mut successor.returned));
        self.activate().await?;
        self.context.counters.handovers.resumed.inc();
        self.handover.withdraw_offer();
        info!("active again");
        if outcome == SuccessorOutcome::HandedBack && successor.confirm_resumed().await.is_err() {
            warn!("the successor did not wait for the confirmation");
        }
        Ok(StandbyEnd::Resumed)
    }

    /// Reads no more from any socket, and leaves hand-over socket and snapshot to the successor.
    /// Open queries are still answered.
    pub(super) async fn deactivate(&mut self) {
        self.workers.stop_reading().await;
        self.http.pause().await;
        self.handover.stop_listening();
        self.control_socket.stop_listening();
        self.cache.detach_snapshots();
        self.handover.dismiss_predecessor().await;
    }

    /// Reverses [`deactivate`](Self::deactivate).
    pub(super) async fn activate(&mut self) -> Result<(), FatalError> {
        self.workers.resume_reading().await?;
        self.http.resume().await.map_err(FatalError::System)?;
        self.start_persisting();
        Ok(())
    }
}
