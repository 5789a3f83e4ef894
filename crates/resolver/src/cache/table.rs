//! The hash table from key to entry: shards, each behind a lock.
//!
//! A worker holds a lock for one lookup or change. The table keeps what it is given: entries carry
//! their own expiry, and [`super::eviction`] decides what is removed. `crates/README.md` has the
//! figures of other tables.

use std::sync::PoisonError;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

use super::entry::Entry;
use super::key::HashedKey;
use crate::sync::{Mutex, MutexGuard};

/// So many that workers rarely meet, and that the growth of one takes less than a millisecond.
const SHARDS: usize = 256;

type Shard = Mutex<HashTable<Entry>>;

#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Shard]>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect() }
    }

    /// The entry for `key`.
    pub(super) fn get(&self, key: &HashedKey<'_>) -> Option<Entry> {
        let hash = key.hash.table_hash();
        self.shard(hash)?.find(hash, |entry| entry.has_key(key)).cloned()
    }

    /// Inserts an entry, in place of the one with its key.
    pub(super) fn insert(&self, entry: &Entry) {
        let (key, hash) = (entry.hashed_key(), entry.hash.table_hash());
        let Some(mut shard) = self.shard(hash) else { return };
        match shard.entry(hash, |other| other.has_key(&key), |other| other.hash.table_hash()) {
            Place::Occupied(mut place) => *place.get_mut() = entry.clone(),
            Place::Vacant(place) => {
                place.insert(entry.clone());
            }
        }
    }

    /// Removes an entry, unless another one has taken its place.
    pub(super) fn remove(&self, entry: &Entry) {
        let hash = entry.hash.table_hash();
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
