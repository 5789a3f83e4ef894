//! Who asks what: one question of many workers goes upstream once.
//!
//! Each worker joins its own clients by itself. What several workers miss at the same moment meets here: the first
//! asks, the others are told the result. It is touched once per question that goes upstream, never on a hit.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wire::Answer;
use wire::answer::ResponseTtl;

use crate::counters::Plugin;
use crate::respond::ErrorResponse;

/// Locks, so that workers seldom meet at one.
const SHARDS: usize = 16;

/// A worker, numbered from 0 without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub u16);

/// The questions that are open in any worker.
#[derive(Debug, Default)]
pub struct SharedInflight {
    hasher: RandomState,
    shards: [Mutex<Claims>; SHARDS],
}

/// By question.
type Claims = HashMap<Arc<[u8]>, Ownership>;

/// A question that a worker asks.
#[derive(Debug)]
struct Ownership {
    worker: WorkerId,
    /// When the worker has told its own clients, answer or not. A claim that is older belongs to a worker that hangs.
    until: Instant,
    subscribers: Vec<WorkerId>,
}

/// How a question ended, for the workers that wait for another one's.
#[derive(Clone, Debug)]
pub struct SharedResult(pub(crate) QueryResult);

#[derive(Clone, Debug)]
pub(crate) enum QueryResult {
    Answered {
        answer: Answer,
        ttl: ResponseTtl,
        plugin: Plugin,
        /// It is better than what is stale.
        helps: bool,
    },
    Failed(ErrorResponse),
}

impl SharedResult {
    /// True when clients need not be told what is stale.
    pub(crate) fn helps(&self) -> bool {
        matches!(self.0, QueryResult::Answered { helps: true, .. })
    }
}

impl SharedInflight {
    /// True when nobody asks for `key` yet: until `until` it is the caller's to ask, and to [`Self::release`].
    /// Otherwise `worker` will be told.
    pub(crate) fn claim(&self, key: &Arc<[u8]>, worker: WorkerId, now: Instant, until: Instant) -> bool {
        let mut shard = self.shard(key);
        if let Some(claim) = shard.get_mut(key).filter(|claim| now <= claim.until) {
            if !claim.subscribers.contains(&worker) {
                claim.subscribers.push(worker);
            }
            return false;
        }
        // Who waits for a worker that hangs waits for the next one.
        let mut subscribers = shard.remove(key).map(|claim| claim.subscribers).unwrap_or_default();
        subscribers.retain(|&subscriber| subscriber != worker);
        shard.insert(Arc::clone(key), Ownership { worker, until, subscribers });
        true
    }

    /// Ends the question of `worker`; says who is to be told.
    pub(crate) fn release(&self, key: &Arc<[u8]>, worker: WorkerId) -> Vec<WorkerId> {
        let mut shard = self.shard(key);
        if shard.get(key).is_none_or(|claim| claim.worker != worker) {
            return Vec::new();
        }
        shard.remove(key).map(|claim| claim.subscribers).unwrap_or_default()
    }

    #[expect(clippy::indexing_slicing, reason = "the place is a remainder of the number of places")]
    fn shard(&self, key: &Arc<[u8]>) -> MutexGuard<'_, Claims> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
