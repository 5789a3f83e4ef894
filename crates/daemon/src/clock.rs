//! Clocks. No other module reads one.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use linux::periodic_timer::PeriodicTimer;
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

/// CPU time of the calling thread; zero when the kernel does not have `CLOCK_THREAD_CPUTIME_ID`.
pub(crate) fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// A timer whose expiries are multiples of its period, counted from one instant of the process, so
/// that an idle process is woken once for several timers. A missed expiry is left out.
pub(crate) struct AlignedTimer {
    period: Duration,
    source: TimerSource,
}

enum TimerSource {
    Kernel(PeriodicTimer),
    /// Used when the process has no descriptor left for a timer of the kernel.
    Runtime(Interval),
}

impl AlignedTimer {
    /// A timer of this period, more than zero. Must be called in a tokio runtime.
    pub(crate) fn new(period: Duration) -> Self {
        let first = next_multiple(period).saturating_duration_since(now());
        let source =
            PeriodicTimer::new(first, period).map_or_else(|_| runtime_timer(period), TimerSource::Kernel);
        Self { period, source }
    }

    /// Waits for the next expiry. Cancelling the call loses none.
    pub(crate) async fn expired(&mut self) {
        if let TimerSource::Kernel(timer) = &self.source {
            if timer.expired().await.is_ok() {
                return;
            }
            self.source = runtime_timer(self.period);
        }
        if let TimerSource::Runtime(interval) = &mut self.source {
            interval.tick().await;
        }
    }
}

fn runtime_timer(period: Duration) -> TimerSource {
    let mut interval = tokio::time::interval_at(next_multiple(period).into(), period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    TimerSource::Runtime(interval)
}

/// The next instant at which an [`AlignedTimer`] of this period, more than zero, expires.
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

    #[tokio::test]
    async fn either_source_expires_once_per_period() {
        let period = Duration::from_millis(20);
        for source in [None, Some(runtime_timer(period))] {
            let mut timer = AlignedTimer::new(period);
            timer.source = source.unwrap_or(timer.source);
            timer.expired().await;
            let first = now();
            timer.expired().await;
            timer.expired().await;
            assert!(now().saturating_duration_since(first) > period);
        }
    }

    #[test]
    fn timers_expire_at_common_multiples() {
        let (second, five) = (Duration::from_secs(1), Duration::from_secs(5));
        assert!(next_multiple(second) > now());
        let apart = next_multiple(five).saturating_duration_since(next_multiple(second));
        assert_eq!(remainder(apart, second), Duration::ZERO);
        assert_eq!(remainder(Duration::from_millis(12_250), five), Duration::from_millis(2250));
    }
}
