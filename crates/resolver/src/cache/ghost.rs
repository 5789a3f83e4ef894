//! Whose entries left not long ago.

use std::hash::BuildHasher;

use super::Hasher;

/// Turnovers of a store after which a return is none: who comes back later is asked for too rarely to stay.
const MOST_TURNOVERS: u8 = 8;

/// Marks of keys, each in the one slot its hash gives it; a later one overwrites it. A mark is mistaken for another's
/// once in 16 million looks, which gives a name asked once the standing of one asked twice.
#[derive(Debug)]
pub(super) struct Departed {
    marks: Vec<Mark>,
    hasher: Hasher,
}

/// Three octets of a hash, and the turnover of the store at which the key left. An empty slot is a mark like others.
type Mark = ([u8; 3], u8);

impl Departed {
    /// Octets of a slot.
    pub(super) const SLOT: u64 = size_of::<Mark>() as u64;

    /// With this many slots.
    pub(super) fn new(slots: usize) -> Self {
        Self { marks: vec![([0; 3], 0); slots], hasher: Hasher::new() }
    }

    /// Remembers that `key` left at this turnover of its store.
    pub(super) fn note(&mut self, key: &[u8], turnover: u8) {
        let (slot, mark) = self.mark(key);
        if let Some(place) = self.marks.get_mut(slot) {
            *place = (mark, turnover);
        }
    }

    /// True when `key` left a few turnovers ago at most.
    pub(super) fn has(&self, key: &[u8], turnover: u8) -> bool {
        let (slot, mark) = self.mark(key);
        let found = self.marks.get(slot).filter(|(known, _)| *known == mark);
        found.is_some_and(|(_, left)| turnover.wrapping_sub(*left) <= MOST_TURNOVERS)
    }

    fn mark(&self, key: &[u8]) -> (usize, [u8; 3]) {
        let hash = self.hasher.hash_one(key);
        let [a, b, c, ..] = hash.to_be_bytes();
        let slots = u64::try_from(self.marks.len()).unwrap_or(u64::MAX).max(1);
        (usize::try_from(hash % slots).unwrap_or(0), [a, b, c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_for_some_turnovers() {
        let mut departed = Departed::new(1000);
        departed.note(b"a", 250);
        assert!(!departed.has(b"b", 250));
        assert!(departed.has(b"a", 250));
        assert!(departed.has(b"a", 2));
        assert!(!departed.has(b"a", 3));
    }

    #[test]
    fn without_slots_nothing_is_remembered() {
        let mut departed = Departed::new(0);
        departed.note(b"a", 0);
        assert!(!departed.has(b"a", 0));
    }
}
