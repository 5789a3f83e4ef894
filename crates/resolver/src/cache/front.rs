//! A worker's own view of the cache: the entries it used last, without a shared queue or lock.
//!
//! Entries never change and carry their own expiry, so a private copy of the pointer is as true as the shared
//! one; it may only be older than an entry another worker has put in its place.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use super::entry::Entry;
use super::{Cache, Hasher};

/// Places; a name finds one place only. 4,096 pointers are 32 KiB.
const PLACES: usize = 4096;

/// One hit in this many is shown to the shared cache, so that it knows what is popular.
const SHOWN: u32 = 32;

/// The front and the shared cache behind it.
#[derive(Debug)]
pub(crate) struct Front {
    shared: Arc<Cache>,
    hasher: Hasher,
    places: Box<[Option<Arc<Entry>>]>,
    hits: u32,
}

impl Front {
    pub(crate) fn new(shared: Arc<Cache>) -> Self {
        let places = std::iter::repeat_with(|| None).take(PLACES).collect();
        Self { shared, hasher: Hasher::new(), places, hits: 0 }
    }

    /// The entry for `key` that is alive at `now`, and its seconds left.
    pub(crate) fn get(&mut self, key: &[u8], now: Instant) -> Option<(&Entry, u32)> {
        let place = self.place(key);
        let slot = self.places.get_mut(place)?;
        let alive = slot.as_ref().filter(|entry| *entry.key == *key).and_then(|entry| entry.remaining(now));
        if let Some(remaining) = alive {
            self.hits = self.hits.wrapping_add(1);
            if self.hits.is_multiple_of(SHOWN) {
                self.shared.touch(key);
            }
            return slot.as_deref().map(|entry| (entry, remaining));
        }
        let entry = self.shared.get(key)?;
        let remaining = entry.remaining(now)?;
        let entry = slot.insert(entry);
        Some((entry, remaining))
    }

    /// Keeps `entry` here and for all workers.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>) {
        let place = self.place(&entry.key);
        if let Some(slot) = self.places.get_mut(place) {
            *slot = Some(Arc::clone(&entry));
        }
        self.shared.insert(entry);
    }

    /// Lets go of every pointer, so that what the shared cache has dropped frees its memory.
    pub(crate) fn clear(&mut self) {
        self.places.fill(None);
    }

    fn place(&self, key: &[u8]) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % PLACES as u64).unwrap_or(0)
    }
}
