//! The link that carries the addresses which pods ask: made or adopted, kept as planned, removed.

use std::fmt;
use std::io;
use std::net::IpAddr;

use nix::errno::Errno;

pub use crate::link_kind::{LinkKind, LinkKindPreference, UnknownLinkKind};
use crate::route::{AddressState, LinkState, Rtnetlink};

/// Octets that a link's name may have.
const NAME_OCTETS: usize = 15;

/// What the link should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkConfig {
    /// The link's name, 1 to 15 octets.
    pub name: String,
    /// The kind to create when no link has that name.
    pub kind: LinkKindPreference,
    /// The addresses that it carries, as /32 and /128. IPv4 addresses get scope host and IPv6 addresses a preferred
    /// lifetime of zero, so that the node's own traffic never leaves from them.
    pub addresses: Vec<IpAddr>,
}

/// One thing that was done to a link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkChange {
    /// No link had the name; one of this kind was made.
    Created(LinkKind),
    /// A link with the name was there already and is used. Says the kernel's word for its kind, e.g. `dummy`.
    Adopted(String),
    /// The address was missing.
    AddressAdded(IpAddr),
    /// The address was there, but with a prefix, scope or lifetime that lets other traffic leave from it, or invalid_input;
    /// it was replaced.
    AddressReplaced(IpAddr),
    /// The address was a predecessor's and is in no plan any more.
    AddressRemoved(IpAddr),
    /// The link was down.
    SetUp,
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(kind) => write!(f, "created as {kind}"),
            Self::Adopted(kind) => write!(f, "adopted, kind {kind}"),
            Self::AddressAdded(address) => write!(f, "{address} added"),
            Self::AddressReplaced(address) => write!(f, "{address} replaced"),
            Self::AddressRemoved(address) => write!(f, "{address} removed"),
            Self::SetUp => f.write_str("set up"),
        }
    }
}

/// What was done to a link, in order; empty when everything was in place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkChanges(pub Vec<LinkChange>);

impl LinkChanges {
    /// Whether nothing had to be done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LinkChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            change.fmt(f)?;
        }
        Ok(())
    }
}

/// Why the link is not as planned. Each text is one line and says what to do.
#[derive(Debug)]
pub enum LinkError {
    /// The kernel takes no link of this name.
    InvalidName(String),
    /// The process may not do `action`: it has no `CAP_NET_ADMIN` in its network namespace.
    NoPermission {
        /// E.g. `create link nodelocaldns`.
        action: String,
    },
    /// The kernel has no driver for this kind of link.
    NoDriver(LinkKind),
    /// IPv6 is turned off where this address should go.
    Ipv6Disabled(IpAddr),
    /// What was set did not stay set.
    Reverted {
        /// The link's name.
        name: String,
        /// What is missing again.
        missing: LinkChanges,
    },
    /// Anything else that the kernel says to `action`.
    Kernel {
        /// E.g. `set link nodelocaldns up`.
        action: String,
        /// The kernel's answer.
        error: io::Error,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(name) => write!(
                f,
                "{name:?} cannot be a link's name: it needs 1 to {NAME_OCTETS} octets without blanks, '/' and ':'; \
                 choose another with -interfacename"
            ),
            Self::NoPermission { action } => write!(
                f,
                "cannot {action}: not permitted; give the process CAP_NET_ADMIN \
                 (securityContext.capabilities.add: [NET_ADMIN]) or make the link yourself and run with \
                 -setupinterface=false"
            ),
            Self::NoDriver(kind) => {
                let other = if *kind == LinkKind::Bridge { LinkKind::Dummy } else { LinkKind::Bridge };
                write!(
                    f,
                    "the kernel has no driver for links of kind {kind} (EOPNOTSUPP): load it on the node \
                     (modprobe {kind}) or choose another kind with -link-kind {other}"
                )
            }
            Self::Ipv6Disabled(address) => write!(
                f,
                "cannot add {address}: IPv6 is turned off on this node; turn it on \
                 (sysctl net.ipv6.conf.all.disable_ipv6=0) or leave the address out of -localip"
            ),
            Self::Reverted { name, missing } => write!(
                f,
                "link {name} does not stay as it was set (needed again: {missing}): something else on the node changes \
                 it; exempt it from NetworkManager or systemd-networkd"
            ),
            Self::Kernel { action, error } => write!(f, "cannot {action}: {error}"),
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kernel { error, .. } => Some(error),
            _ => None,
        }
    }
}

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
        check_name(&plan.name)?;
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

/// Does what is missing, notes it in `changes`, and reads back.
async fn reconcile(plan: &LinkConfig, changes: &mut LinkChanges) -> Result<(), LinkError> {
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
fn missing(plan: &LinkConfig, found: Option<&LinkState>) -> LinkChanges {
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

/// Addresses that the kernel gives to every link by itself.
const fn is_automatic(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The kernel's own rule (`dev_valid_name`), asked first because its answer does not tell what is wrong.
fn check_name(name: &str) -> Result<(), LinkError> {
    let fits = (1..=NAME_OCTETS).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c == '\0');
    if fits { Ok(()) } else { Err(LinkError::InvalidName(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_kernels_rule() {
        for good in ["nodelocaldns", "a", "fifteen-octets-", "..."] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "sixteen-octets--", ".", "..", "a/b", "a:b", "a b", "a\0b"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

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
