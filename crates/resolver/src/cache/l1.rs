//! L1 cache of a worker: the entries it used last, without a lock or a shared queue.
//!
//! Entries are immutable and carry their expiry, so a private pointer is as valid as the shared
//! one; it may only be older than an entry with which another worker replaced it.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Cache;
use super::capacity::StoreLimits;
use super::entry::{Entry, Freshness};
use super::key::{HashedKey, Key, KeyHash, KeyHasher, LookupKey};
use super::time::CacheClock;
use crate::counters::WorkerCounters;
use crate::sync::FoldHashState;

/// Slots, in sets of [`WAYS`]: 64 KiB.
const SLOTS: usize = 4096;

/// Slots of a set, as many as fill a cache line.
const WAYS: usize = 4;

/// Of the entries that are found in the shared cache, one in so many is taken. One that is queried again
/// and again soon is; of names that are queried in turn, few are in vain, as each evicts an entry whose
/// memory is in no cache of the processor any more.
const ADMISSION_INTERVAL: u32 = 8;

/// A set-associative cache in front of the shared [`Cache`].
#[derive(Debug)]
pub(crate) struct L1Cache {
    shared: Arc<Cache>,
    /// Names chosen by a client may collide here: they are looked up in the shared cache then.
    hasher: FoldHashState,
    slots: Box<[Option<Slot>]>,
    octets: usize,
    /// The entries in all slots stay allocated here, outside the cache's budget, after the cache has
    /// removed them. When they reach this many octets, all slots are cleared.
    max_octets: usize,
    counters: Arc<WorkerCounters>,
    /// The way that is replaced next in a full set.
    next_way: usize,
    /// Entries found in the shared cache since one was taken.
    passed: u32,
    /// The last one that was not.
    found: Option<Entry>,
}

/// An entry with the hash of its key.
#[derive(Clone, Debug)]
struct Slot {
    hash: u64,
    entry: Entry,
}

impl L1Cache {
    pub(crate) fn new(shared: Arc<Cache>, max_octets: usize, counters: Arc<WorkerCounters>) -> Self {
        let slots = std::iter::repeat_with(|| None).take(SLOTS).collect();
        let hasher = FoldHashState::default();
        let (octets, next_way, passed, found) = (0, 0, 0, None);
        Self { shared, hasher, slots, octets, max_octets, counters, next_way, passed, found }
    }

    /// The entry for `key` and its freshness at `now`, unless it expired longer than `stale_window`
    /// ago. `key_hash` is called when the shared cache is searched.
    pub(crate) fn get(
        &mut self,
        key: &Key<'_>,
        key_hash: impl FnOnce(&KeyHasher) -> KeyHash,
        now: Instant,
        stale_window: Duration,
    ) -> Option<(&Entry, Freshness)> {
        let (hash, now) = (self.hasher.hash_one(key), self.shared.clock.time(now));
        let at = self.find(hash, key);
        let freshness = at.and_then(|at| self.entry(at)?.freshness(now, stale_window));
        let (entry, freshness) = match (at, freshness) {
            (Some(at), Some(fresh @ Freshness::Fresh(_))) => (self.entry(at)?, fresh),
            _ => {
                let hash_in_tables = key_hash(&self.shared.key_hasher);
                let entry = self.shared.get(&HashedKey { key: *key, hash: hash_in_tables })?;
                let freshness = entry.freshness(now, stale_window)?;
                (self.pass(hash, entry, at.is_some())?, freshness)
            }
        };
        entry.sieve.visit();
        Some((entry, freshness))
    }

    /// Takes an entry found in the shared cache: one that replaces another of its key, else one in
    /// [`ADMISSION_INTERVAL`].
    fn pass(&mut self, hash: u64, entry: Entry, replaces: bool) -> Option<&Entry> {
        self.passed += 1;
        if replaces || self.passed >= ADMISSION_INTERVAL {
            self.passed = 0;
            let at = self.fill(hash, entry);
            return self.entry(at);
        }
        Some(self.found.insert(entry))
    }

    /// Takes the shared entry for `key` if it has replaced the private one, or the one that was found last;
    /// true if so.
    pub(crate) fn update_from_shared(&mut self, key: &HashedKey<'_>) -> bool {
        let hash = self.hasher.hash_one(key.key);
        let found = self.found.as_ref().filter(|found| found.has_key(key));
        let Some(known) = self.find(hash, &key.key).and_then(|at| self.entry(at)).or(found) else {
            return false;
        };
        let Some(newest) = self.shared.get(key).filter(|newest| !known.is(newest)) else { return false };
        self.fill(hash, newest);
        true
    }

    /// The clock of the shared cache.
    pub(crate) fn clock(&self) -> CacheClock {
        self.shared.clock
    }

    /// The shared entry for `key`, expired or not.
    pub(crate) fn peek(&self, key: &HashedKey<'_>) -> Option<Entry> {
        self.shared.get(key)
    }

    /// A key with its hash in the shared cache.
    pub(crate) fn hashed<'a>(&self, key: &LookupKey<'a>) -> HashedKey<'a> {
        HashedKey { key: key.key, hash: key.hash(&self.shared.key_hasher) }
    }

    /// The same of a key without its hash.
    pub(super) fn hashed_key<'a>(&self, key: Key<'a>) -> HashedKey<'a> {
        HashedKey { key, hash: self.shared.key_hasher.hash(&key) }
    }

    /// Inserts `entry` into the shared cache and here; false when it is too large.
    pub(crate) fn insert(&mut self, entry: Entry, limits: StoreLimits) -> bool {
        let inserted = self.shared.insert(&entry, limits, |_| false);
        if inserted {
            self.fill(self.hasher.hash_one(entry.key()), entry);
        }
        inserted
    }

    /// Inserts `entry` into the shared cache only; false when it is too large, or when `is_kept` accepts
    /// the entry with its key.
    pub(super) fn insert_shared(
        &self,
        entry: &Entry,
        limits: StoreLimits,
        is_kept: impl FnOnce(&Entry) -> bool,
    ) -> bool {
        self.shared.insert(entry, limits, is_kept)
    }

    /// Drops every pointer, so that entries removed from the shared cache free their memory.
    pub(crate) fn clear(&mut self) {
        if self.octets > 0 {
            self.slots.fill(None);
        }
        self.found = None;
        self.set_octets(0);
    }

    fn set_octets(&mut self, octets: usize) {
        self.octets = octets;
        self.counters.l1_octets.set(octets as u64);
    }

    fn entry(&self, at: usize) -> Option<&Entry> {
        Some(&self.slots.get(at)?.as_ref()?.entry)
    }

    fn find(&self, hash: u64, key: &Key<'_>) -> Option<usize> {
        let matches = |slot: &Slot| slot.hash == hash && slot.entry.key() == *key;
        self.position(hash, |slot| slot.as_ref().is_some_and(matches))
    }

    /// The first slot of the set of `hash` for which `predicate` is true.
    fn position(&self, hash: u64, predicate: impl Fn(&Option<Slot>) -> bool) -> Option<usize> {
        let first = first_of_set(hash);
        let set = self.slots.get(first..first + WAYS)?;
        Some(first + set.iter().position(predicate)?)
    }

    /// Stores `entry` in the slot of its key, else in a free slot of its set, else in the next way.
    fn fill(&mut self, hash: u64, entry: Entry) -> usize {
        let octets = entry.weight() as usize;
        if self.octets + octets > self.max_octets {
            self.clear();
        }
        let free = || self.position(hash, Option::is_none);
        let found = self.find(hash, &entry.key()).or_else(free);
        let at = found.unwrap_or_else(|| {
            self.next_way = (self.next_way + 1) % WAYS;
            first_of_set(hash) + self.next_way
        });
        if let Some(slot) = self.slots.get_mut(at) {
            let replaced = slot.replace(Slot { hash, entry });
            let freed = replaced.map_or(0, |replaced| replaced.entry.weight() as usize);
            self.set_octets(self.octets + octets - freed);
        }
        at
    }
}

fn first_of_set(hash: u64) -> usize {
    usize::try_from(hash % (SLOTS / WAYS) as u64).unwrap_or(0) * WAYS
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use wire::header::RecordType;
    use wire::{Answer, Response};

    use super::*;
    use crate::cache::key::Variant;
    use crate::cache::time::CacheTime;
    use crate::cache::{NewEntry, SieveState, Store, Usage};
    use crate::policy::BlockId;

    const MAX_OCTETS: usize = 4 << 20;

    fn key(number: u16) -> Key<'static> {
        let variant = Variant::default();
        Key { block: BlockId(number), variant, qtype: RecordType(10), name: b"\0" }
    }

    /// An answer to a query for the root, with one record of `len` octets.
    fn entry(number: u16, len: u16, stored: CacheTime, (usage, hasher): (&Arc<Usage>, &KeyHasher)) -> Entry {
        let mut message =
            vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 1, 0, 0, 10, 0, 1, 0, 0, 0, 30];
        message.extend(len.to_be_bytes());
        message.extend(repeat_n(0, usize::from(len)));
        let answer = Answer::from_response(&Response::parse(&message).unwrap());
        let (usage, sieve) = (Arc::clone(usage), SieveState::default());
        let hash = hasher.hash(&key(number));
        let (key, answer, store) = (HashedKey { key: key(number), hash }, answer.borrowed(), Store::Success);
        Entry::new(NewEntry { key, answer, stored, ttl: 30, store, usage, extra: None, sieve }).unwrap()
    }

    #[test]
    fn an_entry_that_was_not_seen_before_is_no_replacement() {
        let now = testkit::clock::now();
        let shared = Arc::new(Cache::new(5 << 20, now));
        let [mut l1, mut other] =
            [(); 2].map(|()| L1Cache::new(Arc::clone(&shared), MAX_OCTETS, Arc::default()));
        let [stale_window, outage_window, failure_window] = [Duration::ZERO; 3];
        let limits = StoreLimits { capacity: 10, stale_window, outage_window, failure_window };
        let usage = Arc::default();
        let [first, second, newer] =
            [1, 2, 2].map(|number| entry(number, 4, shared.clock.time(now), (&usage, &shared.key_hasher)));
        assert!(other.insert(first, limits) && other.insert(second.clone(), limits));
        assert!(l1.get(&key(1), |hasher| hasher.hash(&key(1)), now, Duration::ZERO).is_some());
        assert!(!l1.update_from_shared(&second.hashed_key()), "the entry found last has another key");
        assert!(l1.get(&key(2), |hasher| hasher.hash(&key(2)), now, Duration::ZERO).is_some());
        assert!(!l1.update_from_shared(&second.hashed_key()));
        assert!(other.insert(newer, limits));
        assert!(l1.update_from_shared(&second.hashed_key()));
    }

    #[test]
    fn memory_of_removed_entries_is_bounded() {
        let now = testkit::clock::now();
        let shared = Arc::new(Cache::new(5 << 20, now));
        let mut l1 = L1Cache::new(Arc::clone(&shared), MAX_OCTETS, Arc::default());
        let [stale_window, outage_window, failure_window] = [Duration::ZERO; 3];
        let limits = StoreLimits { capacity: 1, stale_window, outage_window, failure_window };
        let (mut entries, usage) = (Vec::new(), Arc::default());
        for number in 0..200 {
            let fresh = entry(number, 60_000, shared.clock.time(now), (&usage, &shared.key_hasher));
            entries.push(fresh.clone());
            assert!(l1.insert(fresh, limits));
            assert!(l1.get(&key(number), |hasher| hasher.hash(&key(number)), now, Duration::ZERO).is_some());
        }
        let kept = entries.iter().filter(|entry| entry.is_shared());
        let allocated: usize = kept.map(|entry| entry.weight() as usize).sum();
        assert_eq!(allocated, l1.octets);
        assert!((1..=MAX_OCTETS).contains(&allocated), "{allocated} octets allocated");
    }
}
