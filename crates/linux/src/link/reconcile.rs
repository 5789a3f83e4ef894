//! Compares the link with its configuration and applies the difference.

use nix::errno::Errno;

use super::change::{LinkChange, LinkChanges};
use super::config::LinkConfig;
use super::error::LinkError;
use super::kind::LinkKind;
use crate::route::{LinkState, Rtnetlink};

/// Does what is missing, notes it in `changes`, and reads back.
pub(super) async fn reconcile(plan: &LinkConfig, changes: &mut LinkChanges) -> Result<(), LinkError> {
    Rtnetlink::run(async |rtnetlink| {
        let mut found = rtnetlink.find(&plan.name).await?;
        if found.is_none() {
            if let Some(kind) = create(rtnetlink, plan).await? {
                changes.0.push(LinkChange::Created(kind));
            }
            found = rtnetlink.find(&plan.name).await?;
        }
        let steps = missing(plan, found.as_ref());
        if let Some(found) = &found {
            for change in &steps.0 {
                apply(rtnetlink, found, change).await?;
            }
        }
        if steps.is_empty() {
            return Ok(());
        }
        changes.0.extend(steps.0);
        let missing = missing(plan, rtnetlink.find(&plan.name).await?.as_ref());
        if missing.is_empty() {
            Ok(())
        } else {
            Err(LinkError::Reverted { name: plan.name.clone(), missing })
        }
    })
    .await
}

/// Creates the link, of the first kind that the kernel has a driver for; nothing when another process was faster.
async fn create(rtnetlink: &Rtnetlink, plan: &LinkConfig) -> Result<Option<LinkKind>, LinkError> {
    let (name, first) = (plan.name.as_str(), plan.kind.first());
    let (created, kind) = match (rtnetlink.create(name, first).await, plan.kind.fallback()) {
        (Err(LinkError::NoDriver(_)), Some(other)) => (rtnetlink.create(name, other).await, other),
        (created, _) => (created, first),
    };
    match created {
        Err(LinkError::NoDriver(_)) if kind != first => Err(LinkError::Kernel {
            action: format!(
                "create link {name} as {first} or {kind}, for want of a driver (modprobe {first})"
            ),
            error: Errno::EOPNOTSUPP.into(),
        }),
        created => Ok(created?.then_some(kind)),
    }
}

async fn apply(rtnetlink: &Rtnetlink, found: &LinkState, change: &LinkChange) -> Result<(), LinkError> {
    match change {
        // Only a link that exists is handed to this function, and only what is missing.
        LinkChange::Created(_) | LinkChange::Adopted(_) | LinkChange::AddressRemoved(_) => Ok(()),
        LinkChange::AddressAdded(address) => rtnetlink.add_address(found, *address).await,
        LinkChange::AddressReplaced(address) => {
            for held in found.addresses.iter().filter(|held| held.address == *address) {
                rtnetlink.delete_address(found, held).await?;
            }
            rtnetlink.add_address(found, *address).await
        }
        LinkChange::SetUp => rtnetlink.set_up(found).await,
    }
}

/// What has to be done so that the link which was found becomes the planned one.
pub(super) fn missing(plan: &LinkConfig, found: Option<&LinkState>) -> LinkChanges {
    let Some(found) = found else {
        return LinkChanges(vec![LinkChange::Created(plan.kind.first())]);
    };
    let mut changes = Vec::new();
    for (index, address) in plan.addresses.iter().enumerate() {
        if plan.addresses.iter().take(index).any(|earlier| earlier == address) {
            continue;
        }
        let mut held = found.addresses.iter().filter(|held| held.address == *address).peekable();
        if held.peek().is_none() {
            changes.push(LinkChange::AddressAdded(*address));
        } else if !held.any(|held| held.fits) {
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
    use crate::route::AddressState;

    #[test]
    fn only_what_differs_is_missing() {
        let [ours, theirs, wrong] =
            ["169.254.25.10", "10.0.0.1", "fd00::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let plan = LinkConfig {
            name: "l".into(),
            kind: LinkKind::Bridge.into(),
            addresses: vec![ours, wrong, "fd00::2".parse().unwrap(), ours],
        };
        let held = |address, fits| AddressState { address, fits, message: Default::default() };
        let mut found = LinkState {
            index: 7,
            name: "l".into(),
            kind: "bridge".into(),
            up: false,
            addresses: vec![held(ours, true), held(theirs, false), held(wrong, false)],
        };
        let changes = missing(&plan, Some(&found));
        assert_eq!(changes.to_string(), "fd00::1 replaced, fd00::2 added, set up");
        found.addresses = plan.addresses.iter().map(|address| held(*address, true)).collect();
        found.up = true;
        assert!(missing(&plan, Some(&found)).is_empty());
        assert_eq!(missing(&plan, None).to_string(), "created as bridge");
    }
}
