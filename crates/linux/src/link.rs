//! The link that carries the addresses which pods ask: made or adopted, kept as planned, removed.

mod change;
mod config;
pub(crate) mod error;
pub(crate) mod kind;
mod name;
mod reconcile;

use std::net::IpAddr;

pub use change::{LinkChange, LinkChanges};
pub use config::LinkConfig;
pub use error::LinkError;
pub use kind::{LinkKind, LinkKindPreference, UnknownLinkKind};
use reconcile::{missing, reconcile};

use crate::route::{AddressState, Rtnetlink};

/// A link that is made or adopted according to a [`LinkConfig`].
///
/// A link that already has the name is adopted whatever its kind: it is what a killed predecessor or node-cache left, or
/// what the administrator made. Addresses on it that are not in the plan are left alone.
#[derive(Debug)]
pub struct Link {
    plan: LinkConfig,
    created: bool,
}

impl Link {
    /// Creates or adopts the link, gives it the planned addresses, sets it up, and reads back that all of it stayed.
    ///
    /// # Errors
    ///
    /// See [`LinkError`]. A link that was created before the failure is deleted again; an adopted one keeps what it was
    /// given.
    pub async fn ensure(plan: LinkConfig) -> Result<(Self, LinkChanges), LinkError> {
        if !name::is_valid(&plan.name) {
            return Err(LinkError::InvalidName(plan.name));
        }
        let mut changes = LinkChanges::default();
        if let Some(found) = Rtnetlink::run(async |rtnetlink| rtnetlink.find(&plan.name).await).await? {
            changes.0.push(LinkChange::Adopted(found.kind));
        }
        let converged = reconcile(&plan, &mut changes).await;
        let link =
            Self { created: changes.0.iter().any(|change| matches!(change, LinkChange::Created(_))), plan };
        match converged {
            Ok(()) => Ok((link, changes)),
            Err(error) => {
                if link.created {
                    // The first failure is the one to report; this one has the same cause.
                    drop(link.remove().await);
                }
                Err(error)
            }
        }
    }

    /// Compares the link with its plan, repairs what is missing, and says what that was. A link that has disappeared is
    /// created again.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn verify(&self) -> Result<LinkChanges, LinkError> {
        let mut changes = LinkChanges::default();
        reconcile(&self.plan, &mut changes).await?;
        Ok(changes)
    }

    /// Whether the link is as planned; changes nothing.
    ///
    /// # Errors
    ///
    /// [`LinkError::Kernel`] when the kernel does not answer.
    pub async fn is_configured(&self) -> Result<bool, LinkError> {
        let found = Rtnetlink::run(async |rtnetlink| rtnetlink.find(&self.plan.name).await).await?;
        Ok(missing(&self.plan, found.as_ref()).is_empty())
    }

    /// Removes those of `addresses` that the plan does not have: a predecessor put them there, whose plan was another.
    /// Addresses that nobody names stay, and one that is already gone is fine. Says what was removed.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn remove_predecessor_addresses(&self, addresses: &[IpAddr]) -> Result<LinkChanges, LinkError> {
        self.remove_addresses(|address| {
            addresses.contains(&address) && !self.plan.addresses.contains(&address)
        })
        .await
    }

    /// Removes the planned addresses but for those in `others`, and leaves the link to another process, whose plan has
    /// these. Says what was removed.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn remove_addresses_except(&self, others: &[IpAddr]) -> Result<LinkChanges, LinkError> {
        self.remove_addresses(|address| self.plan.addresses.contains(&address) && !others.contains(&address))
            .await
    }

    async fn remove_addresses(&self, is_left: impl Fn(IpAddr) -> bool) -> Result<LinkChanges, LinkError> {
        Rtnetlink::run(async |rtnetlink| {
            let mut changes = LinkChanges::default();
            let Some(found) = rtnetlink.find(&self.plan.name).await? else {
                return Ok(changes);
            };
            for held in found.addresses.iter().filter(|held| is_left(held.address)) {
                rtnetlink.delete_address(&found, held).await?;
                changes.0.push(LinkChange::AddressRemoved(held.address));
            }
            Ok(changes)
        })
        .await
    }

    /// Deletes the link if [`Link::ensure`] created it, or if it is one that a predecessor may have left: of a kind in
    /// [`LinkKind`], without ports, and without addresses beyond the planned ones. From any other link only the planned
    /// addresses are removed. A link that is already gone is fine.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn remove(self) -> Result<(), LinkError> {
        let Self { plan, created } = self;
        Rtnetlink::run(async |rtnetlink| {
            let Some(found) = rtnetlink.find(&plan.name).await? else {
                return Ok(());
            };
            let foreign =
                |held: &AddressState| !plan.addresses.contains(&held.address) && !is_automatic(held.address);
            let leftover = LinkKind::from_name(&found.kind).is_some() && !found.addresses.iter().any(foreign);
            if created || (leftover && !rtnetlink.has_ports(&found).await?) {
                return rtnetlink.delete(&found).await;
            }
            for held in found.addresses.iter().filter(|held| plan.addresses.contains(&held.address)) {
                rtnetlink.delete_address(&found, held).await?;
            }
            Ok(())
        })
        .await
    }
}

/// Sets the loopback link up. A new network namespace has it down, and nothing reaches the node's own addresses then.
///
/// # Errors
///
/// See [`LinkError`].
pub async fn bring_up_loopback() -> Result<(), LinkError> {
    Rtnetlink::run(async |rtnetlink| match rtnetlink.find("lo").await? {
        Some(loopback) if loopback.up => Ok(()),
        Some(loopback) => rtnetlink.set_up(&loopback).await,
        None => {
            Err(LinkError::Reverted { name: "lo".to_owned(), missing: LinkChanges(vec![LinkChange::SetUp]) })
        }
    })
    .await
}

/// Addresses that the kernel gives to every link by itself.
const fn is_automatic(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
