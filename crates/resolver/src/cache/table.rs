//! The hash table from key to entry: moka, with its own eviction unused.
//!
//! moka serves lookups without a lock. Its capacity and admission policies are not used: entries
//! carry their own expiry, capacities belong to server blocks, and TinyLFU would reject the first
//! answer for a name in favour of older ones that nobody queries.

use std::hash::RandomState;
use std::sync::Arc;

use super::entry::Entry;

/// SipHash with random keys: names chosen by a client cannot be made to collide.
type Hasher = RandomState;

#[derive(Debug)]
pub(super) struct Table(moka::sync::Cache<Arc<[u8]>, Arc<Entry>, Hasher>);

impl Table {
    pub(super) fn new() -> Self {
        Self(moka::sync::Cache::builder().build_with_hasher(Hasher::new()))
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, entry: &Arc<Entry>) {
        self.0.insert(Arc::clone(&entry.key), Arc::clone(entry));
    }

    pub(super) fn remove(&self, key: &[u8]) {
        self.0.invalidate(key);
    }

    /// Does the work that moka defers, so that removed entries free their memory.
    pub(super) fn run_pending_tasks(&self) {
        self.0.run_pending_tasks();
    }
}
