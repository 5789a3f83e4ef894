//! SIEVE state of an entry: its visited bit and its slot in the FIFO.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Visited bit and slot of an entry.
#[derive(Debug, Default)]
pub(crate) struct SieveState {
    slot: AtomicU32,
    visited: AtomicBool,
}

impl SieveState {
    /// Sets the visited bit. It is written only when it changes: workers share its cache line.
    pub(crate) fn visit(&self) {
        if !self.visited.load(Relaxed) {
            self.visited.store(true, Relaxed);
        }
    }

    /// True when the entry was hit since the hand last passed it.
    pub(super) fn is_visited(&self) -> bool {
        self.visited.load(Relaxed)
    }

    /// Reads and clears the visited bit.
    pub(super) fn take_visited(&self) -> bool {
        let visited = self.visited.load(Relaxed);
        self.visited.store(false, Relaxed);
        visited
    }

    /// The entry's slot in the slab.
    pub(super) fn slot(&self) -> u32 {
        self.slot.load(Relaxed)
    }

    pub(super) fn set_slot(&self, slot: u32) {
        self.slot.store(slot, Relaxed);
    }
}
