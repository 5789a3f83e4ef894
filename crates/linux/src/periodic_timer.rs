//! Periodic timers (timerfd).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// A timer that the kernel expires, which wakes the thread once per period. A timer of tokio wakes
/// it once more, to move the timer to a slot of finer resolution.
#[derive(Debug)]
pub struct PeriodicTimer {
    descriptor: AsyncFd<OwnedFd>,
}

impl PeriodicTimer {
    /// A timer that expires after `first` and then in each `period`, both more than zero, on the
    /// monotonic clock. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// The process has too many descriptors, or a duration is zero.
    pub fn new(first: Duration, period: Duration) -> io::Result<Self> {
        if first.is_zero() || period.is_zero() {
            // A timer of zero is disarmed and would never expire.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let expiration =
            Expiration::IntervalDelayed(TimeSpec::from_duration(first), TimeSpec::from_duration(period));
        timer.set(expiration, TimerSetTimeFlags::empty())?;
        let descriptor = sys::register_readable(timer.into())?;
        Ok(Self { descriptor })
    }

    /// Waits until the timer has expired since the last call, once or several times. Cancelling
    /// the call loses no expiry.
    ///
    /// # Errors
    /// Reading the descriptor failed.
    pub async fn expired(&self) -> io::Result<()> {
        let mut expiries = [0; size_of::<u64>()];
        self.descriptor.async_io(Interest::READABLE, |timer| Ok(read(timer, &mut expiries)?)).await?;
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests measure time")]
mod tests {
    use std::time::Instant;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn expires_in_each_period() {
        let started = Instant::now();
        let timer = PeriodicTimer::new(2 * PERIOD, PERIOD).unwrap();
        for _ in 0..3 {
            timer.expired().await.unwrap();
        }
        assert!(started.elapsed() >= 4 * PERIOD, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn missed_expiries_are_one() {
        let started = Instant::now();
        let timer = PeriodicTimer::new(PERIOD, PERIOD).unwrap();
        std::thread::sleep(5 * PERIOD);
        timer.expired().await.unwrap();
        timer.expired().await.unwrap();
        assert!(started.elapsed() >= 6 * PERIOD, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_period_of_zero_is_rejected() {
        for (first, period) in [(Duration::ZERO, PERIOD), (PERIOD, Duration::ZERO)] {
            let error = PeriodicTimer::new(first, period).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
