//! Space-saving (Metwally, Agrawal, El Abbadi, ICDT 2005): the keys with the largest counts of a stream,
//! in memory for a fixed number of keys.
//!
//! A key that is not known takes the place of the one with the smallest count, whose count becomes its
//! possible error: a count is never too low, and too high by at most its error. Written here because
//! samples are few (`sampler`): a search through a few hundred hashes beside each other is as fast as the
//! crates' structures for millions of updates per second, and keeps what else is known of a key with it.

use std::hash::{BuildHasher, RandomState};

/// Keys with counts and further values.
#[derive(Debug)]
pub(super) struct SpaceSaving<V> {
    capacity: usize,
    slots: Vec<Slot<V>>,
    /// Of the slots, in their order.
    hashes: Vec<u64>,
    hasher: RandomState,
}

/// A key with its count.
#[derive(Clone, Debug)]
pub(super) struct Slot<V> {
    pub(super) key: Box<[u8]>,
    pub(super) count: u64,
    /// The count may be too high by so much.
    pub(super) error: u64,
    pub(super) value: V,
}

impl<V: Default> SpaceSaving<V> {
    /// For `capacity` keys, at least 1.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, slots: Vec::new(), hashes: Vec::new(), hasher: RandomState::new() }
    }

    /// Counts `key` `count` times; returns its value, a new one for a key that was not known.
    pub(super) fn add(&mut self, key: &[u8], count: u64) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        let known = self.hashes.iter().position(|other| *other == hash);
        let known = known.filter(|at| self.slots.get(*at).is_some_and(|slot| *slot.key == *key));
        let at = known.unwrap_or_else(|| self.insert(hash, key));
        let slot = self.slots.get_mut(at)?;
        slot.count = slot.count.saturating_add(count);
        Some(&mut slot.value)
    }

    /// In a free slot, or in that of the key with the smallest count.
    fn insert(&mut self, hash: u64, key: &[u8]) -> usize {
        let mut slot = Slot { key: key.into(), count: 0, error: 0, value: V::default() };
        if self.slots.len() < self.capacity {
            self.slots.push(slot);
            self.hashes.push(hash);
            return self.slots.len() - 1;
        }
        let smallest = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.count);
        let at = smallest.map_or(0, |(at, _)| at);
        if let (Some(old), Some(old_hash)) = (self.slots.get_mut(at), self.hashes.get_mut(at)) {
            (slot.count, slot.error) = (old.count, old.count);
            (*old, *old_hash) = (slot, hash);
        }
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
        self.hashes = self.slots.iter().map(|slot| self.hasher.hash_one(&*slot.key)).collect();
    }

    /// All keys, in no order.
    pub(super) fn slots(&self) -> &[Slot<V>] {
        &self.slots
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        let keys: usize = self.slots.iter().map(|slot| slot.key.len()).sum();
        keys + self.slots.capacity() * size_of::<Slot<V>>() + self.hashes.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_keys_are_found_in_a_flood_of_others() {
        let mut keys = SpaceSaving::<()>::new(64);
        for number in 0..100_000_u32 {
            keys.add(&number.to_be_bytes(), 1);
            if number % 20 == 0 {
                keys.add(b"often", 1);
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
        *keys.add(b"a", 5).unwrap() += 8;
        keys.add(b"b", 1);
        keys.halve(|value| *value /= 2);
        assert_eq!(*keys.add(b"a", 1).unwrap(), 4);
        let [slot] = keys.slots() else { panic!("{keys:?}") };
        assert_eq!((&*slot.key, slot.count), (&b"a"[..], 3));
    }
}
