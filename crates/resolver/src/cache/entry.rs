//! A cache entry: an answer or a failure with its expiry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::Answer;

use super::capacity::StoreLimits;
use super::failure::CachedFailure;
use super::prefetch::Popularity;
use super::visited::SieveState;
use crate::policy::Prefetch;
use crate::store::Store;
use crate::usage::Usage;

/// Octets an entry costs beside its key and message: the entry itself, moka's record and list node,
/// its share of the tables, and allocator rounding. `tests/allocations.rs` holds it to a twentieth
/// of an entry.
const OVERHEAD: usize = 556;

/// Whether an entry has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Not expired: whole seconds left, above 0.
    Fresh(u32),
    /// Expired, but within the stale window (RFC 8767 section 4).
    Stale,
}

/// A cached answer or failure. Its answer never changes; a newer answer is another entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<[u8]>,
    pub(crate) answer: Answer,
    pub(crate) stored: Instant,
    /// Seconds, above 0.
    pub(crate) ttl: u32,
    pub(crate) store: Store,
    pub(crate) usage: Arc<Usage>,
    /// Set for a failure.
    pub(crate) failure: Option<Box<CachedFailure>>,
    pub(crate) popularity: Popularity,
    pub(crate) sieve: SieveState,
}

impl Entry {
    /// Freshness at `now`; `None` when the entry expired longer than `stale_window` ago or is a
    /// failure that is no longer valid.
    pub(crate) fn freshness(&self, now: Instant, stale_window: Duration) -> Option<Freshness> {
        if self.failure.as_ref().is_some_and(|failure| !failure.is_valid()) {
            return None;
        }
        let age = now.saturating_duration_since(self.stored);
        let ttl = Duration::from_secs(u64::from(self.ttl));
        if age < ttl {
            let elapsed = u32::try_from(age.as_secs()).ok()?;
            return self.ttl.checked_sub(elapsed).map(Freshness::Fresh);
        }
        (age - ttl < stale_window).then_some(Freshness::Stale)
    }

    /// When the TTL ends.
    pub(crate) fn expiry(&self) -> Instant {
        self.stored + Duration::from_secs(u64::from(self.ttl))
    }

    /// Counts a hit with `remaining` seconds of TTL left; true when the entry is popular and the
    /// remaining TTL is below the prefetch threshold.
    pub(crate) fn hit_triggers_prefetch(&self, prefetch: Prefetch, now: Instant, remaining: u32) -> bool {
        let popular = self.popularity.count_hit(prefetch, self.since_stored(now));
        let part = u64::from(self.ttl) * u64::from(prefetch.percent);
        popular && u64::from(remaining) <= part.div_ceil(100)
    }

    /// Suppresses refreshes of this entry until `until`.
    pub(crate) fn suppress_refresh(&self, until: Instant) {
        self.popularity.suppress_refresh(self.since_stored(until));
    }

    pub(crate) fn is_refresh_suppressed(&self, now: Instant) -> bool {
        self.popularity.is_refresh_suppressed(self.since_stored(now))
    }

    /// Invalidates a cached failure, because its question has been answered.
    pub(crate) fn revoke(&self) {
        if let Some(failure) = &self.failure {
            failure.revoke();
        }
    }

    /// True when the entry has expired and cannot be served stale either, unless in an outage.
    pub(super) fn is_expired(&self, now: Instant, limits: StoreLimits) -> bool {
        self.is_outdated(now, limits.stale_window, limits)
    }

    /// True when the entry has expired and cannot be served in an outage either.
    pub(super) fn is_useless(&self, now: Instant, limits: StoreLimits) -> bool {
        self.is_outdated(now, limits.stale_window.max(limits.outage_window), limits)
    }

    fn is_outdated(&self, now: Instant, stale_window: Duration, limits: StoreLimits) -> bool {
        let window = match &self.failure {
            Some(failure) if !failure.is_valid() => return true,
            Some(_) => limits.failure_window,
            None => stale_window,
        };
        let useful = Duration::from_secs(u64::from(self.ttl)).saturating_add(window);
        now.saturating_duration_since(self.stored) >= useful
    }

    /// Octets the entry costs, overhead included.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.key.len() + self.answer.heap_len() + OVERHEAD).unwrap_or(u32::MAX)
    }

    /// Milliseconds.
    fn since_stored(&self, time: Instant) -> u32 {
        u32::try_from(time.saturating_duration_since(self.stored).as_millis()).unwrap_or(u32::MAX)
    }
}
