//! Errors of iptables rules.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

/// Why rules of iptables were not removed. Each text is one line.
#[derive(Debug)]
pub enum IptablesError {
    /// `CAP_NET_ADMIN` in the network namespace is missing.
    NoPermission,
    /// There are rules of x_tables, and the lock against other programs cannot be taken.
    NotLocked(PathBuf, io::Error),
    /// The entries of a table of x_tables are of an unknown form.
    UnknownForm(String),
    /// Any other kernel error.
    Kernel(io::Error),
}

impl fmt::Display for IptablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPermission => f.write_str("not permitted: CAP_NET_ADMIN is needed"),
            Self::NotLocked(path, error) if error.kind() == io::ErrorKind::NotFound => {
                write!(f, "the lock {} of the node is not there: mount it", path.display())
            }
            Self::NotLocked(path, error) => write!(f, "the lock {}: {error}", path.display()),
            Self::UnknownForm(table) => write!(f, "table {table} has entries of an unknown form"),
            Self::Kernel(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IptablesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotLocked(_, error) | Self::Kernel(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for IptablesError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EPERM | Errno::EACCES) => Self::NoPermission,
            _ => Self::Kernel(error),
        }
    }
}
