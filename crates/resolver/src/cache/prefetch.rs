//! Prefetch and refresh bookkeeping of an entry: popularity by hits, and suppressed refreshes.

use crate::policy::Prefetch;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counters of an entry. Times are milliseconds since the entry was stored.
#[derive(Debug, Default)]
pub(crate) struct Popularity {
    hits: AtomicU32,
    last_hit: AtomicU32,
    refresh_suppressed_until: AtomicU32,
}

impl Popularity {
    /// The initial value for an entry that replaces this one.
    pub(crate) fn carry_over(&self) -> Self {
        Self { hits: AtomicU32::new(self.hits.load(Relaxed)), ..Self::default() }
    }

    /// The value of an imported entry.
    pub(super) fn restore(hits: u32, last_hit: u32) -> Self {
        let [hits, last_hit] = [hits, last_hit].map(AtomicU32::new);
        Self { hits, last_hit, ..Self::default() }
    }

    /// Hits without a gap longer than [`Prefetch::duration`]; 0 without `prefetch`.
    pub(super) fn hits(&self) -> u32 {
        self.hits.load(Relaxed)
    }

    /// Time of the last of these hits.
    pub(super) fn last_hit(&self) -> u32 {
        self.last_hit.load(Relaxed)
    }

    /// Counts a hit at `at`; true when the entry is popular.
    pub(super) fn count_hit(&self, prefetch: Prefetch, at: u32) -> bool {
        let gap = at.saturating_sub(self.last_hit.swap(at, Relaxed));
        let in_time = u128::from(gap) <= prefetch.duration.as_millis();
        let hits = if in_time { self.hits.load(Relaxed).saturating_add(1) } else { 1 };
        self.hits.store(hits, Relaxed);
        hits >= prefetch.amount
    }

    /// Suppresses refreshes until `until`.
    pub(super) fn suppress_refresh(&self, until: u32) {
        self.refresh_suppressed_until.store(until, Relaxed);
    }

    pub(super) fn is_refresh_suppressed(&self, at: u32) -> bool {
        at < self.refresh_suppressed_until.load(Relaxed)
    }
}
