//! A link that a process has left behind: ours, or that of node-cache.

use std::net::IpAddr;

use super::error::LinkError;
use super::kind::LinkKind;
use super::route::RtnetlinkSocket;

/// A link that a process may have left behind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftoverLink {
    /// Its name.
    pub name: String,
    /// The kernel's name of its kind; empty for hardware.
    pub kind: String,
    /// Its addresses, sorted.
    pub addresses: Vec<IpAddr>,
    /// Whether it is of a kind that we create and has no ports.
    pub is_removable: bool,
}

impl LeftoverLink {
    /// The link of this name, if it exists.
    ///
    /// # Errors
    ///
    /// [`LinkError::Kernel`] when the query fails.
    pub async fn find(name: &str) -> Result<Option<Self>, LinkError> {
        if !super::name::is_valid(name) {
            return Err(LinkError::InvalidName(name.to_owned()));
        }
        RtnetlinkSocket::default()
            .run(async |rtnetlink| {
                let Some(found) = rtnetlink.find(name).await? else { return Ok(None) };
                let is_ours = LinkKind::from_name(&found.kind).is_some();
                let is_removable = is_ours && !rtnetlink.has_ports(&found).await?;
                let addresses = found.addresses.iter().map(|state| state.address);
                let mut addresses: Vec<_> =
                    addresses.filter(|address| !super::is_automatic(*address)).collect();
                addresses.sort();
                Ok(Some(Self { name: found.name, kind: found.kind, addresses, is_removable }))
            })
            .await
    }

    /// Removes those of `addresses` that the link has; returns them.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn remove_addresses(&self, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, LinkError> {
        RtnetlinkSocket::default()
            .run(async |rtnetlink| {
                let mut removed = Vec::new();
                let Some(found) = rtnetlink.find(&self.name).await? else { return Ok(removed) };
                for state in found.addresses.iter().filter(|state| addresses.contains(&state.address)) {
                    rtnetlink.delete_address(&found, state).await?;
                    removed.push(state.address);
                }
                Ok(removed)
            })
            .await
    }

    /// Deletes the link; a missing one is ignored.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub async fn delete(self) -> Result<(), LinkError> {
        RtnetlinkSocket::default()
            .run(async |rtnetlink| match rtnetlink.find(&self.name).await? {
                Some(found) => rtnetlink.delete(&found).await,
                None => Ok(()),
            })
            .await
    }
}
