//! One cache for all blocks and workers, weighed in bytes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// How many entries of a block the cache holds, and how many it let go to make room.
#[derive(Debug, Default)]
pub struct Occupancy {
    success: AtomicI64,
    denial: AtomicI64,
    success_evictions: AtomicU64,
    denial_evictions: AtomicU64,
}

impl Occupancy {
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
}
