//! Ghost list: fingerprints of keys removed recently, so that an entry that returns is treated as
//! visited (as in S3-FIFO).

use std::hash::{BuildHasher, Hash};

use crate::sync::FoldHashState;

/// Generations of a store after which a removed key is forgotten: it is queried too rarely to stay.
const MAX_GENERATIONS: u8 = 8;

/// A hash table without chaining: each key has one slot, and a later key overwrites it. Keys are
/// hashes already, keyed ones of 32 bits: with 300,000 ghosts one lookup in 14,000 is a false positive,
/// which gives a name queried once the rank of one queried twice.
#[derive(Debug)]
pub(super) struct GhostList {
    ghosts: Vec<Ghost>,
    hasher: FoldHashState,
}

/// Three octets of the key's hash, and the generation of the store at the removal. All zero is a
/// valid ghost too: the false positive does no harm.
type Ghost = ([u8; 3], u8);

impl GhostList {
    /// Octets of a slot.
    pub(super) const SLOT: u64 = size_of::<Ghost>() as u64;

    pub(super) fn new(slots: usize) -> Self {
        Self { ghosts: vec![([0; 3], 0); slots], hasher: FoldHashState::default() }
    }

    /// Records that `key` was removed in `generation` of its store.
    pub(super) fn insert(&mut self, key: &impl Hash, generation: u8) {
        let (slot, fingerprint) = self.locate(key);
        if let Some(ghost) = self.ghosts.get_mut(slot) {
            *ghost = (fingerprint, generation);
        }
    }

    /// True when `key` was removed at most [`MAX_GENERATIONS`] before `generation`.
    pub(super) fn contains(&self, key: &impl Hash, generation: u8) -> bool {
        let (slot, fingerprint) = self.locate(key);
        let found = self.ghosts.get(slot).filter(|(known, _)| *known == fingerprint);
        found.is_some_and(|(_, removed)| generation.wrapping_sub(*removed) <= MAX_GENERATIONS)
    }

    fn locate(&self, key: &impl Hash) -> (usize, [u8; 3]) {
        let hash = self.hasher.hash_one(key);
        let [a, b, c, ..] = hash.to_be_bytes();
        let slots = u64::try_from(self.ghosts.len()).unwrap_or(u64::MAX).max(1);
        (usize::try_from(hash % slots).unwrap_or(0), [a, b, c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_for_some_generations() {
        let mut ghosts = GhostList::new(1000);
        ghosts.insert(b"a", 250);
        assert!(!ghosts.contains(b"b", 250));
        assert!(ghosts.contains(b"a", 250));
        assert!(ghosts.contains(b"a", 2));
        assert!(!ghosts.contains(b"a", 3));
    }

    #[test]
    fn without_slots_nothing_is_remembered() {
        let mut ghosts = GhostList::new(0);
        ghosts.insert(b"a", 0);
        assert!(!ghosts.contains(b"a", 0));
    }
}
