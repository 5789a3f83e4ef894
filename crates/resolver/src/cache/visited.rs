//! SIEVE state of an entry: its visited bit and its slot in the FIFO.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The visited bit; the others are the slot, at most [`super::fifo::NIL`].
const VISITED: u32 = 1 << 31;

/// Visited bit and slot of an entry.
#[derive(Debug, Default)]
pub(crate) struct SieveState(AtomicU32);

impl SieveState {
    /// Sets the visited bit. It is written only when it changes: workers share its cache line.
    pub(crate) fn visit(&self) {
        if !self.is_visited() {
            self.0.fetch_or(VISITED, Relaxed);
        }
    }

    /// True when the entry was hit since the hand last passed it.
    pub(super) fn is_visited(&self) -> bool {
        self.0.load(Relaxed) & VISITED != 0
    }

    /// Reads and clears the visited bit.
    pub(super) fn take_visited(&self) -> bool {
        self.is_visited() && self.0.fetch_and(!VISITED, Relaxed) & VISITED != 0
    }

    /// The entry's slot in the slab.
    pub(super) fn slot(&self) -> u32 {
        self.0.load(Relaxed) & !VISITED
    }

    /// Sets the slot, under the lock of the eviction order; workers may set the visited bit meanwhile.
    pub(super) fn set_slot(&self, slot: u32) {
        self.0.fetch_and(VISITED, Relaxed);
        self.0.fetch_or(slot & !VISITED, Relaxed);
    }
}
