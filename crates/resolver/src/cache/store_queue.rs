//! The FIFO queue of one store of one server block, with its limits and usage counters.

use std::sync::Arc;

use super::capacity::StoreLimits;
use super::entry::Entry;
use super::fifo::Fifo;
use super::time::CacheTime;
use crate::store::Store;
use crate::usage::{RemovalCause, Usage};

#[derive(Debug)]
pub(super) struct StoreQueue {
    usage: Arc<Usage>,
    store: Store,
    pub(super) limits: StoreLimits,
    pub(super) fifo: Fifo,
    /// Incremented when as many entries have been removed as the store holds; wraps around.
    pub(super) generation: u8,
    /// Removals in this generation.
    removals: u32,
}

impl StoreQueue {
    /// An empty queue for the store of `entry`.
    pub(super) fn new(entry: &Entry, limits: StoreLimits) -> Self {
        let (usage, store) = (Arc::clone(&entry.usage), entry.store);
        Self { usage, store, limits, fifo: Fifo::default(), generation: 0, removals: 0 }
    }

    /// True when `entry` belongs to this store.
    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        self.store == entry.store && Arc::ptr_eq(&self.usage, &entry.usage)
    }

    /// True when it belongs to a block with one of these usages.
    pub(super) fn is_of_any(&self, usages: &[Arc<Usage>]) -> bool {
        usages.iter().any(|usage| Arc::ptr_eq(usage, &self.usage))
    }

    pub(super) fn is_full(&self) -> bool {
        self.fifo.len >= self.limits.capacity
    }

    pub(super) fn is_expired(&self, entry: &Entry, now: CacheTime) -> bool {
        entry.is_expired(now, self.limits)
    }

    pub(super) fn is_useless(&self, entry: &Entry, now: CacheTime) -> bool {
        entry.is_useless(now, self.limits)
    }

    pub(super) fn count_insertion(&self) {
        self.usage.count_insertion(self.store);
    }

    /// Counts a removal and returns its generation.
    pub(super) fn count_removal(&mut self, cause: RemovalCause) -> u8 {
        self.usage.count_removal(self.store, cause);
        self.removals += 1;
        if self.removals > self.fifo.len {
            self.removals = 0;
            self.generation = self.generation.wrapping_add(1);
        }
        self.generation
    }
}
