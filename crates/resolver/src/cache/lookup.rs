//! Cache lookup by one worker: its L1 cache over the shared cache, and cached failures apart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::{Cache, Entry, Freshness, Key, L1Cache};
use crate::counters::WorkerCounters;
use crate::policy::CacheOptions;

/// The cache as one worker uses it.
#[derive(Debug)]
pub(crate) struct WorkerCache {
    pub(super) l1: L1Cache,
    /// Unix time in seconds at one moment of the monotonic clock, for RRSIG validity.
    pub(super) wall_clock: Option<(Instant, u64)>,
}

impl WorkerCache {
    /// `l1_octets` as in [`crate::policy::ResolverLimits`].
    pub(crate) fn new(shared: Arc<Cache>, l1_octets: usize, counters: Arc<WorkerCounters>) -> Self {
        Self { l1: L1Cache::new(shared, l1_octets, counters), wall_clock: None }
    }

    /// Sets the wall clock: it is `unix_time` at `now`.
    pub(crate) fn set_unix_time(&mut self, now: Instant, unix_time: u64) {
        self.wall_clock = Some((now, unix_time));
    }

    /// Empties the L1 cache.
    pub(crate) fn clear_l1(&mut self) {
        self.l1.clear();
    }

    /// The answer for `key`, fresh or within the stale window of `options`.
    pub(crate) fn get(
        &mut self,
        key: &Key<'_>,
        now: Instant,
        options: &CacheOptions,
    ) -> Option<(&Entry, Freshness)> {
        self.l1.get(key, now, options.stale_window())
    }

    /// The answer for `key` and its remaining TTL, if it is fresh.
    pub(crate) fn get_fresh(&mut self, key: &Key<'_>, now: Instant) -> Option<(&Entry, u32)> {
        match self.l1.get(key, now, Duration::ZERO)? {
            (entry, Freshness::Fresh(remaining)) => Some((entry, remaining)),
            (_, Freshness::Stale) => None,
        }
    }

    /// The cached failure of the question of `key` and its remaining TTL (RFC 9520).
    pub(crate) fn get_failure(&mut self, key: &Key<'_>, now: Instant) -> Option<(&Entry, u32)> {
        self.get_fresh(&key.of_failure(), now)
    }

    /// True when another worker has replaced the entry that L1 holds for `key`. L1 takes the new
    /// one.
    pub(crate) fn update_from_shared(&mut self, key: &Key<'_>) -> bool {
        self.l1.update_from_shared(key)
    }
}
