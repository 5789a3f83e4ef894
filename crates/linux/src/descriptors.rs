//! The limit on open file descriptors (RLIMIT_NOFILE).

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit on open file descriptors to the hard limit, and returns the new limit.
///
/// # Errors
///
/// The error of `getrlimit` or `setrlimit`; the limit is unchanged then.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
