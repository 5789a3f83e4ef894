//! The hash table from key to entry: shards, each behind a lock.
//!
//! A worker holds a lock for one lookup or change. The table keeps what it is given: entries carry
//! their own expiry, and [`super::eviction`] decides what is removed. `crates/README.md` has the
//! figures of other tables.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

use super::entry::Entry;
use super::key::Key;

/// So many that workers rarely meet, and that the growth of one takes less than a millisecond.
const SHARDS: usize = 256;

type Shard = Mutex<HashTable<Entry>>;

#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Shard]>,
    /// SipHash with random keys: names chosen by a client cannot be made to collide.
    hasher: RandomState,
}

impl Table {
    pub(super) fn new() -> Self {
        let shards = std::iter::repeat_with(Shard::default).take(SHARDS).collect();
        Self { shards, hasher: RandomState::new() }
    }

    /// The hash of `key` in this table.
    pub(super) fn hash(&self, key: &Key<'_>) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The entry for `key`, which has this hash.
    pub(super) fn get(&self, hash: u64, key: &Key<'_>) -> Option<Entry> {
        self.shard(hash)?.find(hash, |entry| entry.key() == *key).cloned()
    }

    /// Inserts an entry whose key has this hash, in place of the one with its key.
    pub(super) fn insert(&self, hash: u64, entry: &Entry) {
        let Some(mut shard) = self.shard(hash) else { return };
        let key = entry.key();
        match shard.entry(hash, |other| other.key() == key, |other| self.hash(&other.key())) {
            Place::Occupied(mut place) => *place.get_mut() = entry.clone(),
            Place::Vacant(place) => {
                place.insert(entry.clone());
            }
        }
    }

    /// Removes an entry, unless another one has taken its place.
    pub(super) fn remove(&self, entry: &Entry) {
        let hash = self.hash(&entry.key());
        let Some(mut shard) = self.shard(hash) else { return };
        if let Ok(place) = shard.find_entry(hash, |other| other.is(entry)) {
            place.remove();
        }
    }

    /// The shard of a hash, whose lowest bits index within it, and whose highest are tags there.
    fn shard(&self, hash: u64) -> Option<MutexGuard<'_, HashTable<Entry>>> {
        let index = usize::try_from(hash >> 40).ok()? % SHARDS;
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
