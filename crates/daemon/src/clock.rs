//! Clocks. No other module reads one.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};
use tokio::time::{Interval, MissedTickBehavior};

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

/// A timer of this period. All timers of the process expire at multiples of their periods, counted
/// from one instant, so that an idle process is woken once for several of them. A missed expiry is
/// left out.
pub(crate) fn aligned_interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(next_multiple(period).into(), period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

/// The next instant at which an [`aligned_interval`] of this period, more than zero, expires.
pub(crate) fn next_multiple(period: Duration) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = now();
    let elapsed = now.saturating_duration_since(*ORIGIN.get_or_init(|| now));
    now + (period - remainder(elapsed, period))
}

/// What `elapsed` exceeds a multiple of `period` by.
fn remainder(elapsed: Duration, period: Duration) -> Duration {
    let nanoseconds = elapsed.as_nanos().checked_rem(period.as_nanos()).unwrap_or_default();
    // Less than `period`.
    u64::try_from(nanoseconds).map_or(Duration::ZERO, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_at_common_multiples() {
        let (second, five) = (Duration::from_secs(1), Duration::from_secs(5));
        assert!(next_multiple(second) > now());
        let apart = next_multiple(five).saturating_duration_since(next_multiple(second));
        assert_eq!(remainder(apart, second), Duration::ZERO);
        assert_eq!(remainder(Duration::from_millis(12_250), five), Duration::from_millis(2250));
    }
}
