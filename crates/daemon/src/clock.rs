//! The one place that reads a clock. Everything else is told what time it is.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// Now, by the clock that never jumps.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock for all")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, by the clock that operators set; 0 before.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock for all")]
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Time since the machine started, its sleep included: the same clock for every process of it.
///
/// # Errors
/// When the kernel has no such clock.
pub(crate) fn since_boot() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into())
}
