//! Clocks. No other module reads one.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one module that reads a clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock in seconds since 1970; 0 when it is set to an earlier time.
#[expect(clippy::disallowed_methods, reason = "the one module that reads a clock")]
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Time since boot, suspend included: the same for every process of the machine.
///
/// # Errors
/// When the kernel does not have `CLOCK_BOOTTIME`.
pub(crate) fn since_boot() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into())
}
