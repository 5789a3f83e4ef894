//! Who may stay when room is wanted.
//!
//! Each store of a block has a row of its entries in the order they came, and a hand that goes along it as in SIEVE
//! (Zhang et al., NSDI 2024): who was asked for since the hand last came by stays where it is, the next one leaves. So
//! a flood of names asked once passes through behind those that are asked again, and a hit costs a look at a flag. A
//! store at its capacity gives up an entry of its own; when the octets of all are too many, the heaviest store does,
//! so that a flood in one block does not empty another.

use std::sync::Arc;
use std::time::Instant;

use super::capacity::StoreLimits;
use super::entry::Entry;
use super::fifo::{NOWHERE, Places, Row};
use super::ghost::Departed;
use super::store::Store;
use super::usage::RemovalCause;
use super::usage::Usage;

/// The largest entry has this part of the budget.
const ENTRY_PART: u64 = 64;

/// Octets of the budget for each name that is remembered after it has left: there are more of these than entries, and
/// they take a sixty-fourth of it.
const BUDGET_PER_DEPARTED: u64 = 256;

/// This part of the budget is left to the allocator: entries of all sizes come from one worker and go with another, and
/// not every hole between them is filled again.
const HOLES_PART: u64 = 16;

/// Entries the hand may pass by for one insertion. After that who comes next leaves, asked for or not: no query waits
/// for a walk through the whole cache.
const PATIENCE: u32 = 1024;

/// Places looked at per insertion for entries that have ended: with two, all are seen before as many again have come.
const SWEPT: u32 = 2;

/// Entries that one insertion makes leave at most for a capacity that a reload has made smaller.
const CAPACITY_EVICTIONS: u32 = 32;

/// Places looked at in one go when entries are collected for another process: workers that insert wait no longer.
const SURVEYED: u32 = 256;

/// What becomes of an entry that comes from another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    /// It is in.
    TakenIn,
    /// Its key has an entry that is as new.
    Known,
    /// It alone would take too large a part of the budget.
    TooBig,
    /// Its store has as many entries as it may.
    NoPlace,
    /// The octets of all would be too many.
    NoRoom,
}

/// All entries of the cache, by store.
#[derive(Debug)]
pub(super) struct Room {
    budget: u64,
    weight: u64,
    stores: Vec<StoreRow>,
    places: Places,
    /// The place that is next looked at for an entry that has ended.
    broom: u32,
    departed: Departed,
    /// Octets that came or left since [`Self::has_moved`] was last true.
    moved: u64,
    /// Who has to leave the table for the last one taken in.
    pub(super) leaving: Vec<Arc<Entry>>,
}

/// One of the two ends of a row at which an entry is put.
type PushAt = fn(&mut Places, &mut Row, Arc<Entry>) -> u32;

#[derive(Debug)]
struct StoreRow {
    usage: Arc<Usage>,
    store: Store,
    limits: StoreLimits,
    row: Row,
    /// How often as many entries have left as there were, modulo 256.
    turnover: u8,
    /// Entries that left since.
    left: u32,
}

impl StoreRow {
    fn new(entry: &Entry, limits: StoreLimits) -> Self {
        let (usage, store) = (Arc::clone(&entry.usage), entry.store);
        Self { usage, store, limits, row: Row::default(), turnover: 0, left: 0 }
    }

    /// Counts one that leaves, and says at which turnover.
    fn count_departure(&mut self) -> u8 {
        self.left += 1;
        if self.left > self.row.len {
            self.left = 0;
            self.turnover = self.turnover.wrapping_add(1);
        }
        self.turnover
    }

    fn is_of(&self, entry: &Entry) -> bool {
        self.store == entry.store && Arc::ptr_eq(&self.usage, &entry.usage)
    }
}

impl Room {
    /// Room for `budget` octets.
    pub(super) fn new(budget: u64) -> Self {
        let slots = budget / BUDGET_PER_DEPARTED;
        Self {
            budget: budget.saturating_sub(Departed::SLOT * slots + budget / HOLES_PART),
            weight: 0,
            stores: Vec::new(),
            places: Places::default(),
            broom: 0,
            departed: Departed::new(usize::try_from(slots).unwrap_or(0)),
            moved: 0,
            leaving: Vec::new(),
        }
    }

    /// Octets of all entries, as weighed.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// True when `octets` came or left since it last was.
    pub(super) fn has_moved(&mut self, octets: u64) -> bool {
        let moved = self.moved >= octets;
        if moved {
            self.moved = 0;
        }
        moved
    }

    /// False for an entry that would push out too many others.
    pub(super) fn admits(&self, entry: &Entry) -> bool {
        u64::from(entry.weight()) <= self.budget / ENTRY_PART
    }

    /// Takes `entry` in, in place of `old` if its key has an entry, and fills `leaving`. Where a key has its place
    /// already, nobody leaves for the capacity.
    pub(super) fn take_in(&mut self, entry: &Arc<Entry>, old: Option<&Arc<Entry>>, limits: StoreLimits) {
        let now = entry.stored;
        self.moved += u64::from(entry.weight());
        let store = self.store_of(entry, limits);
        let old = old.filter(|old| self.stands(old));
        let mut patience = PATIENCE;
        if let Some(old) = old {
            let place = old.sieve.slot();
            entry.sieve.visit();
            if self.stores.get(store).is_some_and(|row| row.is_of(old)) {
                self.replace(store, place, entry);
                self.free_octets(0, now, &mut patience);
                return self.sweep(now);
            }
            self.dismiss(place, RemovalCause::Replaced);
        } else if self.has_returned(store, entry) {
            entry.sieve.visit();
        }
        self.free_places(store, now, &mut patience);
        self.free_octets(u64::from(entry.weight()), now, &mut patience);
        self.push(store, entry, Places::push);
        self.sweep(now);
        self.stores.retain(|store| store.row.len > 0);
    }

    /// Takes in an entry that another process has had, unless somebody would have to leave for it. The hand comes to
    /// the last one taken over first: those who are wanted most are to come first.
    pub(super) fn take_over(
        &mut self,
        entry: &Arc<Entry>,
        old: Option<&Arc<Entry>>,
        limits: StoreLimits,
    ) -> Reception {
        let old = old.filter(|old| self.stands(old));
        if old.is_some_and(|old| old.stored >= entry.stored) {
            return Reception::Known;
        }
        if !self.admits(entry) {
            return Reception::TooBig;
        }
        let leaving = old.map_or(0, |old| u64::from(old.weight()));
        if self.weight - leaving + u64::from(entry.weight()) > self.budget {
            return Reception::NoRoom;
        }
        let row = self.stores.iter().find(|store| store.is_of(entry));
        let same = row.zip(old).is_some_and(|(row, old)| row.is_of(old));
        if !same && row.is_some_and(|row| row.row.len >= limits.capacity) {
            return Reception::NoPlace;
        }
        let store = self.store_of(entry, limits);
        match old.map(|old| old.sieve.slot()) {
            Some(place) if same => self.replace(store, place, entry),
            Some(place) => {
                self.dismiss(place, RemovalCause::Replaced);
                self.push(store, entry, Places::push_oldest);
            }
            None => self.push(store, entry, Places::push_oldest),
        }
        self.moved += u64::from(entry.weight());
        Reception::TakenIn
    }

    /// Appends those of the next places from `from` on that are of use at `now` to `found`, and says where to go on.
    pub(super) fn survey(&self, from: u32, now: Instant, found: &mut Vec<Arc<Entry>>) -> Option<u32> {
        let end = self.places.end().min(from.saturating_add(SURVEYED));
        for entry in (from..end).filter_map(|at| self.places.entry(at)) {
            let limits = self.stores.iter().find(|store| store.is_of(entry)).map(|store| store.limits);
            if limits.is_some_and(|limits| !entry.is_expired(now, limits)) {
                found.push(Arc::clone(entry));
            }
        }
        (end < self.places.end()).then_some(end)
    }

    /// True for an entry of the table that has its place here.
    fn stands(&self, old: &Arc<Entry>) -> bool {
        self.places.entry(old.sieve.slot()).is_some_and(|entry| Arc::ptr_eq(old, entry))
    }

    /// The number of the store of `entry`, which is valid until a store without entries is struck off.
    fn store_of(&mut self, entry: &Entry, limits: StoreLimits) -> usize {
        if let Some(number) = self.stores.iter().position(|store| store.is_of(entry)) {
            if let Some(store) = self.stores.get_mut(number) {
                store.limits = limits;
            }
            return number;
        }
        self.stores.push(StoreRow::new(entry, limits));
        self.stores.len() - 1
    }

    /// True for an entry whose key left this store not long ago.
    fn has_returned(&self, store: usize, entry: &Entry) -> bool {
        self.stores.get(store).is_some_and(|store| self.departed.has(&entry.key, store.turnover))
    }

    fn push(&mut self, store: usize, entry: &Arc<Entry>, end: PushAt) {
        let Some(store) = self.stores.get_mut(store) else { return };
        let place = end(&mut self.places, &mut store.row, Arc::clone(entry));
        entry.sieve.set_slot(place);
        self.weight += u64::from(entry.weight());
        store.usage.count_insertion(store.store);
    }

    fn replace(&mut self, store: usize, place: u32, entry: &Arc<Entry>) {
        let Some(store) = self.stores.get_mut(store) else { return };
        let before = store.row.weight;
        self.places.replace(&mut store.row, place, Arc::clone(entry));
        entry.sieve.set_slot(place);
        self.weight = self.weight + store.row.weight - before;
    }

    /// Has a store give up entries until there is a place in it.
    fn free_places(&mut self, store: usize, now: Instant, patience: &mut u32) {
        for _ in 0..CAPACITY_EVICTIONS {
            if self.stores.get(store).is_none_or(|store| store.row.len < store.limits.capacity) {
                return;
            }
            self.evict(store, now, patience);
        }
    }

    /// Has the heaviest store give up entries until there is room for `coming` octets.
    fn free_octets(&mut self, coming: u64, now: Instant, patience: &mut u32) {
        while self.weight + coming > self.budget {
            let heaviest = self.stores.iter().enumerate().max_by_key(|(_, store)| store.row.weight);
            let Some((store, _)) = heaviest.filter(|(_, store)| store.row.len > 0) else { return };
            self.evict(store, now, patience);
        }
    }

    /// Has the next entry leave on which the hand of a store comes down.
    fn evict(&mut self, store: usize, now: Instant, patience: &mut u32) {
        let Some(StoreRow { row, limits, .. }) = self.stores.get_mut(store) else { return };
        let mut at = row.hand;
        loop {
            if at == NOWHERE {
                at = row.oldest;
            }
            let Some(entry) = self.places.entry(at) else { return };
            let ended = entry.is_expired(now, *limits);
            if ended || *patience == 0 || !entry.sieve.take_visited() {
                row.hand = at;
                let departure = if ended { RemovalCause::Expired } else { RemovalCause::Evicted };
                return self.see_off(at, departure);
            }
            *patience -= 1;
            at = self.places.newer(at);
        }
    }

    /// Looks at the next places for entries that have ended, wherever they stand.
    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEPT.min(self.places.end()) {
            let at = if self.broom < self.places.end() { self.broom } else { 0 };
            self.broom = at + 1;
            let Some(entry) = self.places.entry(at) else { continue };
            let limits = self.stores.iter().find(|store| store.is_of(entry)).map(|store| store.limits);
            if limits.is_some_and(|limits| entry.is_expired(now, limits)) {
                self.see_off(at, RemovalCause::Expired);
            }
        }
    }

    /// Takes an entry out of its row, for the table to let go of too.
    fn see_off(&mut self, at: u32, departure: RemovalCause) {
        if let Some((entry, turnover)) = self.dismiss(at, departure) {
            self.departed.note(&entry.key, turnover);
            self.moved += u64::from(entry.weight());
            self.leaving.push(entry);
        }
    }

    /// Takes an entry out of its row; also says at which turnover of its store.
    fn dismiss(&mut self, at: u32, departure: RemovalCause) -> Option<(Arc<Entry>, u8)> {
        let entry = self.places.entry(at)?;
        let store = self.stores.iter_mut().find(|store| store.is_of(entry))?;
        let entry = self.places.take(&mut store.row, at)?;
        self.weight -= u64::from(entry.weight());
        store.usage.count_removal(store.store, departure);
        Some((entry, store.count_departure()))
    }
}
