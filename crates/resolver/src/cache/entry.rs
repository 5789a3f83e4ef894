//! One kept answer and its life.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wire::Answer;

use super::Occupancy;

/// Which of a block's two stores an entry counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Answers with records.
    Success,
    /// Answers that say there is nothing, and failures.
    Denial,
}

/// A kept answer. It does not change, but for its standing; a newer answer is another entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<[u8]>,
    pub(crate) answer: Answer,
    pub(crate) stored: Instant,
    /// Seconds, above 0.
    pub(crate) lifetime: u32,
    pub(crate) store: Store,
    pub(crate) occupancy: Arc<Occupancy>,
    pub(crate) standing: Standing,
}

/// What decides whether an entry stays when room is wanted.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    place: AtomicU32,
    asked: AtomicBool,
}

impl Standing {
    /// Notes that the entry was asked for. Written only when that is news: workers share what stands in this line of
    /// memory.
    pub(crate) fn ask(&self) {
        if !self.asked.load(Relaxed) {
            self.asked.store(true, Relaxed);
        }
    }

    /// True when the entry was asked for since this was last called.
    pub(super) fn pass_by(&self) -> bool {
        let asked = self.asked.load(Relaxed);
        self.asked.store(false, Relaxed);
        asked
    }

    /// Its place among the entries of its store.
    pub(super) fn place(&self) -> u32 {
        self.place.load(Relaxed)
    }

    /// Notes its place.
    pub(super) fn stand(&self, place: u32) {
        self.place.store(place, Relaxed);
    }
}

impl Entry {
    /// Whole seconds left at `now`, or nothing when its time is over.
    pub(crate) fn remaining(&self, now: Instant) -> Option<u32> {
        let age = now.saturating_duration_since(self.stored);
        let lifetime = Duration::from_secs(u64::from(self.lifetime));
        if age >= lifetime {
            return None;
        }
        let elapsed = u32::try_from(age.as_secs()).ok()?;
        self.lifetime.checked_sub(elapsed)
    }

    /// True when it was over `grace` ago.
    pub(crate) fn has_ended(&self, now: Instant, grace: Duration) -> bool {
        let life = Duration::from_secs(u64::from(self.lifetime)).saturating_add(grace);
        now.saturating_duration_since(self.stored) >= life
    }

    /// Octets this costs, the cache's own bookkeeping included.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.key.len() + self.answer.heap_len() + super::BOOKKEEPING).unwrap_or(u32::MAX)
    }
}
