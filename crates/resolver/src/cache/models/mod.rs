//! Models of the shared cache and of L1: loom runs them in every order of locks and atomics with a few
//! preemptions (`scripts/sanitizers models`).

mod l1;
mod table;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::header::RecordType;
use wire::{Answer, Response};

use super::key::Variant;
use super::{Cache, Entry, HashedKey, Key, NewEntry, SieveState, Store, StoreLimits, Usage};
use crate::policy::BlockId;

/// Octets of most caches: no model reaches it with [`Model::entry`].
const BUDGET: u64 = 1 << 16;

/// Seconds.
const TTL: u32 = 30;

/// The cache of a model, and one server block.
#[derive(Clone)]
struct Model {
    cache: Arc<Cache>,
    usage: Arc<Usage>,
    now: Instant,
    capacity: u32,
}

impl Model {
    fn new(capacity: u32) -> Self {
        Self::with_budget(capacity, BUDGET)
    }

    fn with_budget(capacity: u32, budget: u64) -> Self {
        let now = testkit::clock::now();
        Self { cache: Arc::new(Cache::new(budget, now)), usage: Arc::default(), now, capacity }
    }

    fn limits(&self) -> StoreLimits {
        let [stale_window, outage_window, failure_window] = [Duration::ZERO; 3];
        StoreLimits { capacity: self.capacity, stale_window, outage_window, failure_window }
    }

    /// The key of a name, which is a number here.
    fn key(&self, name: u8) -> HashedKey<'static> {
        let key = Key {
            block: BlockId(name.into()),
            variant: Variant::default(),
            qtype: RecordType(10),
            name: b"\0",
        };
        HashedKey { key, hash: self.cache.key_hasher.hash(&key) }
    }

    /// An entry whose answer is one record with this value, stored `age` ago.
    fn entry_of_age(&self, (name, value): (u8, u8), age: Duration) -> Entry {
        let mut message =
            vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 1, 0, 0, 10, 0, 1, 0, 0, 0, 30];
        message.extend([0, 1, value]);
        let answer = Answer::from_response(&Response::parse(&message).unwrap());
        let stored = self.cache.clock.time(self.now).before(age);
        let (key, usage, sieve) = (self.key(name), Arc::clone(&self.usage), SieveState::default());
        let (answer, store) = (answer.borrowed(), Store::Success);
        Entry::new(NewEntry { key, answer, stored, ttl: TTL, store, usage, extra: None, sieve }).unwrap()
    }

    fn entry(&self, name: u8, value: u8) -> Entry {
        self.entry_of_age((name, value), Duration::ZERO)
    }

    fn insert(&self, name: u8, value: u8) {
        assert!(self.cache.insert(&self.entry(name, value), self.limits(), |_| false));
    }

    /// The value that the cache has for a name. It is never that of another name.
    fn get(&self, name: u8) -> Option<u8> {
        let entry = self.cache.get(&self.key(name))?;
        Some(value_of(&entry, name))
    }

    /// Removes what the cache has, and returns the number of entries.
    fn flush(&self) -> usize {
        let (removed, next) = self.cache.flush(0, |_| true);
        assert_eq!(next, None);
        removed
    }

    /// Names and values of all entries. Table, eviction order and totals agree on them, and no name is
    /// there twice, not even behind another entry in the table.
    fn entries(&self, names: RangeInclusive<u8>) -> Vec<(u8, u8)> {
        let (mut ordered, mut entries) = (Vec::new(), Vec::new());
        let eviction = self.cache.eviction();
        assert_eq!(eviction.scan(0, self.cache.clock.time(self.now), &mut ordered), None);
        assert_eq!(eviction.weight(), ordered.iter().map(|entry| u64::from(entry.weight())).sum::<u64>());
        drop(eviction);
        for name in names.clone() {
            let mut of_name = ordered.iter().filter(|entry| entry.block == BlockId(name.into()));
            let (ordered, in_table) = (of_name.next(), self.cache.get(&self.key(name)));
            assert!(of_name.next().is_none(), "{name} is in the eviction order twice");
            match (ordered, in_table) {
                (Some(ordered), Some(in_table)) if ordered.is(&in_table) => {
                    entries.push((name, value_of(ordered, name)))
                }
                (None, None) => {}
                (ordered, in_table) => {
                    panic!("{name}: {ordered:?} in the eviction order, {in_table:?} in the table")
                }
            }
        }
        assert_eq!(entries.len(), ordered.len());
        assert_eq!(self.usage.success(), i64::try_from(entries.len()).unwrap());
        assert_eq!(self.flush(), entries.len());
        assert!(names.clone().all(|name| self.get(name).is_none()), "an entry was in the table twice");
        assert_eq!((self.cache.weight(), self.usage.success()), (0, 0));
        entries
    }
}

/// The value in an entry, whose key is that of `name`.
fn value_of(entry: &Entry, name: u8) -> u8 {
    assert_eq!(entry.block, BlockId(name.into()));
    *entry.answer().into_message().last().unwrap()
}
