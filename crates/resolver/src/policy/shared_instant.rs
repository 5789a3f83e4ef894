//! A moment that several workers set and read.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A moment that workers share.
#[derive(Debug, Default)]
pub(super) struct SharedInstant {
    /// The first moment.
    base: OnceLock<Instant>,
    /// Nanoseconds from `base`, plus 1; 0 before the first moment.
    offset: AtomicU64,
}

impl SharedInstant {
    pub(super) fn get(&self) -> Option<Instant> {
        let offset = self.offset.load(Relaxed).checked_sub(1)?;
        self.base.get()?.checked_add(Duration::from_nanos(offset))
    }

    /// Sets it to `at`, unless it is later.
    pub(super) fn advance(&self, at: Instant) {
        self.offset.fetch_max(self.offset_of(at), Relaxed);
    }

    /// Sets it to `next` if it is not later than `now`; true for one of several callers.
    pub(super) fn replace_if_due(&self, now: Instant, next: Instant) -> bool {
        let (due, next) = (self.offset_of(now), self.offset_of(next));
        let current = self.offset.load(Relaxed);
        current <= due && self.offset.compare_exchange(current, next, Relaxed, Relaxed).is_ok()
    }

    fn offset_of(&self, at: Instant) -> u64 {
        let since_base = at.saturating_duration_since(*self.base.get_or_init(|| at));
        u64::try_from(since_base.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }
}
