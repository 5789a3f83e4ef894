//! The lock of iptables-legacy: without it, programs that change a table at the same time undo each
//! other's changes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::error::IptablesError;

/// From one attempt to the next, and the number of attempts: 5 s, as kube-proxy waits.
const PAUSE: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 50;

/// Locks the file until it is dropped. It is not created: that of the node exists where
/// iptables-legacy is used, and one in a container would lock nobody out.
pub(super) fn acquire(path: &Path) -> Result<File, IptablesError> {
    let failed = |error| IptablesError::NotLocked(path.to_owned(), error);
    let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(failed(io::Error::new(io::ErrorKind::TimedOut, "another program holds it for 5 s")))
}
