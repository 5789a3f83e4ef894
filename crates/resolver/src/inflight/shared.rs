//! Query coalescing across workers: of equal questions missed by several workers, one goes
//! upstream.
//!
//! Each worker coalesces its own clients. For a question missed by several workers at the same
//! time, the first becomes the owner and the others subscribe to its result. The table is used once
//! per upstream query, never on a cache hit.

use std::sync::PoisonError;
use std::time::Instant;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::action::WorkerId;
use crate::cache::{KeyHash, OwnedKey};
use crate::sync::{Mutex, MutexGuard};

/// Lock shards, against contention.
const SHARDS: usize = 16;

/// In-flight queries of all workers, by cache key, whose hash is of the cache that they share.
#[derive(Debug, Default)]
pub struct SharedInflight {
    shards: [Mutex<Owners>; SHARDS],
}

type Owners = HashTable<Owner>;

/// The worker that sends a query upstream.
#[derive(Debug)]
struct Owner {
    key: OwnedKey,
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
        key: &OwnedKey,
        worker: WorkerId,
        now: Instant,
        until: Instant,
    ) -> bool {
        let (hash, mut shard) = self.locate(key.hash());
        match shard.entry(hash, |owner| owner.key == *key, |owner| owner.key.hash().table_hash()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Owner { key: key.clone(), worker, until, subscribers: Vec::new() });
                true
            }
            Entry::Occupied(mut occupied) => occupied.get_mut().replace_if_hung(worker, now, until),
        }
    }

    /// Ends the ownership of `worker`, if it still has it; returns the workers to notify.
    pub(crate) fn release(&self, key: &OwnedKey, worker: WorkerId) -> Vec<WorkerId> {
        let (hash, mut shard) = self.locate(key.hash());
        let owner = shard.find_entry(hash, |owner| owner.worker == worker && owner.key == *key);
        owner.map_or_else(|_| Vec::new(), |owner| owner.remove().0.subscribers)
    }

    /// The hash in a shard, and the shard.
    #[expect(clippy::indexing_slicing, reason = "the index is a remainder of the number of shards")]
    fn locate(&self, hash: KeyHash) -> (u64, MutexGuard<'_, Owners>) {
        let hash = hash.table_hash();
        let shard = usize::try_from((hash >> 40) % SHARDS as u64).unwrap_or(0);
        (hash, self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Owner {
    /// Makes `worker` the owner in place of a hung one, with the same subscribers; false if the owner's
    /// deadline has not passed: `worker` is subscribed then.
    fn replace_if_hung(&mut self, worker: WorkerId, now: Instant, until: Instant) -> bool {
        if now <= self.until {
            if !self.subscribers.contains(&worker) {
                self.subscribers.push(worker);
            }
            return false;
        }
        self.subscribers.retain(|subscriber| *subscriber != worker);
        (self.worker, self.until) = (worker, until);
        true
    }
}
