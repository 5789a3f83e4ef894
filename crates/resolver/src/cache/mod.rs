//! The cache of a process, shared by all server blocks and workers, with a budget in octets.
//!
//! A [`Cache`] is a concurrent table and the eviction state, behind one lock, which every insertion
//! takes. Each worker puts an `L1Cache` in front of it.
//!
//! [`Cache::inspect`] and [`Cache::flush`] show and remove entries by name. [`Cache::export`] writes
//! entries as records, most popular first, for a successor or a snapshot; [`Cache::import`] validates and
//! inserts them.

mod capacity;
mod entry;
mod eviction;
mod export;
mod failure;
mod fifo;
mod ghost;
mod import;
mod inspect;
mod key;
mod l1;
pub(crate) mod lookup;
#[cfg(all(test, loom_models))]
mod models;
pub(crate) mod nxdomain_cut;
mod prefetch;
mod record;
pub(crate) mod stale;
mod store_queue;
mod table;
mod time;
pub(crate) mod ttl;
mod visited;
pub(crate) mod write;

use std::sync::{Arc, PoisonError};
use std::time::Instant;

pub use crate::store::Store;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Mutex, MutexGuard};
pub use crate::usage::Usage;
pub(crate) use capacity::StoreLimits;
pub(crate) use entry::{Entry, Extra, Freshness, NewEntry};
use eviction::{Eviction, InsertOutcome};
pub use export::Export;
pub(crate) use failure::{CachedFailure, Outage};
pub use import::{ImportSummary, ImportTarget};
pub use inspect::CachedEntry;
use key::KeyHasher;
pub use key::OwnedKey;
pub(crate) use key::{HashedKey, Key, KeyHash, LookupKey};
pub(crate) use l1::L1Cache;
pub(crate) use prefetch::Popularity;
pub use record::MAX_RECORD_LEN;
use table::Table;
pub(crate) use time::CacheClock;
pub(crate) use visited::SieveState;

/// The cache.
#[derive(Debug)]
pub struct Cache {
    clock: CacheClock,
    key_hasher: KeyHasher,
    table: Table,
    /// Held while the table changes, so that both have the same entries.
    eviction: Mutex<Eviction>,
    insertions: AtomicU64,
}

impl Cache {
    /// An empty cache, created `now`, of at most `budget` octets, overhead included.
    pub fn new(budget: u64, now: Instant) -> Self {
        Self {
            clock: CacheClock::starting(now),
            key_hasher: KeyHasher::default(),
            table: Table::new(),
            eviction: Mutex::new(Eviction::new(budget)),
            insertions: AtomicU64::new(0),
        }
    }

    /// Weight of all entries in octets.
    pub fn weight(&self) -> u64 {
        self.eviction().weight()
    }

    /// Insertions so far, replacements included. While it is unchanged, entries only age and
    /// expire.
    pub fn insertions(&self) -> u64 {
        self.insertions.load(Relaxed)
    }

    /// Removes entries of server blocks whose usages are not among `kept`, a few at a time, because
    /// workers that insert wait for it. False when there are no more.
    pub fn remove_other_blocks(&self, kept: &[Arc<Usage>]) -> bool {
        let mut eviction = self.eviction();
        let has_more = eviction.remove_others(kept);
        self.remove_from_table(&mut eviction);
        has_more
    }

    fn get(&self, key: &HashedKey<'_>) -> Option<Entry> {
        self.table.get(key)
    }

    /// Inserts `entry`; false when it is too large, or when `is_kept` accepts the entry with its key.
    fn insert(&self, entry: &Entry, limits: StoreLimits, is_kept: impl FnOnce(&Entry) -> bool) -> bool {
        let mut eviction = self.eviction();
        let old = self.table.get(&entry.hashed_key());
        if !eviction.admits(entry) || old.as_ref().is_some_and(is_kept) {
            return false;
        }
        eviction.insert(entry, old.as_ref(), limits);
        self.table.insert(entry);
        self.remove_from_table(&mut eviction);
        self.insertions.fetch_add(1, Relaxed);
        true
    }

    /// Inserts an entry of another process, unless another would have to be evicted.
    fn insert_imported(&self, entry: &Entry, limits: StoreLimits) -> InsertOutcome {
        let mut eviction = self.eviction();
        let outcome = eviction.import(entry, self.table.get(&entry.hashed_key()).as_ref(), limits);
        if outcome == InsertOutcome::Inserted {
            self.table.insert(entry);
            self.insertions.fetch_add(1, Relaxed);
        }
        outcome
    }

    /// Removes from the table what was removed from the eviction order.
    fn remove_from_table(&self, eviction: &mut Eviction) {
        for removed in eviction.removed.drain(..) {
            self.table.remove(&removed);
        }
    }

    fn eviction(&self) -> MutexGuard<'_, Eviction> {
        self.eviction.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
