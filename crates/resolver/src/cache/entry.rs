//! A cache entry: an answer or a failure with its expiry, in one allocation.

use std::ops::Deref;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use triomphe::ThinArc;
use wire::Answer;
use wire::answer::AnswerLayout;
use wire::header::RecordType;

use super::capacity::StoreLimits;
use super::failure::CachedFailure;
use super::key::{HashedKey, Key, KeyHash, Variant};
use super::prefetch::Popularity;
use super::time::{CacheTime, NANOS_PER_SECOND};
use super::visited::SieveState;
use crate::policy::{BlockId, Prefetch};
use crate::store::Store;
use crate::usage::Usage;

/// Octets of an allocation before the entry's fields: reference count and length.
const ARC_LEN: usize = 16;

/// Octets that a heap such as glibc's adds to an allocation, and of which its sizes are multiples.
const CHUNK_HEADER: usize = 8;
const CHUNK_ALIGNMENT: usize = 16;

/// Octets of an entry's share of the hash table, between a half and seven eighths full, and of the
/// list in eviction order, whose capacity doubles. `tests/allocations.rs` holds the weight of an
/// entry to a twentieth.
const TABLES_LEN: usize = 38;

/// Whether an entry has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Not expired: whole seconds left, above 0.
    Fresh(u32),
    /// Expired, but within the stale window (RFC 8767 section 4).
    Stale,
}

/// A cached answer or failure. Its answer never changes; a newer answer is another entry. A clone is
/// the same entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry(ThinArc<EntryFields, u8>);

/// What an entry has beside the octets of its answer, whose question completes its key.
#[derive(Debug)]
pub(crate) struct EntryFields {
    pub(super) stored: CacheTime,
    pub(crate) usage: Arc<Usage>,
    extra: Option<Box<Extra>>,
    /// Seconds, above 0.
    pub(crate) ttl: u32,
    layout: AnswerLayout,
    pub(crate) hash: KeyHash,
    pub(crate) block: BlockId,
    pub(crate) variant: Variant,
    pub(crate) store: Store,
    pub(crate) sieve: SieveState,
}

/// What few entries have.
#[derive(Debug)]
pub(crate) enum Extra {
    /// An entry that is refreshed by hits.
    Popularity(Popularity),
    /// A failure.
    Failure(CachedFailure),
}

/// The parts of an entry.
pub(crate) struct NewEntry<'a> {
    pub(crate) key: HashedKey<'a>,
    pub(crate) answer: Answer<&'a [u8]>,
    pub(super) stored: CacheTime,
    /// Seconds, above 0.
    pub(crate) ttl: u32,
    pub(crate) store: Store,
    pub(crate) usage: Arc<Usage>,
    pub(crate) extra: Option<Extra>,
    pub(crate) sieve: SieveState,
}

impl Entry {
    /// `None` when the answer has another question than the key.
    pub(crate) fn new(new: NewEntry<'_>) -> Option<Self> {
        let NewEntry { key: HashedKey { key, hash }, answer, stored, ttl, store, usage, extra, sieve } = new;
        if answer.question()? != (key.name, key.qtype) {
            return None;
        }
        let fields = EntryFields {
            stored,
            usage,
            extra: extra.map(Box::new),
            ttl,
            layout: answer.layout(),
            hash,
            block: key.block,
            variant: key.variant,
            store,
            sieve,
        };
        Some(Self(ThinArc::from_header_and_slice(fields, answer.octets())))
    }

    /// The key.
    pub(crate) fn key(&self) -> Key<'_> {
        // An entry without a question is not created.
        let (name, qtype) = self.answer().question().unwrap_or((&[], RecordType(0)));
        Key { block: self.block, variant: self.variant, qtype, name }
    }

    /// The key and its hash.
    pub(crate) fn hashed_key(&self) -> HashedKey<'_> {
        HashedKey { key: self.key(), hash: self.hash }
    }

    /// True when this is its key.
    pub(crate) fn has_key(&self, key: &HashedKey<'_>) -> bool {
        self.hash == key.hash && self.key() == key.key
    }

    /// The answer.
    pub(crate) fn answer(&self) -> Answer<&[u8]> {
        Answer::new(self.layout, &self.0.slice)
    }

    /// True when both are the same entry, not only equal ones.
    pub(crate) fn is(&self, other: &Self) -> bool {
        ptr::eq::<EntryFields>(&**self, &**other)
    }

    /// True while there is another clone.
    #[cfg(test)]
    pub(super) fn is_shared(&self) -> bool {
        ThinArc::strong_count(&self.0) > 1
    }

    /// Octets the entry costs, overhead included.
    pub(crate) fn weight(&self) -> u32 {
        let extra = self.extra.as_ref().map_or(0, |_| chunk_len(size_of::<Extra>()));
        let octets = chunk_len(ARC_LEN + size_of::<EntryFields>() + self.0.slice.len()) + extra + TABLES_LEN;
        u32::try_from(octets).unwrap_or(u32::MAX)
    }
}

fn chunk_len(octets: usize) -> usize {
    (octets + CHUNK_HEADER).next_multiple_of(CHUNK_ALIGNMENT)
}

impl Deref for Entry {
    type Target = EntryFields;

    fn deref(&self) -> &EntryFields {
        &self.0.header.header
    }
}

impl EntryFields {
    /// Set for a failure.
    pub(crate) fn failure(&self) -> Option<&CachedFailure> {
        match self.extra.as_deref()? {
            Extra::Failure(failure) => Some(failure),
            Extra::Popularity(_) => None,
        }
    }

    /// Set for an entry that is refreshed by hits.
    pub(crate) fn popularity(&self) -> Option<&Popularity> {
        match self.extra.as_deref()? {
            Extra::Popularity(popularity) => Some(popularity),
            Extra::Failure(_) => None,
        }
    }

    /// Freshness at `now`; `None` when the entry expired longer than `stale_window` ago or is a
    /// failure that is no longer valid.
    pub(crate) fn freshness(&self, now: CacheTime, stale_window: Duration) -> Option<Freshness> {
        if self.failure().is_some_and(|failure| !failure.is_valid()) {
            return None;
        }
        let age = now.nanos_since(self.stored);
        let ttl = u64::from(self.ttl) * NANOS_PER_SECOND;
        if age < ttl {
            let elapsed = u32::try_from(age / NANOS_PER_SECOND).ok()?;
            return self.ttl.checked_sub(elapsed).map(Freshness::Fresh);
        }
        (Duration::from_nanos(age - ttl) < stale_window).then_some(Freshness::Stale)
    }

    /// When the TTL ends.
    pub(super) fn expiry(&self) -> CacheTime {
        self.stored.after(Duration::from_secs(u64::from(self.ttl)))
    }

    /// Counts a hit with `remaining` seconds of TTL left; true when the entry is popular and the
    /// remaining TTL is below the prefetch threshold.
    pub(crate) fn hit_triggers_prefetch(&self, prefetch: Prefetch, now: CacheTime, remaining: u32) -> bool {
        let Some(popularity) = self.popularity() else { return false };
        let popular = popularity.count_hit(prefetch, self.since_stored(now));
        let part = u64::from(self.ttl) * u64::from(prefetch.percent);
        popular && u64::from(remaining) <= part.div_ceil(100)
    }

    /// Suppresses refreshes of this entry until `until`.
    pub(crate) fn suppress_refresh(&self, until: CacheTime) {
        if let Some(popularity) = self.popularity() {
            popularity.suppress_refresh(self.since_stored(until));
        }
    }

    pub(crate) fn is_refresh_suppressed(&self, now: CacheTime) -> bool {
        self.popularity().is_some_and(|popularity| popularity.is_refresh_suppressed(self.since_stored(now)))
    }

    /// Invalidates a cached failure, because its question has been answered.
    pub(crate) fn revoke(&self) {
        if let Some(failure) = self.failure() {
            failure.revoke();
        }
    }

    /// True when the entry has expired and cannot be served stale either, unless in an outage.
    pub(super) fn is_expired(&self, now: CacheTime, limits: StoreLimits) -> bool {
        self.is_outdated(now, limits.stale_window, limits)
    }

    /// True when the entry has expired and cannot be served in an outage either.
    pub(super) fn is_useless(&self, now: CacheTime, limits: StoreLimits) -> bool {
        self.is_outdated(now, limits.stale_window.max(limits.outage_window), limits)
    }

    fn is_outdated(&self, now: CacheTime, stale_window: Duration, limits: StoreLimits) -> bool {
        let window = match self.failure() {
            Some(failure) if !failure.is_valid() => return true,
            Some(_) => limits.failure_window,
            None => stale_window,
        };
        let useful = Duration::from_secs(u64::from(self.ttl)).saturating_add(window);
        self.stored.after(useful) <= now
    }

    /// Milliseconds.
    fn since_stored(&self, time: CacheTime) -> u32 {
        u32::try_from(time.since(self.stored).as_millis()).unwrap_or(u32::MAX)
    }
}
