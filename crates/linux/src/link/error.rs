//! Errors of link configuration.

use std::fmt;
use std::io;
use std::net::IpAddr;

use super::change::LinkChanges;
use super::kind::LinkKind;
use super::name::MAX_OCTETS;

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
                "{name:?} cannot be a link's name: it needs 1 to {MAX_OCTETS} octets without blanks, '/' and ':'; \
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
