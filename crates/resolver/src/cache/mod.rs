//! One cache for all blocks and workers, weighed in bytes.
//!
//! This module is the only one that knows moka. Entries carry their own life, so moka is asked for room and
//! popularity only; what has outlived itself stays until its key is filled again or its room is wanted.

mod entry;
mod front;
mod key;

use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use moka::notification::RemovalCause;

pub use entry::Store;
pub(crate) use entry::{Age, Demand, Entry, Failure, Outage};
pub(crate) use front::Front;
pub(crate) use key::Key;

/// SipHash with keys of the process: names chosen by a client cannot be made to collide.
type Hasher = RandomState;

/// Octets an entry costs beside its key and message: the entry itself, moka's record and list node of it, its part of
/// the tables, and what an allocator rounds up. Counted by `tests/allocations.rs`, which holds it to a twentieth of
/// an entry.
const BOOKKEEPING: usize = 528;

/// The cache.
#[derive(Debug)]
pub struct Cache {
    entries: moka::sync::Cache<Arc<[u8]>, Arc<Entry>, Hasher>,
}

impl Cache {
    /// A cache that weighs at most `budget` octets, bookkeeping included.
    pub fn new(budget: u64) -> Self {
        let entries = moka::sync::Cache::builder()
            .max_capacity(budget)
            .weigher(|_: &Arc<[u8]>, entry: &Arc<Entry>| entry.weight())
            .eviction_listener(|_, entry: Arc<Entry>, cause| {
                entry.occupancy.left(entry.store, cause == RemovalCause::Size);
            })
            .build_with_hasher(Hasher::new());
        Self { entries }
    }

    /// Does the work that moka puts off, so that counts are exact.
    pub fn settle(&self) {
        self.entries.run_pending_tasks();
    }

    /// Octets kept now, as weighed.
    pub fn weight(&self) -> u64 {
        self.entries.weighted_size()
    }

    fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    fn touch(&self, key: &[u8]) {
        drop(self.entries.get(key));
    }

    fn insert(&self, entry: Arc<Entry>) {
        entry.occupancy.entered(entry.store);
        self.entries.insert(Arc::clone(&entry.key), entry);
    }
}

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

    fn entered(&self, store: Store) {
        self.entries(store).fetch_add(1, Relaxed);
    }

    fn left(&self, store: Store, for_room: bool) {
        self.entries(store).fetch_sub(1, Relaxed);
        if for_room {
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
