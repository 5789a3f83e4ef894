//! Errors of the packet filter.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// Why the packet filter is not as configured. Each text is one line and includes the remedy.
#[derive(Debug)]
pub enum FilterError {
    /// `CAP_NET_ADMIN` in the network namespace is missing.
    NoPermission,
    /// The kernel lacks nf_tables, or a module that the rules need.
    NoKernelSupport,
    /// The kernel's nf_tables lacks these features, which only fail-open needs.
    MissingFeatures(Vec<&'static str>),
    /// Any other kernel error.
    Kernel {
        /// E.g. `install table nodelocaldns`.
        action: String,
        /// The kernel's error.
        error: io::Error,
    },
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPermission => f.write_str(
                "no permission to change the packet filter: give the process CAP_NET_ADMIN \
                 (securityContext.capabilities.add: [NET_ADMIN]) or run with -setupiptables=false",
            ),
            Self::NoKernelSupport => f.write_str(
                "the kernel has no nf_tables with notrack: load nf_tables and nft_ct on the node (modprobe nft_ct) or run \
                 with -setupiptables=false; answers are the same, conntrack keeps an entry per query",
            ),
            Self::MissingFeatures(names) => {
                write!(f, "nf_tables of this kernel lacks {}", names.join(", "))
            }
            Self::Kernel { action, error } => write!(f, "cannot {action}: {error}"),
        }
    }
}

impl std::error::Error for FilterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kernel { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Classifies an error by its remedy. `enoent_is_missing_module` is true where ENOENT can only mean
/// that the kernel lacks an expression or chain type.
pub(crate) fn classify(action: String, error: io::Error, enoent_is_missing_module: bool) -> FilterError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => FilterError::NoPermission,
        Some(Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => {
            FilterError::NoKernelSupport
        }
        Some(Errno::ENOENT) if enoent_is_missing_module => FilterError::NoKernelSupport,
        _ => FilterError::Kernel { action, error },
    }
}
