//! Concurrent hash tables that can hold the cache's entries, behind one interface.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, PoisonError, RwLock};

use hashbrown::HashTable;
use triomphe::ThinArc;

/// Octets of a key.
const KEY_LEN: usize = 43;

/// Octets of an entry's message behind its key.
const REST_LEN: usize = 62;

/// Shards of a table with locks.
const SHARDS: usize = 256;

/// An entry as the cache has it: one allocation of a header and octets that begin with the key.
#[derive(Clone, Debug)]
pub(super) struct Item(ThinArc<[u64; 6], u8>);

impl Item {
    pub(super) fn new(number: u32) -> Self {
        let mut octets = Vec::from(key(number));
        octets.resize(KEY_LEN + REST_LEN, 0);
        Self(ThinArc::from_header_and_slice([0; 6], &octets))
    }

    fn key(&self) -> &[u8] {
        self.0.slice.get(..KEY_LEN).unwrap_or_default()
    }
}

/// The key of a number: octets in the order of a block, flags, a name and a type.
pub(super) fn key(number: u32) -> [u8; KEY_LEN] {
    let mut key = *b"\0\x01\0\x10service-00000000\x07default\x03svc\x07cluster\0\0\x01";
    for (digit, octet) in key.iter_mut().skip(12).take(8).rev().enumerate() {
        *octet =
            b'0' + u8::try_from(number / 10_u32.pow(u32::try_from(digit).unwrap_or(0)) % 10).unwrap_or(0);
    }
    key
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Item {}

impl Hash for Item {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Borrow<[u8]> for Item {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

/// A table of items by their keys.
pub(super) trait Table: Default + Sync {
    fn get(&self, key: &[u8]) -> Option<Item>;
    fn insert(&self, item: Item);
    fn remove(&self, key: &[u8]);
    /// Does deferred work.
    fn settle(&self) {}
}

/// `moka` without a capacity.
pub(super) struct Moka(moka::sync::Cache<Item, Item, RandomState>);

impl Default for Moka {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().build_with_hasher(RandomState::new()))
    }
}

impl Table for Moka {
    fn get(&self, key: &[u8]) -> Option<Item> {
        self.0.get(key)
    }

    fn insert(&self, item: Item) {
        self.0.insert(item.clone(), item);
    }

    fn remove(&self, key: &[u8]) {
        self.0.invalidate(key);
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}

/// `papaya`.
#[derive(Default)]
pub(super) struct Papaya(papaya::HashMap<Item, (), RandomState>);

impl Table for Papaya {
    fn get(&self, key: &[u8]) -> Option<Item> {
        self.0.pin().get_key_value(key).map(|(item, ())| item.clone())
    }

    fn insert(&self, item: Item) {
        self.0.pin().insert(item, ());
    }

    fn remove(&self, key: &[u8]) {
        self.0.pin().remove(key);
    }
}

/// `scc`.
#[derive(Default)]
pub(super) struct Scc(scc::HashIndex<Item, (), RandomState>);

impl Table for Scc {
    fn get(&self, key: &[u8]) -> Option<Item> {
        self.0.peek_with(&Probe(key), |item, ()| item.clone())
    }

    fn insert(&self, item: Item) {
        // The key is new in this benchmark, as is a replacement behind a removal.
        self.0.insert_sync(item, ()).ok();
    }

    fn remove(&self, key: &[u8]) {
        self.0.remove_sync(&Probe(key));
    }
}

/// A key to look up in a table that does not accept a borrowed one.
#[derive(Hash)]
struct Probe<'a>(&'a [u8]);

impl scc::Equivalent<Item> for Probe<'_> {
    fn equivalent(&self, item: &Item) -> bool {
        self.0 == item.key()
    }
}

/// The lock of a shard.
pub(super) trait Lock: Default + Sync {
    fn read<R>(&self, read: impl FnOnce(&HashTable<Item>) -> R) -> R;
    fn write<R>(&self, write: impl FnOnce(&mut HashTable<Item>) -> R) -> R;
}

impl Lock for Mutex<HashTable<Item>> {
    fn read<R>(&self, read: impl FnOnce(&HashTable<Item>) -> R) -> R {
        read(&self.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<R>(&self, write: impl FnOnce(&mut HashTable<Item>) -> R) -> R {
        write(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lock for RwLock<HashTable<Item>> {
    fn read<R>(&self, read: impl FnOnce(&HashTable<Item>) -> R) -> R {
        read(&Self::read(self).unwrap_or_else(PoisonError::into_inner))
    }

    fn write<R>(&self, write: impl FnOnce(&mut HashTable<Item>) -> R) -> R {
        write(&mut Self::write(self).unwrap_or_else(PoisonError::into_inner))
    }
}

/// `hashbrown` tables behind locks, chosen by the upper bits of the hash.
pub(super) struct Sharded<L> {
    shards: Box<[L]>,
    hasher: RandomState,
}

impl<L: Lock> Default for Sharded<L> {
    fn default() -> Self {
        let shards = std::iter::repeat_with(L::default).take(SHARDS).collect();
        Self { shards, hasher: RandomState::new() }
    }
}

impl<L: Lock> Sharded<L> {
    fn locate(&self, key: &[u8]) -> (u64, Option<&L>) {
        let hash = self.hasher.hash_one(key);
        // The lowest bits index the table, the highest seven are its tags.
        let shard = usize::try_from(hash >> 40).unwrap_or(0) % SHARDS;
        (hash, self.shards.get(shard))
    }
}

impl<L: Lock> Table for Sharded<L> {
    fn get(&self, key: &[u8]) -> Option<Item> {
        let (hash, shard) = self.locate(key);
        shard?.read(|table| table.find(hash, |item| item.key() == key).cloned())
    }

    fn insert(&self, item: Item) {
        let (hash, shard) = self.locate(item.key());
        let Some(shard) = shard else { return };
        shard.write(|table| {
            table.insert_unique(hash, item, |item| self.hasher.hash_one(item.key()));
        });
    }

    fn remove(&self, key: &[u8]) {
        let (hash, shard) = self.locate(key);
        let Some(shard) = shard else { return };
        shard.write(|table| {
            if let Ok(found) = table.find_entry(hash, |item| item.key() == key) {
                found.remove();
            }
        });
    }
}
