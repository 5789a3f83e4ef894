//! Errors of link configuration.

use std::fmt;
use std::io;
use std::net::IpAddr;

use super::change::LinkChanges;
use super::kind::LinkKind;
use super::name::MAX_OCTETS;

/// Why the link is not as configured. Each text is one line and includes the remedy.
#[derive(Debug)]
pub enum LinkError {
    /// The kernel accepts no link of this name.
    InvalidName(String),
    /// `action` needs `CAP_NET_ADMIN` in the network namespace.
    NoPermission {
        /// E.g. `create link nodelocaldns`.
        action: String,
    },
    /// The kernel has no driver for this kind of link.
    NoDriver(LinkKind),
    /// IPv6 is disabled, so this address cannot be added.
    Ipv6Disabled(IpAddr),
    /// Something else on the node reverts our changes.
    Reverted {
        /// The link's name.
        name: String,
        /// The changes that are needed again.
        missing: LinkChanges,
    },
    /// Any other kernel error.
    Kernel {
        /// E.g. `set link nodelocaldns up`.
        action: String,
        /// The kernel's error.
        error: io::Error,
    },
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(name) => write!(
                f,
                "{name:?} is not a valid link name: it needs 1 to {MAX_OCTETS} octets without blanks, '/' and ':'; \
                 choose another with -interfacename"
            ),
            Self::NoPermission { action } => write!(
                f,
                "cannot {action}: not permitted; give the process CAP_NET_ADMIN \
                 (securityContext.capabilities.add: [NET_ADMIN]) or create the link yourself and run with \
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
                "cannot add {address}: IPv6 is disabled on this node; enable it \
                 (sysctl net.ipv6.conf.all.disable_ipv6=0) or remove the address from -localip"
            ),
            Self::Reverted { name, missing } => write!(
                f,
                "link {name} does not keep its configuration (needed again: {missing}): something else on the \
                 node changes it; exempt it from NetworkManager or systemd-networkd"
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
