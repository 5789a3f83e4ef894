//! Minimum round-trip time of an upstream: that of the network. A response takes longer if its
//! upstream has to recurse, or if a packet was lost.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::shared_instant::SharedInstant;

/// An older minimum is replaced, so that a longer way to the upstream is noticed.
const WINDOW: Duration = Duration::from_secs(10);

/// Minimum of the current and of the previous window with a response.
#[derive(Debug, Default)]
pub(super) struct MinRtt {
    window_end: SharedInstant,
    /// In microseconds, plus 1; 0 before the first response.
    current: AtomicU64,
    previous: AtomicU64,
}

impl MinRtt {
    /// A response has arrived `rtt` after its query was sent.
    pub(super) fn observe(&self, now: Instant, rtt: Duration) {
        let micros = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        if self.window_end.replace_if_due(now, now + WINDOW) {
            self.previous.store(self.current.swap(micros, Relaxed), Relaxed);
        } else {
            self.current.fetch_min(micros, Relaxed);
        }
    }

    /// The minimum; none before the first response.
    pub(super) fn get(&self) -> Option<Duration> {
        let windows = [&self.current, &self.previous].map(|window| window.load(Relaxed).checked_sub(1));
        windows.into_iter().flatten().min().map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_two_windows_counts() {
        let (min_rtt, start) = (MinRtt::default(), testkit::clock::now());
        assert_eq!(min_rtt.get(), None);
        for (seconds, millis, minimum) in
            [(0, 300, 300), (1, 20, 20), (2, 40, 20), (11, 90, 20), (12, 80, 20), (22, 95, 80), (33, 100, 95)]
        {
            min_rtt.observe(start + Duration::from_secs(seconds), Duration::from_millis(millis));
            assert_eq!(min_rtt.get(), Some(Duration::from_millis(minimum)), "after {seconds} s");
        }
    }
}
