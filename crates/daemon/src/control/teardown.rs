//! Other instances of the program on this node: the one before, whose directory we take, and the one to which the node is
//! left.

use linux::node::{NodeSetup, Retained};
use tracing::{error, info, warn};

use super::{ExitReason, FatalError, ProcessContext, tell};
use crate::flags::Flags;
use crate::handover::{self, InstanceStatus, OfferResponse, ReceivedOffer, SocketDirectory};
use crate::metrics::ProcessCounters;
use crate::snapshot::Snapshot;

/// The directory of the hand-over; nothing when there is none, or none that can be used.
pub(super) fn socket_directory(flags: &Flags) -> Option<SocketDirectory> {
    let path = flags.handover_dir.as_ref()?;
    match SocketDirectory::open(path) {
        Ok(None) => {
            info!("no directory {}: upgrades are without hand-over", path.display());
            None
        }
        Ok(directory) => directory,
        Err(error) => {
            error!("-handover-dir: {error}; upgrades are without hand-over");
            None
        }
    }
}

/// What the instance in service gives, if there is one.
pub(super) async fn predecessor(
    directory: Option<&SocketDirectory>,
    process: &ProcessCounters,
) -> Option<Box<ReceivedOffer>> {
    match handover::request_offer(directory?).await {
        OfferResponse::Received(estate) => Some(estate),
        OfferResponse::NoInstance => None,
        OfferResponse::Closed => {
            info!("the running instance left before it gave anything");
            None
        }
        OfferResponse::Refused(reason) => {
            process.handovers.refused.inc();
            warn!("the running instance does not hand over: {reason}; starting beside it");
            None
        }
    }
}

/// Gives back what the node had from us, but for what another instance looks after.
pub(super) async fn restore(
    context: ProcessContext<'_>,
    node: NodeSetup,
    ended: &Result<ExitReason, FatalError>,
) -> Result<(), FatalError> {
    let flags = context.flags;
    let handed_over = matches!(ended, Ok(ExitReason::HandedOver));
    if flags.skip_teardown {
        info!("link and rules stay, as -skipteardown says");
        return Ok(());
    }
    let met = match context.directory {
        Some(directory) => handover::query_status(directory).await,
        None => None,
    };
    let Some(other) = met.or_else(|| handed_over.then(InstanceStatus::default)) else {
        // Who fails is started again, and may want what it knew.
        if ended.is_ok() {
            forget(context.directory);
        }
        return node.restore().await.map_err(FatalError::Node);
    };
    // One that says nothing may look after everything.
    let link = !other.has_answered || other.link.as_ref() == Some(&flags.interface_name);
    let rules = !other.has_answered || other.owns_rules;
    info!("another instance is in service: {} to it", Left { link, rules });
    // One of an older version does not say which it has.
    if link && !other.addresses.is_empty() {
        for event in &node.remove_addresses_except(&other.addresses).await {
            tell(event, context.process);
        }
    }
    node.restore_except(Retained { link, rules }).await.map_err(FatalError::Node)
}

/// Nobody follows us: what we kept for him goes too.
fn forget(directory: Option<&SocketDirectory>) {
    let Some(directory) = directory else { return };
    if let Err(error) = Snapshot::new(directory.directory()).remove() {
        warn!("the snapshot of the cache stays behind: {error}");
    }
}

/// What is left to another instance, in words.
struct Left {
    link: bool,
    rules: bool,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.link, self.rules) {
            (true, true) => "link and rules are left",
            (true, false) => "the link is left",
            (false, true) => "the rules are left",
            (false, false) => "nothing is left",
        })
    }
}
