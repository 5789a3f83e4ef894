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

/// Octets of the heaviest entry that is kept here: the places hold 4 MiB at most beside the cache's budget, since
/// what the cache has dropped lives on in them.
const MOST_WEIGHT: u32 = 1024;

/// One hit in this many is shown to the shared cache, so that it knows what is popular.
const SHOWN: u32 = 32;

/// The front and the shared cache behind it.
#[derive(Debug)]
pub(crate) struct Front {
    shared: Arc<Cache>,
    hasher: Hasher,
    places: Box<[Option<Arc<Entry>>]>,
    /// The heavy entry that was found last.
    heavy: Option<Arc<Entry>>,
    hits: u32,
}

impl Front {
    pub(crate) fn new(shared: Arc<Cache>) -> Self {
        let places = std::iter::repeat_with(|| None).take(PLACES).collect();
        Self { shared, hasher: Hasher::new(), places, heavy: None, hits: 0 }
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
        let slot = if entry.weight() > MOST_WEIGHT { &mut self.heavy } else { slot };
        Some((slot.insert(entry), remaining))
    }

    /// Keeps `entry` here and for all workers.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>) {
        let place = self.place(&entry.key);
        if let Some(slot) = self.places.get_mut(place) {
            // A heavy one leaves the place empty all the same: what was there is older.
            *slot = (entry.weight() <= MOST_WEIGHT).then(|| Arc::clone(&entry));
        }
        self.shared.insert(entry);
    }

    /// Lets go of every pointer, so that what the shared cache has dropped frees its memory.
    pub(crate) fn clear(&mut self) {
        self.places.fill(None);
        self.heavy = None;
    }

    fn place(&self, key: &[u8]) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % PLACES as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;
    use std::sync::Weak;

    use wire::{Answer, Response};

    use super::*;
    use crate::cache::Store;

    /// An answer to a question for the root, with one record of `len` octets.
    fn entry(key: u8, len: u16, stored: Instant) -> Arc<Entry> {
        let mut message =
            vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 1, 0, 0, 10, 0, 1, 0, 0, 0, 30];
        message.extend(len.to_be_bytes());
        message.extend(repeat_n(0, usize::from(len)));
        let answer = Answer::keep(&Response::parse(&message).unwrap());
        let (store, occupancy) = (Store::Success, Arc::default());
        Arc::new(Entry { key: Arc::from([key]), answer, stored, lifetime: 30, store, occupancy })
    }

    /// What lives on of 40 entries of `len` octets for which the shared cache has no room.
    fn surviving(len: u16) -> usize {
        let now = testkit::clock::now();
        let shared = Arc::new(Cache::new(0));
        let mut front = Front::new(Arc::clone(&shared));
        let entries: Vec<Weak<Entry>> = (0..40)
            .map(|key| {
                let entry = entry(key, len, now);
                let weak = Arc::downgrade(&entry);
                front.insert(entry);
                shared.settle();
                weak
            })
            .collect();
        entries.iter().filter(|entry| entry.strong_count() > 0).count()
    }

    #[test]
    fn heavy_entries_live_in_the_budget_only() {
        assert_eq!(surviving(10_000), 0);
        assert!(surviving(100) > 0);
    }

    #[test]
    fn heavy_entries_are_found() {
        let now = testkit::clock::now();
        let shared = Arc::new(Cache::new(1 << 20));
        let mut front = Front::new(Arc::clone(&shared));
        front.insert(entry(1, 100, now));
        front.insert(entry(1, 10_000, now));
        let (found, remaining) = front.get(&[1], now).unwrap();
        assert_eq!((found.answer.message_len() > 10_000, remaining), (true, 30));
    }
}
