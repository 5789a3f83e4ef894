//! Query coalescing across workers: of equal questions missed by several workers, one goes
//! upstream.
//!
//! Each worker coalesces its own clients. For a question missed by several workers at the same
//! time, the first becomes the owner and the others subscribe to its result. The table is used once
//! per upstream query, never on a cache hit.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::action::WorkerId;

/// Lock shards, against contention.
const SHARDS: usize = 16;

/// In-flight queries of all workers, by cache key.
#[derive(Debug, Default)]
pub struct SharedInflight {
    hasher: RandomState,
    shards: [Mutex<Owners>; SHARDS],
}

type Owners = HashMap<Arc<[u8]>, Owner>;

/// The worker that sends a query upstream.
#[derive(Debug)]
struct Owner {
    worker: WorkerId,
    /// The owner's query deadline. An entry past it belongs to a hung worker.
    until: Instant,
    subscribers: Vec<WorkerId>,
}

impl SharedInflight {
    /// Makes `worker` the owner of the query for `key` until `until`; it must [`Self::release`] it.
    /// False when another worker owns it: `worker` is then subscribed to the result.
    pub(crate) fn become_owner(
        &self,
        key: &Arc<[u8]>,
        worker: WorkerId,
        now: Instant,
        until: Instant,
    ) -> bool {
        let mut shard = self.shard(key);
        if let Some(owner) = shard.get_mut(key).filter(|owner| now <= owner.until) {
            if !owner.subscribers.contains(&worker) {
                owner.subscribers.push(worker);
            }
            return false;
        }
        // The subscribers of a hung owner subscribe to its successor.
        let mut subscribers = shard.remove(key).map(|owner| owner.subscribers).unwrap_or_default();
        subscribers.retain(|&subscriber| subscriber != worker);
        shard.insert(Arc::clone(key), Owner { worker, until, subscribers });
        true
    }

    /// Ends the ownership of `worker`, if it still has it; returns the workers to notify.
    pub(crate) fn release(&self, key: &Arc<[u8]>, worker: WorkerId) -> Vec<WorkerId> {
        let mut shard = self.shard(key);
        if shard.get(key).is_none_or(|owner| owner.worker != worker) {
            return Vec::new();
        }
        shard.remove(key).map(|owner| owner.subscribers).unwrap_or_default()
    }

    #[expect(clippy::indexing_slicing, reason = "the index is a remainder of the number of shards")]
    fn shard(&self, key: &Arc<[u8]>) -> MutexGuard<'_, Owners> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
