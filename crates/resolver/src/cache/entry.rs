//! One kept answer and its life.

use std::sync::Arc;
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

/// A kept answer. It does not change; a newer answer is another entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<[u8]>,
    pub(crate) answer: Answer,
    pub(crate) stored: Instant,
    /// Seconds, above 0.
    pub(crate) lifetime: u32,
    pub(crate) store: Store,
    pub(crate) occupancy: Arc<Occupancy>,
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

    /// Octets this costs, the cache's own bookkeeping included.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.key.len() + self.answer.heap_len() + super::BOOKKEEPING).unwrap_or(u32::MAX)
    }
}
