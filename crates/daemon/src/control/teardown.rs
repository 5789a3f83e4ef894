//! Teardown: removes link and rules on exit, except what another instance on this node maintains.

use std::fmt;

use linux::node::{NodeSetup, Retained};
use tracing::{info, warn};

use super::context::ProcessContext;
use super::exit::{ExitReason, FatalError};
use super::node;
use crate::handover::{self, InstanceStatus, SocketDirectory};
use crate::snapshot::Snapshot;

/// Restores the node. After an error, fail-open rules stay: the process is started again, and until
/// then clients are answered by the fallback. Those of a start that failed do not stay, unless an
/// earlier process had left them.
///
/// # Errors
/// What could not be removed.
pub(super) async fn restore_node(
    context: ProcessContext<'_>,
    ended: &Result<ExitReason, FatalError>,
    has_served: bool,
) -> Result<(), FatalError> {
    let flags = context.flags;
    let handed_over = matches!(ended, Ok(ExitReason::HandedOver));
    if flags.skip_teardown {
        info!("link and rules stay in place: -skipteardown");
        return Ok(());
    }
    let status = match context.directory {
        Some(directory) => handover::query_status(directory).await,
        None => None,
    };
    let Some(other) = status.or_else(|| handed_over.then(InstanceStatus::default)) else {
        // After an error the process is started again, and may use the snapshot.
        if ended.is_ok() {
            remove_snapshot(context.directory);
        }
        let is_used = context
            .netlink
            .node(async move |node: &mut NodeSetup| {
                node.has_adopted_fail_open() || (has_served && node.has_fail_open())
            })
            .await;
        let rules = ended.is_err() && is_used;
        if rules {
            info!("the fail-open rules stay in place: clients are answered by the fallback");
        }
        return context
            .netlink
            .restore_except(Retained { link: false, rules })
            .await
            .map_err(FatalError::Node);
    };
    // An instance that does not answer may maintain everything.
    let link = !other.has_answered || other.link.as_ref() == Some(&flags.interface_name);
    let rules = !other.has_answered || other.owns_rules;
    info!("another instance is active and keeps {}", KeptParts { link, rules });
    // One of an older version does not report its addresses.
    if link && !other.addresses.is_empty() {
        let addresses = other.addresses.clone();
        let events = context
            .netlink
            .node(async move |node: &mut NodeSetup| node.remove_addresses_except(&addresses).await);
        node::report(&events.await, context.counters);
    }
    context.netlink.restore_except(Retained { link, rules }).await.map_err(FatalError::Node)
}

fn remove_snapshot(directory: Option<&SocketDirectory>) {
    let Some(directory) = directory else { return };
    if let Err(error) = Snapshot::new(directory.path()).remove() {
        warn!("the cache snapshot cannot be removed: {error}");
    }
}

struct KeptParts {
    link: bool,
    rules: bool,
}

impl fmt::Display for KeptParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.link, self.rules) {
            (true, true) => "link and rules",
            (true, false) => "the link",
            (false, true) => "the rules",
            (false, false) => "neither link nor rules",
        })
    }
}
