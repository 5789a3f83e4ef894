//! Compares the link with its configuration and applies the difference.

use nix::errno::Errno;

use super::change::{LinkChange, LinkChanges};
use super::config::LinkConfig;
use super::error::LinkError;
use super::kind::LinkKind;
use super::replace::replace_address;
use crate::link::route::{LinkState, Rtnetlink, RtnetlinkSocket};

/// Applies the difference, appends it to `changes`, and verifies the result.
pub(super) async fn reconcile(
    socket: &RtnetlinkSocket,
    config: &LinkConfig,
    changes: &mut LinkChanges,
) -> Result<(), LinkError> {
    socket
        .run(async |rtnetlink| {
            let mut found = rtnetlink.find(&config.name).await?;
            if found.is_none() {
                if let Some(kind) = create(rtnetlink, config).await? {
                    changes.0.push(LinkChange::Created(kind));
                }
                found = rtnetlink.find(&config.name).await?;
            }
            let mut applied = LinkChanges::default();
            loop {
                let pending = missing(config, found.as_ref());
                let Some(link) = found.as_ref().filter(|_| !is_reverted(&applied, &pending)) else {
                    return Err(LinkError::Reverted { name: config.name.clone(), missing: pending });
                };
                if pending.is_empty() {
                    return Ok(());
                }
                for change in &pending.0 {
                    apply(rtnetlink, link, change).await?;
                }
                applied.0.extend(pending.0.iter().cloned());
                changes.0.extend(pending.0);
                found = rtnetlink.find(&config.name).await?;
            }
        })
        .await
}

/// Creates the link, of the first kind that the kernel has a driver for; nothing when another
/// process created it first.
async fn create(rtnetlink: &Rtnetlink, config: &LinkConfig) -> Result<Option<LinkKind>, LinkError> {
    let (name, first) = (config.name.as_str(), config.kind.first());
    let (created, kind) = match (rtnetlink.create(name, first).await, config.kind.fallback()) {
        (Err(LinkError::NoDriver(_)), Some(other)) => (rtnetlink.create(name, other).await, other),
        (created, _) => (created, first),
    };
    match created {
        Err(LinkError::NoDriver(_)) if kind != first => Err(LinkError::Kernel {
            action: format!("create link {name} as {first} or {kind}: no driver (modprobe {first})"),
            error: Errno::EOPNOTSUPP.into(),
        }),
        created => Ok(created?.then_some(kind)),
    }
}

async fn apply(rtnetlink: &Rtnetlink, found: &LinkState, change: &LinkChange) -> Result<(), LinkError> {
    match change {
        // Not a result of `missing` for an existing link.
        LinkChange::Created(_) | LinkChange::Adopted(_) | LinkChange::AddressRemoved(_) => Ok(()),
        LinkChange::AddressAdded(address) => rtnetlink.add_address(found, *address).await,
        LinkChange::AddressReplaced(address) => replace_address(rtnetlink, found, *address).await,
        LinkChange::SetUp => rtnetlink.set_up(found).await,
    }
}

/// True when a change is needed again. Others may be needed because something else was removed
/// meanwhile.
fn is_reverted(applied: &LinkChanges, pending: &LinkChanges) -> bool {
    pending.0.iter().any(|change| applied.0.contains(change))
}

/// The changes that make the found link the configured one.
pub(super) fn missing(config: &LinkConfig, found: Option<&LinkState>) -> LinkChanges {
    let Some(found) = found else {
        return LinkChanges(vec![LinkChange::Created(config.kind.first())]);
    };
    let mut changes = Vec::new();
    for (index, address) in config.addresses.iter().enumerate() {
        if config.addresses.iter().take(index).any(|earlier| earlier == address) {
            continue;
        }
        let mut state = found.addresses.iter().filter(|state| state.address == *address).peekable();
        if state.peek().is_none() {
            changes.push(LinkChange::AddressAdded(*address));
        } else if !state.any(|state| state.is_conforming) {
            changes.push(LinkChange::AddressReplaced(*address));
        }
    }
    if !found.up {
        changes.push(LinkChange::SetUp);
    }
    LinkChanges(changes)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::link::route::AddressState;

    #[test]
    fn what_is_removed_during_a_repair_is_not_a_reverted_change() {
        let [first, second] =
            ["169.254.25.10", "fd00::1"].map(|ip| LinkChange::AddressAdded(ip.parse::<IpAddr>().unwrap()));
        let applied = LinkChanges(vec![first.clone()]);
        assert!(!is_reverted(&applied, &LinkChanges(vec![second.clone()])));
        assert!(is_reverted(&applied, &LinkChanges(vec![second, first])));
        assert!(!is_reverted(&LinkChanges::default(), &applied));
    }

    #[test]
    fn only_differences_are_missing() {
        let [ours, theirs, wrong] =
            ["169.254.25.10", "10.0.0.1", "fd00::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let config = LinkConfig {
            name: "l".into(),
            kind: LinkKind::Bridge.into(),
            addresses: vec![ours, wrong, "fd00::2".parse().unwrap(), ours],
        };
        let state =
            |address, is_conforming| AddressState { address, is_conforming, message: Default::default() };
        let mut found = LinkState {
            index: 7,
            name: "l".into(),
            kind: "bridge".into(),
            up: false,
            addresses: vec![state(ours, true), state(theirs, false), state(wrong, false)],
        };
        let changes = missing(&config, Some(&found));
        assert_eq!(changes.to_string(), "fd00::1 replaced, fd00::2 added, set up");
        found.addresses = config.addresses.iter().map(|address| state(*address, true)).collect();
        found.up = true;
        assert!(missing(&config, Some(&found)).is_empty());
        assert_eq!(missing(&config, None).to_string(), "created as bridge");
    }
}
