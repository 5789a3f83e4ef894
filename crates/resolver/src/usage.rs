//! Cache usage of one server block: entries and evictions, for metrics and for capacity.

use crate::store::Store;
use crate::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Number of a block's entries in the cache, and of its evictions, by store.
#[derive(Debug, Default)]
pub struct Usage {
    success: AtomicI64,
    denial: AtomicI64,
    success_evictions: AtomicU64,
    denial_evictions: AtomicU64,
}

/// Why an entry was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovalCause {
    /// A newer entry has the same key.
    Replaced,
    /// It had expired, and its stale window had ended.
    Expired,
    /// It could still have been served; the capacity or the budget was reached.
    Evicted,
    /// Its server block is not configured any more.
    Unconfigured,
    /// An operator has removed it.
    Flushed,
}

impl Usage {
    /// Positive entries.
    pub fn success(&self) -> i64 {
        self.success.load(Relaxed)
    }

    /// Negative entries and failures.
    pub fn denial(&self) -> i64 {
        self.denial.load(Relaxed)
    }

    /// Positive entries evicted.
    pub fn success_evictions(&self) -> u64 {
        self.success_evictions.load(Relaxed)
    }

    /// Negative entries and failures evicted.
    pub fn denial_evictions(&self) -> u64 {
        self.denial_evictions.load(Relaxed)
    }

    pub(crate) fn count_insertion(&self, store: Store) {
        self.entries(store).fetch_add(1, Relaxed);
    }

    pub(crate) fn count_removal(&self, store: Store, cause: RemovalCause) {
        self.entries(store).fetch_sub(1, Relaxed);
        if cause == RemovalCause::Evicted {
            let evictions = match store {
                Store::Success => &self.success_evictions,
                Store::Denial => &self.denial_evictions,
            };
            evictions.fetch_add(1, Relaxed);
        }
    }

    fn entries(&self, store: Store) -> &AtomicI64 {
        match store {
            Store::Success => &self.success,
            Store::Denial => &self.denial,
        }
    }
}
