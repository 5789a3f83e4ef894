//! One cache for all blocks and workers, weighed in bytes.
//!
//! Two parts under one lock for whoever inserts: the table, which finds entries and asks no lock of who looks up, and
//! the room, which knows every entry and decides who leaves. This module is the only one that knows moka, which is the
//! table. It is asked neither for room nor for popularity: entries carry their own life, capacities are the blocks',
//! and its admission would turn away the first answer for a name while older ones that nobody asks for stay.
//!
//! What it holds goes over to another process in parcels (`record`): [`Cache::pack`] makes them, most wanted first, and
//! [`Cache::unpack`] takes them in and believes nothing.

mod capacity;
mod entry;
mod eviction;
mod export;
mod failure;
mod fifo;
mod ghost;
mod import;
mod key;
mod l1;
pub(crate) mod lookup;
mod prefetch;
mod record;
mod store;
pub(crate) mod ttl;
mod usage;
mod visited;
pub(crate) mod write;

use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use capacity::StoreLimits;
pub(crate) use entry::{Entry, Freshness};
use eviction::{Reception, Room};
pub use export::Export;
pub(crate) use failure::{CachedFailure, Outage};
pub use import::{ImportSummary, ImportTarget};
pub(crate) use key::Key;
pub(crate) use l1::L1Cache;
pub(crate) use prefetch::Popularity;
pub use record::MAX_RECORD_LEN;
pub use store::Store;
pub use usage::Usage;
pub(crate) use visited::SieveState;

/// SipHash with keys of the process: names chosen by a client cannot be made to collide.
type Hasher = RandomState;

/// Octets that may wait for moka to let go of them, beside the few entries for which it waits anyway.
const UNSETTLED: u64 = 1 << 20;

/// The cache.
#[derive(Debug)]
pub struct Cache {
    table: moka::sync::Cache<Arc<[u8]>, Arc<Entry>, Hasher>,
    /// Whoever changes the table holds this, so that both know the same entries.
    room: Mutex<Room>,
    insertions: AtomicU64,
}

impl Cache {
    /// A cache that weighs at most `budget` octets, bookkeeping included.
    pub fn new(budget: u64) -> Self {
        let table = moka::sync::Cache::builder().build_with_hasher(Hasher::new());
        Self { table, room: Mutex::new(Room::new(budget)), insertions: AtomicU64::new(0) }
    }

    /// Does the work that moka puts off, so that what has left frees its memory.
    pub fn settle(&self) {
        self.table.run_pending_tasks();
    }

    /// Octets kept now, as weighed.
    pub fn weight(&self) -> u64 {
        self.room().weight()
    }

    /// Answers and failures that were put in so far, newer ones in place of older ones too. While it stays the same,
    /// entries only age and leave.
    pub fn insertions(&self) -> u64 {
        self.insertions.load(Relaxed)
    }

    fn get(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.table.get(key)
    }

    /// Keeps `entry` on these terms; false when it is too big to be kept.
    fn insert(&self, entry: &Arc<Entry>, limits: StoreLimits) -> bool {
        let mut room = self.room();
        if !room.admits(entry) {
            return false;
        }
        room.take_in(entry, self.table.get(&*entry.key).as_ref(), limits);
        self.table.insert(Arc::clone(&entry.key), Arc::clone(entry));
        for gone in room.leaving.drain(..) {
            self.table.invalidate(&*gone.key);
        }
        self.note_insertion(&mut room);
        true
    }

    /// Keeps an entry of another process on these terms, if nobody has to leave for it.
    fn take_over(&self, entry: &Arc<Entry>, limits: StoreLimits) -> Reception {
        let mut room = self.room();
        let reception = room.take_over(entry, self.table.get(&*entry.key).as_ref(), limits);
        if reception == Reception::TakenIn {
            self.table.insert(Arc::clone(&entry.key), Arc::clone(entry));
            self.note_insertion(&mut room);
        }
        reception
    }

    fn note_insertion(&self, room: &mut Room) {
        self.insertions.fetch_add(1, Relaxed);
        if room.has_moved(UNSETTLED) {
            self.settle();
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
