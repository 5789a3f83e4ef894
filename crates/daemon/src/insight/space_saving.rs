//! Space-saving (Metwally, Agrawal, El Abbadi, ICDT 2005): the keys with the largest counts of a stream,
//! in memory for a fixed number of keys.
//!
//! A key that is not known takes the place of the one with the smallest count, whose count becomes its
//! possible error: a count is never too low, and too high by at most its error. Written here because the
//! crates' structures keep nothing else of a key, and are made for millions of updates per second.

use hashbrown::HashTable;

/// Keys with counts and further values.
#[derive(Debug)]
pub(super) struct SpaceSaving<V> {
    capacity: usize,
    slots: Vec<Slot<V>>,
    /// Positions of the slots, by the hashes of their keys.
    index: HashTable<usize>,
    /// No count is smaller, so that a search for the smallest ends at this one.
    lower_bound: u64,
    /// Where the next search for the smallest begins.
    cursor: usize,
}

/// A key with its count.
#[derive(Clone, Debug)]
pub(super) struct Slot<V> {
    pub(super) key: Box<[u8]>,
    hash: u64,
    pub(super) count: u64,
    /// The count may be too high by so much.
    pub(super) error: u64,
    pub(super) value: V,
}

impl<V: Default> SpaceSaving<V> {
    /// For `capacity` keys, at least 1.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, slots: Vec::new(), index: HashTable::new(), lower_bound: 0, cursor: 0 }
    }

    /// Counts `key` `count` times; returns its value, a new one for a key that was not known. Equal keys
    /// have equal hashes.
    pub(super) fn add(&mut self, hash: u64, key: &[u8], count: u64) -> Option<&mut V> {
        let is_key = |at: &usize| self.slots.get(*at).is_some_and(|slot| *slot.key == *key);
        let known = self.index.find(hash, is_key).copied();
        let at = known.unwrap_or_else(|| self.insert(hash, key));
        let slot = self.slots.get_mut(at)?;
        slot.count = slot.count.saturating_add(count);
        Some(&mut slot.value)
    }

    /// In a free slot, or in that of the key with the smallest count.
    fn insert(&mut self, hash: u64, key: &[u8]) -> usize {
        let mut slot = Slot { key: key.into(), hash, count: 0, error: 0, value: V::default() };
        let mut at = self.slots.len();
        if at < self.capacity {
            self.slots.push(slot);
            self.lower_bound = 0;
        } else {
            at = self.smallest();
            if let Some(old) = self.slots.get_mut(at) {
                if let Ok(entry) = self.index.find_entry(old.hash, |position| *position == at) {
                    entry.remove();
                }
                (slot.count, slot.error) = (old.count, old.count);
                *old = slot;
            }
        }
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |at| slots.get(*at).map_or(0, |slot| slot.hash));
        at
    }

    /// The position of the key with the smallest count.
    fn smallest(&mut self) -> usize {
        let cursor = self.cursor.min(self.slots.len());
        let (before, after) = self.slots.split_at(cursor);
        let (mut smallest, mut at) = (u64::MAX, 0);
        for (position, slot) in (cursor..).zip(after).chain(before.iter().enumerate()) {
            if slot.count < smallest {
                (smallest, at) = (slot.count, position);
            }
            if smallest <= self.lower_bound {
                break;
            }
        }
        (self.lower_bound, self.cursor) = (smallest, at + 1);
        at
    }

    /// Halves all counts, so that what is past counts less and less, and forgets keys without one.
    pub(super) fn halve(&mut self, halve_value: impl Fn(&mut V)) {
        for slot in &mut self.slots {
            slot.count /= 2;
            slot.error /= 2;
            halve_value(&mut slot.value);
        }
        self.slots.retain(|slot| slot.count > 0);
        self.lower_bound /= 2;
        self.index.clear();
        for (at, slot) in self.slots.iter().enumerate() {
            self.index.insert_unique(slot.hash, at, |at| self.slots.get(*at).map_or(0, |slot| slot.hash));
        }
    }

    /// All keys, in no order.
    pub(super) fn slots(&self) -> &[Slot<V>] {
        &self.slots
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        let keys: usize = self.slots.iter().map(|slot| slot.key.len()).sum();
        keys + self.slots.capacity() * size_of::<Slot<V>>() + self.index.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that is the same for many keys.
    fn add<V: Default>(keys: &mut SpaceSaving<V>, key: &[u8], count: u64) {
        keys.add(u64::from(key.last().copied().unwrap_or_default()), key, count);
    }

    #[test]
    fn frequent_keys_are_found_in_a_flood_of_others() {
        let mut keys = SpaceSaving::<()>::new(64);
        for number in 0..100_000_u32 {
            add(&mut keys, &number.to_be_bytes(), 1);
            if number % 20 == 0 {
                add(&mut keys, b"often", 1);
            }
        }
        let slot = keys.slots().iter().max_by_key(|slot| slot.count - slot.error).unwrap();
        assert_eq!(&*slot.key, b"often");
        assert!(slot.count >= 5000 && slot.count - slot.error <= 5000, "{slot:?}");
        assert_eq!(keys.slots().len(), 64);
    }

    #[test]
    fn halving_forgets_keys_without_a_count_and_keeps_the_others() {
        let mut keys = SpaceSaving::<u32>::new(4);
        *keys.add(7, b"a", 5).unwrap() += 8;
        keys.add(7, b"b", 1);
        keys.halve(|value| *value /= 2);
        assert_eq!(*keys.add(7, b"a", 1).unwrap(), 4);
        let [slot] = keys.slots() else { panic!("{keys:?}") };
        assert_eq!((&*slot.key, slot.count), (&b"a"[..], 3));
    }

    #[test]
    fn the_key_with_the_smallest_count_is_replaced() {
        let mut keys = SpaceSaving::<()>::new(16);
        let mut state = 1_u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state.is_multiple_of(701) {
                keys.halve(|()| {});
            }
            let key = (state >> 27).to_be_bytes();
            let is_full = keys.slots().len() == 16 && keys.slots().iter().all(|slot| *slot.key != key);
            let smallest = keys.slots().iter().map(|slot| slot.count).min().unwrap_or_default();
            let count = u64::from(state >> 8) % 5 + 1;
            add(&mut keys, &key, count);
            let slot = keys.slots().iter().find(|slot| *slot.key == key).unwrap();
            if is_full {
                assert_eq!((slot.count, slot.error), (smallest + count, smallest));
            }
        }
    }
}
