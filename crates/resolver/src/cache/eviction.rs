//! Cache eviction: SIEVE within each store, a byte budget across stores.
//!
//! Each store of a server block is a FIFO queue with a hand, as in SIEVE (Zhang et al., NSDI 2024):
//! the hand moves from old to new, clears visited bits, and evicts the first entry that was not
//! visited. A flood of names queried once so passes behind names queried again, and a hit costs one
//! read of a flag. A store at its capacity evicts an entry of its own; above the budget the
//! heaviest store does, so that a flood in one block does not empty another.

use std::sync::Arc;

use super::capacity::StoreLimits;
use super::entry::Entry;
use super::fifo::{Fifo, NIL, Slab};
use super::ghost::GhostList;
use super::store_queue::StoreQueue;
use super::time::CacheTime;
use crate::usage::{RemovalCause, Usage};

/// An entry is at most this fraction of the budget: 1/64.
const MAX_ENTRY_FRACTION: u64 = 64;

/// Octets of the budget per ghost: there are more ghosts than entries, and they take 1/48 of it.
const BUDGET_PER_GHOST: u64 = 192;

/// Fraction of the budget reserved for allocator fragmentation, 1/16: entries of all sizes are
/// allocated by one worker and freed by another, and not every hole is filled again.
const FRAGMENTATION_FRACTION: u64 = 16;

/// Visited entries the hand may pass per insertion. The next one is then evicted even if visited:
/// no query waits for a walk through the whole cache.
const MAX_HAND_STEPS: u32 = 1024;

/// Slots the sweep visits per insertion: with two, a full sweep ends before the cache has doubled.
const SWEEP_SLOTS: u32 = 2;

/// Evictions per insertion for a capacity that a reload has lowered.
const MAX_CAPACITY_EVICTIONS: u32 = 32;

/// Slots scanned per lock for an export, or emptied: the longest that inserting workers wait.
const SCAN_SLOTS: u32 = 256;

/// Result of inserting an entry of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InsertOutcome {
    Inserted,
    /// The entry with its key is at least as new.
    AlreadyCached,
    /// The entry alone exceeds [`MAX_ENTRY_FRACTION`] of the budget.
    TooLarge,
    /// Its store is at its capacity.
    StoreFull,
    /// All entries together would exceed the budget.
    BudgetReached,
}

/// All entries of the cache in eviction order.
#[derive(Debug)]
pub(super) struct Eviction {
    budget: u64,
    weight: u64,
    stores: Vec<StoreQueue>,
    slab: Slab,
    /// The next slot that [`Self::sweep`] visits.
    sweep_cursor: u32,
    ghosts: GhostList,
    /// Entries removed by the last insertion, which the table has to drop as well.
    pub(super) removed: Vec<Entry>,
}

/// [`Slab::push_newest`] or [`Slab::push_oldest`].
type Push = fn(&mut Slab, &mut Fifo, Entry) -> u32;

impl Eviction {
    /// `budget` in octets.
    pub(super) fn new(budget: u64) -> Self {
        let ghosts = budget / BUDGET_PER_GHOST;
        Self {
            budget: budget.saturating_sub(GhostList::SLOT * ghosts + budget / FRAGMENTATION_FRACTION),
            weight: 0,
            stores: Vec::new(),
            slab: Slab::default(),
            sweep_cursor: 0,
            ghosts: GhostList::new(usize::try_from(ghosts).unwrap_or(0)),
            removed: Vec::new(),
        }
    }

    /// Weight of all entries in octets.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// False for an entry that is too large for the budget.
    pub(super) fn admits(&self, entry: &Entry) -> bool {
        u64::from(entry.weight()) <= self.budget / MAX_ENTRY_FRACTION
    }

    /// Inserts `entry`, in the slot of `old` if the table has one with its key, and fills
    /// `removed`. A replacement in the same store evicts nothing for the capacity.
    pub(super) fn insert(&mut self, entry: &Entry, old: Option<&Entry>, limits: StoreLimits) {
        let now = entry.stored;
        let store = self.store_index(entry, limits);
        let old = old.filter(|old| self.holds(old));
        let mut hand_steps = MAX_HAND_STEPS;
        if let Some(old) = old {
            let slot = old.sieve.slot();
            entry.sieve.visit();
            if self.stores.get(store).is_some_and(|store| store.is_of(old)) {
                self.replace(store, slot, entry);
                self.evict_for_budget(0, now, &mut hand_steps);
                return self.sweep(now);
            }
            self.unlink(slot, RemovalCause::Replaced);
        } else if self.is_ghost(store, entry) {
            entry.sieve.visit();
        }
        self.evict_for_capacity(store, now, &mut hand_steps);
        self.evict_for_budget(u64::from(entry.weight()), now, &mut hand_steps);
        self.push(store, entry, Slab::push_newest);
        self.sweep(now);
        self.stores.retain(|store| store.fifo.len > 0);
    }

    /// Inserts an entry of another process, unless another would have to be evicted. The hand
    /// reaches the entry imported last first: import the most popular first.
    pub(super) fn import(
        &mut self,
        entry: &Entry,
        old: Option<&Entry>,
        limits: StoreLimits,
    ) -> InsertOutcome {
        let old = old.filter(|old| self.holds(old));
        if old.is_some_and(|old| old.stored >= entry.stored) {
            return InsertOutcome::AlreadyCached;
        }
        if !self.admits(entry) {
            return InsertOutcome::TooLarge;
        }
        let replaced = old.map_or(0, |old| u64::from(old.weight()));
        if self.weight - replaced + u64::from(entry.weight()) > self.budget {
            return InsertOutcome::BudgetReached;
        }
        let queue = self.stores.iter().find(|store| store.is_of(entry));
        let same = queue.zip(old).is_some_and(|(queue, old)| queue.is_of(old));
        if !same && queue.is_some_and(|queue| queue.fifo.len >= limits.capacity) {
            return InsertOutcome::StoreFull;
        }
        let store = self.store_index(entry, limits);
        match old.map(|old| old.sieve.slot()) {
            Some(slot) if same => self.replace(store, slot, entry),
            Some(slot) => {
                self.unlink(slot, RemovalCause::Replaced);
                self.push(store, entry, Slab::push_oldest);
            }
            None => self.push(store, entry, Slab::push_oldest),
        }
        InsertOutcome::Inserted
    }

    /// Appends the useful entries of the next slots from `from` on to `found`; returns where to
    /// resume.
    pub(super) fn scan(&self, from: u32, now: CacheTime, found: &mut Vec<Entry>) -> Option<u32> {
        let end = self.slab.end().min(from.saturating_add(SCAN_SLOTS));
        for entry in (from..end).filter_map(|at| self.slab.entry(at)) {
            if self.is_expired(entry, now) == Some(false) {
                found.push(entry.clone());
            }
        }
        (end < self.slab.end()).then_some(end)
    }

    /// Removes entries of blocks whose usages are not among `kept`, at most [`SCAN_SLOTS`], and fills
    /// `removed`. False when there are no more.
    pub(super) fn remove_others(&mut self, kept: &[Arc<Usage>]) -> bool {
        let Some(store) = self.stores.iter().position(|store| !store.is_of_any(kept)) else { return false };
        for _ in 0..SCAN_SLOTS {
            let oldest = self.stores.get(store).map_or(NIL, |store| store.fifo.oldest);
            let Some((entry, _)) = self.unlink(oldest, RemovalCause::Unconfigured) else {
                self.stores.swap_remove(store);
                break;
            };
            self.removed.push(entry);
        }
        true
    }

    /// Removes the entries that `matches` accepts from the next slots from `from` on, and fills
    /// `removed`; returns where to resume.
    pub(super) fn remove_matching(
        &mut self,
        from: u32,
        cause: RemovalCause,
        matches: impl Fn(&Entry) -> bool,
    ) -> Option<u32> {
        let end = self.slab.end().min(from.saturating_add(SCAN_SLOTS));
        for at in from..end {
            if self.slab.entry(at).is_some_and(&matches)
                && let Some((entry, _)) = self.unlink(at, cause)
            {
                self.removed.push(entry);
            }
        }
        (end < self.slab.end()).then_some(end)
    }

    /// True when the table's entry is in its slot.
    fn holds(&self, old: &Entry) -> bool {
        self.slab.entry(old.sieve.slot()).is_some_and(|entry| old.is(entry))
    }

    /// By the limits of its store.
    fn is_expired(&self, entry: &Entry, now: CacheTime) -> Option<bool> {
        let store = self.stores.iter().find(|store| store.is_of(entry))?;
        Some(store.is_expired(entry, now))
    }

    /// The index of the store of `entry`, valid until an empty store is removed.
    fn store_index(&mut self, entry: &Entry, limits: StoreLimits) -> usize {
        if let Some(index) = self.stores.iter().position(|store| store.is_of(entry)) {
            if let Some(store) = self.stores.get_mut(index) {
                store.limits = limits;
            }
            return index;
        }
        self.stores.push(StoreQueue::new(entry, limits));
        self.stores.len() - 1
    }

    /// True when the key was removed from this store recently.
    fn is_ghost(&self, store: usize, entry: &Entry) -> bool {
        self.stores.get(store).is_some_and(|store| self.ghosts.contains(&entry.hash, store.generation))
    }

    fn push(&mut self, store: usize, entry: &Entry, push: Push) {
        let Some(store) = self.stores.get_mut(store) else { return };
        let slot = push(&mut self.slab, &mut store.fifo, entry.clone());
        entry.sieve.set_slot(slot);
        self.weight += u64::from(entry.weight());
        store.count_insertion();
    }

    fn replace(&mut self, store: usize, slot: u32, entry: &Entry) {
        let Some(store) = self.stores.get_mut(store) else { return };
        let before = store.fifo.weight;
        self.slab.replace(&mut store.fifo, slot, entry.clone());
        entry.sieve.set_slot(slot);
        self.weight = self.weight + store.fifo.weight - before;
    }

    /// Evicts from a store until it is below its capacity.
    fn evict_for_capacity(&mut self, store: usize, now: CacheTime, hand_steps: &mut u32) {
        for _ in 0..MAX_CAPACITY_EVICTIONS {
            if !self.stores.get(store).is_some_and(StoreQueue::is_full) {
                return;
            }
            self.evict(store, now, hand_steps);
        }
    }

    /// Evicts from the heaviest store until `incoming` octets fit into the budget.
    fn evict_for_budget(&mut self, incoming: u64, now: CacheTime, hand_steps: &mut u32) {
        while self.weight + incoming > self.budget {
            let heaviest = self.stores.iter().enumerate().max_by_key(|(_, store)| store.fifo.weight);
            let Some((store, _)) = heaviest.filter(|(_, store)| store.fifo.len > 0) else { return };
            self.evict(store, now, hand_steps);
        }
    }

    /// Moves the hand of a store to the next victim and removes it.
    fn evict(&mut self, store: usize, now: CacheTime, hand_steps: &mut u32) {
        let Some(StoreQueue { fifo, limits, .. }) = self.stores.get_mut(store) else { return };
        let mut at = fifo.hand;
        loop {
            if at == NIL {
                at = fifo.oldest;
            }
            let Some(entry) = self.slab.entry(at) else { return };
            let expired = entry.is_expired(now, *limits);
            if expired || *hand_steps == 0 || !entry.sieve.take_visited() {
                fifo.hand = at;
                let cause = if expired { RemovalCause::Expired } else { RemovalCause::Evicted };
                return self.remove(at, cause);
            }
            *hand_steps -= 1;
            at = self.slab.newer(at);
        }
    }

    /// Removes expired entries among the next slots, whichever store they belong to. Those kept for
    /// an outage are removed only where space is short, so that they take none from others.
    fn sweep(&mut self, now: CacheTime) {
        for _ in 0..SWEEP_SLOTS.min(self.slab.end()) {
            let at = if self.sweep_cursor < self.slab.end() { self.sweep_cursor } else { 0 };
            self.sweep_cursor = at + 1;
            let Some(entry) = self.slab.entry(at) else { continue };
            let Some(store) = self.stores.iter().find(|store| store.is_of(entry)) else { continue };
            let is_short = store.is_full() || self.is_near_budget();
            if store.is_useless(entry, now) || is_short && store.is_expired(entry, now) {
                self.remove(at, RemovalCause::Expired);
            }
        }
    }

    /// True when the largest entry might not fit into the budget.
    fn is_near_budget(&self) -> bool {
        self.weight + self.budget / MAX_ENTRY_FRACTION > self.budget
    }

    /// Removes the entry in slot `at` and adds it to the ghost list and to `removed`.
    fn remove(&mut self, at: u32, cause: RemovalCause) {
        if let Some((entry, generation)) = self.unlink(at, cause) {
            self.ghosts.insert(&entry.hash, generation);
            self.removed.push(entry);
        }
    }

    /// Unlinks the entry in slot `at` from its queue; also returns the generation of its store.
    fn unlink(&mut self, at: u32, cause: RemovalCause) -> Option<(Entry, u8)> {
        let entry = self.slab.entry(at)?;
        let store = self.stores.iter_mut().find(|store| store.is_of(entry))?;
        let entry = self.slab.remove(&mut store.fifo, at)?;
        self.weight -= u64::from(entry.weight());
        Some((entry, store.count_removal(cause)))
    }
}
