//! A worker's own view of the cache: the entries it used last, without a shared queue or lock.
//!
//! Entries never change and carry their own expiry, so a private copy of the pointer is as true as the shared
//! one; it may only be older than an entry another worker has put in its place.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::{Entry, Freshness};
use super::{Cache, Hasher, StoreLimits};

/// Places; a name finds one of the [`WAYS`] places of one set only. 4,096 of them are 64 KiB.
const PLACES: usize = 4096;

/// Places of a set, as many as fill a cache line: names whose hashes meet need not push each other out.
const WAYS: usize = 4;

/// Octets of the entries in all places, which live on here beside the cache's budget when the cache has dropped them.
/// Four thousand answers of the usual size are less; with heavy ones, all places are emptied as often as need be.
const MOST_OCTETS: usize = 4 << 20;

/// The front and the shared cache behind it.
#[derive(Debug)]
pub(crate) struct L1Cache {
    shared: Arc<Cache>,
    hasher: Hasher,
    places: Box<[Option<Place>]>,
    octets: usize,
    /// Which place of a full set is taken next.
    turn: usize,
}

/// An entry with the hash of its key.
#[derive(Clone, Debug)]
struct Place {
    hash: u64,
    entry: Arc<Entry>,
}

impl L1Cache {
    pub(crate) fn new(shared: Arc<Cache>) -> Self {
        let places = std::iter::repeat_with(|| None).take(PLACES).collect();
        Self { shared, hasher: Hasher::new(), places, octets: 0, turn: 0 }
    }

    /// The entry for `key` and its age at `now`, if it is not over for longer than `window`.
    pub(crate) fn get(
        &mut self,
        key: &[u8],
        now: Instant,
        window: Duration,
    ) -> Option<(&Arc<Entry>, Freshness)> {
        let hash = self.hasher.hash_one(key);
        let found = self.find(hash, key).and_then(|at| Some((at, self.entry(at)?.freshness(now, window)?)));
        let (at, age) = match found {
            Some((at, age @ Freshness::Fresh(_))) => (at, age),
            _ => {
                let entry = self.shared.get(key)?;
                let age = entry.freshness(now, window)?;
                (self.keep(hash, entry), age)
            }
        };
        let entry = self.entry(at)?;
        entry.sieve.visit();
        Some((entry, age))
    }

    /// True when another worker has put another entry in the place of the one that is kept here. It is kept from here on.
    pub(crate) fn update_from_shared(&mut self, key: &[u8]) -> bool {
        let Some(newest) = self.shared.get(key) else { return false };
        let hash = self.hasher.hash_one(key);
        let known = self.find(hash, key).and_then(|at| self.entry(at));
        if known.is_some_and(|known| Arc::ptr_eq(known, &newest)) {
            return false;
        }
        self.keep(hash, newest);
        true
    }

    /// The entry for `key`, over or not.
    pub(crate) fn peek(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.shared.get(key)
    }

    /// Keeps `entry` here and for all workers, on these terms; false when it is too big to be kept.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>, limits: StoreLimits) -> bool {
        let kept = self.shared.insert(&entry, limits);
        if kept {
            self.keep(self.hasher.hash_one(&*entry.key), entry);
        }
        kept
    }

    /// Lets go of every pointer, so that what the shared cache has dropped frees its memory.
    pub(crate) fn clear(&mut self) {
        self.places.fill(None);
        self.octets = 0;
    }

    fn entry(&self, at: usize) -> Option<&Arc<Entry>> {
        Some(&self.places.get(at)?.as_ref()?.entry)
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let holds = |place: &Place| place.hash == hash && *place.entry.key == *key;
        self.place(hash, |place| place.as_ref().is_some_and(holds))
    }

    /// The first place of the set of `hash` that is `wanted`.
    fn place(&self, hash: u64, wanted: impl Fn(&Option<Place>) -> bool) -> Option<usize> {
        let first = first_of_set(hash);
        let set = self.places.get(first..first + WAYS)?;
        Some(first + set.iter().position(wanted)?)
    }

    /// Puts `entry` where its key is already, else where nothing is, else in some place of its set.
    fn keep(&mut self, hash: u64, entry: Arc<Entry>) -> usize {
        let octets = entry.weight() as usize;
        if self.octets + octets > MOST_OCTETS {
            self.clear();
        }
        let free = || self.place(hash, Option::is_none);
        let found = self.find(hash, &entry.key).or_else(free);
        let at = found.unwrap_or_else(|| {
            self.turn = (self.turn + 1) % WAYS;
            first_of_set(hash) + self.turn
        });
        if let Some(place) = self.places.get_mut(at) {
            let before = place.replace(Place { hash, entry });
            self.octets += octets;
            self.octets -= before.map_or(0, |before| before.entry.weight() as usize);
        }
        at
    }
}

fn first_of_set(hash: u64) -> usize {
    usize::try_from(hash % (PLACES / WAYS) as u64).unwrap_or(0) * WAYS
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;
    use std::sync::Weak;
    use std::time::Duration;

    use wire::{Answer, Response};

    use super::*;
    use crate::cache::{Popularity, SieveState, Store, Usage};

    /// An answer to a question for the root, with one record of `len` octets.
    fn entry(key: u8, len: u16, stored: Instant, usage: &Arc<Usage>) -> Arc<Entry> {
        let mut message =
            vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 1, 0, 0, 10, 0, 1, 0, 0, 0, 30];
        message.extend(len.to_be_bytes());
        message.extend(repeat_n(0, usize::from(len)));
        let answer = Answer::from_response(&Response::parse(&message).unwrap());
        let (key, store, usage) = (Arc::from([key]), Store::Success, Arc::clone(usage));
        let (failure, popularity, sieve) = (None, Popularity::default(), SieveState::default());
        Arc::new(Entry { key, answer, stored, ttl: 30, store, usage, failure, popularity, sieve })
    }

    #[test]
    fn what_the_cache_has_dropped_lives_on_within_bounds() {
        let now = testkit::clock::now();
        let (shared, usage) = (Arc::new(Cache::new(5 << 20)), Arc::default());
        let mut front = L1Cache::new(Arc::clone(&shared));
        let mut entries: Vec<Weak<Entry>> = Vec::new();
        for key in 0..200 {
            let fresh = entry(key, 60_000, now, &usage);
            entries.push(Arc::downgrade(&fresh));
            assert!(front.insert(
                fresh,
                StoreLimits { capacity: 1, stale_window: Duration::ZERO, failure_window: Duration::ZERO }
            ));
            shared.settle();
            assert!(front.get(&[key], now, Duration::ZERO).is_some());
        }
        let alive: usize =
            entries.iter().filter_map(Weak::upgrade).map(|entry| entry.weight() as usize).sum();
        assert_eq!(alive, front.octets);
        assert!((1..=MOST_OCTETS).contains(&alive), "{alive} octets live on");
    }
}
