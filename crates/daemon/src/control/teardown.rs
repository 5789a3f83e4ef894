//! Other instances of the program on this node: the one before, whose place we take, and the one to which the node is
//! left.

use linux::node::{Kept, NodeSetup};
use tracing::{error, info, warn};

use super::{Ending, Fault, Scene, tell};
use crate::flags::Flags;
use crate::handover::{self, Claim, Estate, Neighbour, Place};
use crate::metrics::ProcessCounters;
use crate::snapshot::Snapshot;

/// The directory of the hand-over; nothing when there is none, or none that can be used.
pub(super) fn meeting_place(flags: &Flags) -> Option<Place> {
    let directory = flags.handover_dir.as_ref()?;
    match Place::open(directory) {
        Ok(None) => {
            info!("no directory {}: upgrades are without hand-over", directory.display());
            None
        }
        Ok(place) => place,
        Err(error) => {
            error!("-handover-dir: {error}; upgrades are without hand-over");
            None
        }
    }
}

/// What the instance in service gives, if there is one.
pub(super) async fn predecessor(place: Option<&Place>, process: &ProcessCounters) -> Option<Box<Estate>> {
    match handover::claim(place?).await {
        Claim::Granted(estate) => Some(estate),
        Claim::Nobody => None,
        Claim::Left => {
            info!("the running instance left before it gave anything");
            None
        }
        Claim::Refused(reason) => {
            process.handovers.refused.inc();
            warn!("the running instance does not hand over: {reason}; starting beside it");
            None
        }
    }
}

/// Gives back what the node had from us, but for what another instance looks after.
pub(super) async fn restore(
    scene: Scene<'_>,
    node: NodeSetup,
    ended: &Result<Ending, Fault>,
) -> Result<(), Fault> {
    let flags = scene.flags;
    let handed_over = matches!(ended, Ok(Ending::HandedOver));
    if flags.skip_teardown {
        info!("link and rules stay, as -skipteardown says");
        return Ok(());
    }
    let met = match scene.place {
        Some(place) => handover::neighbour(place).await,
        None => None,
    };
    let Some(other) = met.or_else(|| handed_over.then(Neighbour::default)) else {
        // Who fails is started again, and may want what it knew.
        if ended.is_ok() {
            forget(scene.place);
        }
        return node.restore().await.map_err(Fault::Node);
    };
    // One that says nothing may look after everything.
    let link = !other.has_spoken || other.link.as_ref() == Some(&flags.interface_name);
    let rules = !other.has_spoken || other.keeps_rules;
    info!("another instance is in service: {} to it", Left { link, rules });
    // One of an older version does not say which it has.
    if link && !other.addresses.is_empty() {
        for event in &node.leave_to(&other.addresses).await {
            tell(event, scene.process);
        }
    }
    node.restore_but(Kept { link, rules }).await.map_err(Fault::Node)
}

/// Nobody follows us: what we kept for him goes too.
fn forget(place: Option<&Place>) {
    let Some(place) = place else { return };
    if let Err(error) = Snapshot::new(place.directory()).remove() {
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
