//! The dummy link that carries the service addresses: created or adopted, verified, repaired,
//! removed.

mod change;
mod config;
pub(crate) mod error;
pub(crate) mod kind;
mod leftover;
mod name;
mod reconcile;
mod replace;
mod route;
mod traffic_control;

use std::net::IpAddr;

pub use change::{LinkChange, LinkChanges};
pub use config::LinkConfig;
pub use error::LinkError;
pub use kind::{LinkKind, LinkKindPreference, UnknownLinkKind};
pub use leftover::LeftoverLink;
use reconcile::{missing, reconcile};
use route::AddressState;
pub(crate) use route::RtnetlinkSocket;

/// A link that is created or adopted according to a [`LinkConfig`].
///
/// An existing link of that name is adopted whatever its kind: a killed predecessor or node-cache
/// left it, or the administrator created it. Its addresses that are not configured are left alone.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    created: bool,
    socket: RtnetlinkSocket,
}

impl Link {
    /// Creates or adopts the link, adds the configured addresses, sets it up, and verifies the
    /// result.
    ///
    /// # Errors
    ///
    /// See [`LinkError`]. A link that this call created is deleted again; the changes to an adopted
    /// one remain.
    pub async fn ensure(config: LinkConfig) -> Result<(Self, LinkChanges), LinkError> {
        if !name::is_valid(&config.name) {
            return Err(LinkError::InvalidName(config.name));
        }
        let (socket, mut changes) = (RtnetlinkSocket::default(), LinkChanges::default());
        if let Some(found) = socket.run(async |rtnetlink| rtnetlink.find(&config.name).await).await? {
            changes.0.push(LinkChange::Adopted(found.kind));
        }
        let result = reconcile(&socket, &config, &mut changes).await;
        let created = changes.0.iter().any(|change| matches!(change, LinkChange::Created(_)));
        let link = Self { created, config, socket };
        match result {
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

    /// Compares the link with its configuration and repairs it; a deleted link is created again.
    /// Returns the changes.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn verify(&self) -> Result<LinkChanges, LinkError> {
        let mut changes = LinkChanges::default();
        reconcile(&self.socket, &self.config, &mut changes).await?;
        Ok(changes)
    }

    /// Whether the link is as configured; changes nothing.
    ///
    /// # Errors
    ///
    /// [`LinkError::Kernel`] when the query fails.
    pub async fn is_configured(&self) -> Result<bool, LinkError> {
        let found = self.socket.run(async |rtnetlink| rtnetlink.find(&self.config.name).await).await?;
        Ok(missing(&self.config, found.as_ref()).is_empty())
    }

    /// Removes those of `addresses`, which a predecessor configured, that are not in our
    /// configuration. Missing addresses are ignored. Returns the changes.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn remove_predecessor_addresses(&self, addresses: &[IpAddr]) -> Result<LinkChanges, LinkError> {
        self.remove_addresses(|address| {
            addresses.contains(&address) && !self.config.addresses.contains(&address)
        })
        .await
    }

    /// Removes the configured addresses except those in `others`, which belong to the process that
    /// takes over the link. Returns the changes.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn remove_addresses_except(&self, others: &[IpAddr]) -> Result<LinkChanges, LinkError> {
        self.remove_addresses(|address| {
            self.config.addresses.contains(&address) && !others.contains(&address)
        })
        .await
    }

    async fn remove_addresses(&self, is_removed: impl Fn(IpAddr) -> bool) -> Result<LinkChanges, LinkError> {
        self.socket
            .run(async |rtnetlink| {
                let mut changes = LinkChanges::default();
                let Some(found) = rtnetlink.find(&self.config.name).await? else {
                    return Ok(changes);
                };
                for state in found.addresses.iter().filter(|state| is_removed(state.address)) {
                    rtnetlink.delete_address(&found, state).await?;
                    changes.0.push(LinkChange::AddressRemoved(state.address));
                }
                Ok(changes)
            })
            .await
    }

    /// Deletes the link if [`Link::ensure`] created it, or if a predecessor may have: its kind is a
    /// [`LinkKind`], it has no ports, and no addresses beyond the configured ones. From any other
    /// link only the configured addresses are removed. A missing link is ignored.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn remove(self) -> Result<(), LinkError> {
        let Self { config, created, socket } = self;
        socket
            .run(async |rtnetlink| {
                let Some(found) = rtnetlink.find(&config.name).await? else {
                    return Ok(());
                };
                let foreign = |state: &AddressState| {
                    !config.addresses.contains(&state.address) && !is_automatic(state.address)
                };
                let leftover =
                    LinkKind::from_name(&found.kind).is_some() && !found.addresses.iter().any(foreign);
                if created || (leftover && !rtnetlink.has_ports(&found).await?) {
                    return rtnetlink.delete(&found).await;
                }
                for state in found.addresses.iter().filter(|state| config.addresses.contains(&state.address))
                {
                    rtnetlink.delete_address(&found, state).await?;
                }
                Ok(())
            })
            .await
    }
}

/// Whether the kernel has the driver for links of this kind. None is created: the kernel rejects the
/// name, which it looks at last.
///
/// # Errors
///
/// See [`LinkError`].
pub async fn has_driver(kind: LinkKind) -> Result<bool, LinkError> {
    let created = RtnetlinkSocket::default().run(async |rtnetlink| rtnetlink.create("/", kind).await).await;
    match created {
        Err(LinkError::NoDriver(_)) => Ok(false),
        Err(LinkError::Kernel { error, .. }) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(true),
        created => created,
    }
}

/// Sets the loopback link up. It is down in a new network namespace, where local addresses are
/// unreachable until then.
///
/// # Errors
///
/// See [`LinkError`].
pub async fn bring_up_loopback() -> Result<(), LinkError> {
    RtnetlinkSocket::default()
        .run(async |rtnetlink| match rtnetlink.find("lo").await? {
            Some(loopback) if loopback.up => Ok(()),
            Some(loopback) => rtnetlink.set_up(&loopback).await,
            None => Err(LinkError::Reverted {
                name: "lo".to_owned(),
                missing: LinkChanges(vec![LinkChange::SetUp]),
            }),
        })
        .await
}

/// Addresses that the kernel adds to every link.
const fn is_automatic(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
