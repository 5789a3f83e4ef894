//! Cache of NXDOMAIN cuts (RFC 8020): names that do not exist, and names that are barred from being cuts.
//!
//! Both are entries of the denial store under the name, with type A and a variant of their own: a cut
//! with the upstream's response, a bar with an empty NOERROR. They are looked up in the shared table only,
//! so that a cut that is removed is in force in no worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::header::{Rcode, RecordType};
use wire::{Answer, Response};

use super::entry::{Entry, Freshness, NewEntry};
use super::key::{HashedKey, Key, Variant};
use super::lookup::WorkerCache;
use super::visited::SieveState;
use super::write::{CacheTarget, empty_answer};
use super::{Store, StoreLimits};
use crate::policy::BlockId;

/// Seconds for which a name is barred.
pub(crate) const BAR_TTL: u32 = 300;

/// Maximum TTL of a cut in seconds: three hours, as of negative answers (RFC 2308 section 5).
const MAX_CUT_TTL: u32 = 10_800;

/// What is known of a name as a cut.
#[derive(Clone, Debug)]
pub(crate) enum CutState {
    /// It does not exist, for so many seconds more.
    Cut(Entry, u32),
    /// It is no cut, for so many seconds more.
    Barred(u32),
}

impl CutState {
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Cut(..))
    }
}

impl WorkerCache {
    /// What is known of `name`, in wire form and lower case.
    pub(crate) fn cut_state(&self, block: BlockId, name: &[u8], now: Instant) -> Option<CutState> {
        let entry = self.l1.peek(&self.cut_key(block, name))?;
        let Freshness::Fresh(remaining) = entry.freshness(self.clock().time(now), Duration::ZERO)? else {
            return None;
        };
        Some(match entry.answer().rcode() {
            Rcode::NXDOMAIN => CutState::Cut(entry, remaining),
            _ => CutState::Barred(remaining),
        })
    }

    /// The cached response to a query for A of `name`, and its age in seconds, unless it has expired.
    pub(crate) fn cached_address_response(
        &self,
        block: BlockId,
        name: &[u8],
        now: Instant,
    ) -> Option<(Entry, u32)> {
        let entry = self.l1.peek(&self.address_key(block, name))?;
        let Freshness::Fresh(remaining) = entry.freshness(self.clock().time(now), Duration::ZERO)? else {
            return None;
        };
        let age = entry.ttl.saturating_sub(remaining);
        Some((entry, age))
    }

    /// True when the failure of a query for A of `name` is cached (RFC 9520).
    pub(crate) fn has_cut_failure(&self, block: BlockId, name: &[u8], now: Instant) -> bool {
        let failure = self.l1.peek(&self.address_key(block, name).of_failure());
        failure.is_some_and(|failure| failure.freshness(self.clock().time(now), Duration::ZERO).is_some())
    }

    /// Caches a cut for the rest of the negative TTL of `response`, which was received `age` seconds ago.
    /// False when it is barred, or its TTL is 0.
    pub(crate) fn insert_cut(
        &self,
        now: Instant,
        target: CacheTarget<'_>,
        (response, age): (&Response<'_>, u32),
    ) -> bool {
        let negative = response.min_ttl.zip(response.soa_minimum).map(|(ttl, minimum)| ttl.min(minimum));
        let ttl = negative.unwrap_or(0).min(MAX_CUT_TTL).saturating_sub(age);
        let answer = Answer::from_response(response);
        ttl > 0 && self.insert_cut_entry(now, target, (answer.borrowed(), ttl))
    }

    /// Bars a name from being a cut for [`BAR_TTL`], in place of the cut if it is one.
    pub(crate) fn bar_cut(&self, now: Instant, target: CacheTarget<'_>) {
        if let Some(answer) = empty_answer(&target.key.key.question(), Rcode::NOERROR) {
            self.insert_cut_entry(now, target, (answer.borrowed(), BAR_TTL));
        }
    }

    fn insert_cut_entry(
        &self,
        now: Instant,
        target: CacheTarget<'_>,
        (answer, ttl): (Answer<&[u8]>, u32),
    ) -> bool {
        let (usage, sieve, stored) =
            (Arc::clone(&target.block.usage), SieveState::default(), self.clock().time(now));
        let new = NewEntry {
            key: target.key,
            answer,
            stored,
            ttl,
            store: Store::Denial,
            usage,
            extra: None,
            sieve,
        };
        let Some(entry) = Entry::new(new) else { return false };
        let is_cut = answer.rcode() == Rcode::NXDOMAIN;
        let is_barred = |old: &Entry| {
            old.answer().rcode() != Rcode::NXDOMAIN && old.freshness(stored, Duration::ZERO).is_some()
        };
        let limits = StoreLimits::of(target.options, Store::Denial);
        self.l1.insert_shared(&entry, limits, |old| is_cut && is_barred(old))
    }

    /// The key of a query for A of a name.
    fn address_key<'a>(&self, block: BlockId, name: &'a [u8]) -> HashedKey<'a> {
        self.l1.hashed_key(Key { block, variant: Variant::default(), qtype: RecordType::A, name })
    }

    /// The key of a name as a cut.
    pub(crate) fn cut_key<'a>(&self, block: BlockId, name: &'a [u8]) -> HashedKey<'a> {
        self.l1.hashed_key(Key::of_cut(block, RecordType::A, name))
    }
}
