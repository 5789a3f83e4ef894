//! Cache lookup by one worker: its L1 cache over the shared cache, and cached failures apart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::{Cache, CacheClock, Entry, Freshness, HashedKey, L1Cache, LookupKey};
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

    /// The clock of the entries.
    pub(crate) fn clock(&self) -> CacheClock {
        self.l1.clock()
    }

    /// The answer for `key`, fresh or within the stale window of `options`.
    pub(crate) fn get(
        &mut self,
        key: &LookupKey<'_>,
        now: Instant,
        options: &CacheOptions,
    ) -> Option<(&Entry, Freshness)> {
        self.l1.get(&key.key, |hasher| key.hash(hasher), now, options.stale_window())
    }

    /// The answer for `key` and its remaining TTL, if it is fresh.
    pub(crate) fn get_fresh(&mut self, key: &HashedKey<'_>, now: Instant) -> Option<(&Entry, u32)> {
        only_fresh(self.l1.get(&key.key, |_| key.hash, now, Duration::ZERO)?)
    }

    /// The cached failure of the question of `key` and its remaining TTL (RFC 9520).
    pub(crate) fn get_failure(&mut self, key: &LookupKey<'_>, now: Instant) -> Option<(&Entry, u32)> {
        only_fresh(self.l1.get(&key.key.of_failure(), |hasher| key.hash(hasher), now, Duration::ZERO)?)
    }

    /// The key of a query with its hash.
    pub(crate) fn hashed<'a>(&self, key: &LookupKey<'a>) -> HashedKey<'a> {
        self.l1.hashed(key)
    }

    /// True when another worker has replaced the entry that L1 holds for `key`. L1 takes the new
    /// one.
    pub(crate) fn update_from_shared(&mut self, key: &HashedKey<'_>) -> bool {
        self.l1.update_from_shared(key)
    }
}

fn only_fresh((entry, freshness): (&Entry, Freshness)) -> Option<(&Entry, u32)> {
    match freshness {
        Freshness::Fresh(remaining) => Some((entry, remaining)),
        Freshness::Stale => None,
    }
}
