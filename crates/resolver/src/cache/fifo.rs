//! FIFO queues of entries as doubly linked lists through one slab, so that a slot freed by one
//! queue serves any other, and an entry is found by its slot.

use super::entry::Entry;

/// The index of no slot. An index has 31 bits, see [`super::visited`].
pub(super) const NIL: u32 = u32::MAX >> 1;

/// The slots of all queues. It never shrinks.
#[derive(Debug)]
pub(super) struct Slab {
    slots: Vec<Slot>,
    /// Head of the free list, which is linked through `newer`.
    free: u32,
}

#[derive(Debug)]
struct Slot {
    older: u32,
    newer: u32,
    entry: Option<Entry>,
}

/// One FIFO queue: its ends, SIEVE's hand, and totals.
#[derive(Debug)]
pub(super) struct Fifo {
    pub(super) oldest: u32,
    newest: u32,
    /// The slot at which the next search for a victim starts; [`NIL`] is the oldest.
    pub(super) hand: u32,
    /// Entries.
    pub(super) len: u32,
    /// Sum of the entries' weights in octets.
    pub(super) weight: u64,
}

impl Default for Fifo {
    fn default() -> Self {
        Self { oldest: NIL, newest: NIL, hand: NIL, len: 0, weight: 0 }
    }
}

impl Default for Slab {
    fn default() -> Self {
        Self { slots: Vec::new(), free: NIL }
    }
}

impl Slab {
    /// One past the last slot.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.slots.len()).map_or(NIL, |len| len.min(NIL))
    }

    pub(super) fn entry(&self, at: u32) -> Option<&Entry> {
        self.slot(at)?.entry.as_ref()
    }

    /// The next newer slot of the same queue.
    pub(super) fn newer(&self, at: u32) -> u32 {
        self.slot(at).map_or(NIL, |slot| slot.newer)
    }

    /// Appends `entry` at the new end of `fifo` and returns its slot; [`NIL`] when all 2³¹ − 1
    /// slots are in use.
    pub(super) fn push_newest(&mut self, fifo: &mut Fifo, entry: Entry) -> u32 {
        let weight = u64::from(entry.weight());
        let at = self.occupy(Slot { older: fifo.newest, newer: NIL, entry: Some(entry) });
        if at == NIL {
            return NIL;
        }
        match self.slot_mut(fifo.newest) {
            Some(before) => before.newer = at,
            None => fifo.oldest = at,
        }
        fifo.newest = at;
        fifo.len += 1;
        fifo.weight += weight;
        at
    }

    /// Inserts `entry` at the old end of `fifo`, where the next search starts, and returns its
    /// slot.
    pub(super) fn push_oldest(&mut self, fifo: &mut Fifo, entry: Entry) -> u32 {
        let weight = u64::from(entry.weight());
        let at = self.occupy(Slot { older: NIL, newer: fifo.oldest, entry: Some(entry) });
        if at == NIL {
            return NIL;
        }
        match self.slot_mut(fifo.oldest) {
            Some(after) => after.older = at,
            None => fifo.newest = at,
        }
        fifo.oldest = at;
        fifo.len += 1;
        fifo.weight += weight;
        at
    }

    /// Unlinks the entry in slot `at` from `fifo`.
    pub(super) fn remove(&mut self, fifo: &mut Fifo, at: u32) -> Option<Entry> {
        let free = self.free;
        let slot = self.slot_mut(at)?;
        let entry = slot.entry.take()?;
        let (older, newer) = (slot.older, std::mem::replace(&mut slot.newer, free));
        self.free = at;
        match self.slot_mut(older) {
            Some(before) => before.newer = newer,
            None => fifo.oldest = newer,
        }
        match self.slot_mut(newer) {
            Some(after) => after.older = older,
            None => fifo.newest = older,
        }
        if fifo.hand == at {
            fifo.hand = newer;
        }
        fifo.len -= 1;
        fifo.weight -= u64::from(entry.weight());
        Some(entry)
    }

    /// Replaces the entry in slot `at` of `fifo`.
    pub(super) fn replace(&mut self, fifo: &mut Fifo, at: u32, entry: Entry) {
        let added = u64::from(entry.weight());
        let Some(old) = self.slot_mut(at).and_then(|slot| slot.entry.as_mut()) else { return };
        let removed = u64::from(std::mem::replace(old, entry).weight());
        fifo.weight = fifo.weight + added - removed;
    }

    fn occupy(&mut self, new: Slot) -> u32 {
        let at = self.free;
        if let Some(slot) = self.slot_mut(at) {
            let next = std::mem::replace(slot, new).newer;
            self.free = next;
            return at;
        }
        let at = self.end();
        if at != NIL {
            self.slots.push(new);
        }
        at
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(at).ok()?)
    }

    fn slot_mut(&mut self, at: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(at).ok()?)
    }
}
