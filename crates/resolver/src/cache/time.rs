//! Times of cache entries: nanoseconds since the cache was created, in half the memory of an `Instant`.

use std::time::{Duration, Instant};

/// Nanoseconds of a second.
pub(super) const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The moment in which a cache was created, from which the times of its entries count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheClock(Instant);

impl CacheClock {
    /// That of a cache that is created now.
    pub(super) fn starting(now: Instant) -> Self {
        Self(now)
    }

    /// The time of entries at `moment`, which is not before the creation.
    pub(crate) fn time(self, moment: Instant) -> CacheTime {
        CacheTime(nanos(moment.saturating_duration_since(self.0)))
    }
}

/// Nanoseconds since the cache was created, up to 292 years; below 0 for an imported entry that is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CacheTime(i64);

impl CacheTime {
    /// Nanoseconds from `earlier` to this time; 0 when it is later.
    pub(super) fn nanos_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// The time from `earlier` to this one; none when it is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The time `duration` later.
    pub(super) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// The time `duration` earlier.
    pub(super) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_creation_are_in_order() {
        let created = testkit::clock::now();
        let clock = CacheClock::starting(created);
        let hour = Duration::from_secs(3600);
        let [at, after] = [created, created + hour].map(|moment| clock.time(moment));
        let before = at.before(hour);
        assert!(before < at && at < after);
        assert_eq!(after.since(before), 2 * hour);
        assert_eq!(before.since(after), Duration::ZERO);
        assert_eq!(before.after(hour), at);
        assert_eq!(at.after(Duration::MAX).since(at), Duration::from_nanos(i64::MAX.unsigned_abs()));
    }
}
