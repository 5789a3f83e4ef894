//! How much of the cache is a block's.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::Store;

/// How many entries of a block the cache holds, and how many it let go to make room.
#[derive(Debug, Default)]
pub struct Usage {
    success: AtomicI64,
    denial: AtomicI64,
    success_evictions: AtomicU64,
    denial_evictions: AtomicU64,
}

/// Why an entry is in the cache no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// A newer answer to the same question has its place.
    Replaced,
    /// It had outlived its use.
    Ended,
    /// It could still have been told, but another had to have room.
    Evicted,
}

impl Usage {
    /// Entries with records.
    pub fn success(&self) -> i64 {
        self.success.load(Relaxed)
    }

    /// Entries that say there is nothing.
    pub fn denial(&self) -> i64 {
        self.denial.load(Relaxed)
    }

    /// Entries with records that made room for others.
    pub fn success_evictions(&self) -> u64 {
        self.success_evictions.load(Relaxed)
    }

    /// Entries without that made room for others.
    pub fn denial_evictions(&self) -> u64 {
        self.denial_evictions.load(Relaxed)
    }

    pub(super) fn entered(&self, store: Store) {
        self.entries(store).fetch_add(1, Relaxed);
    }

    pub(super) fn left(&self, store: Store, departure: Departure) {
        self.entries(store).fetch_sub(1, Relaxed);
        if departure == Departure::Evicted {
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
