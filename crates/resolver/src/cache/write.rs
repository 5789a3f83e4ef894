//! Cache writes: answers, SERVFAIL responses and resolution failures (RFC 9520), and what they may
//! not replace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::edns::OptRecord;
use wire::header::{Flags, Rcode};
use wire::query::RequestHeader;
use wire::response::ResponseType;
use wire::{Answer, Response};

use super::lookup::WorkerCache;
use super::ttl::Cacheability;
use super::{
    CachedFailure, Entry, Extra, HashedKey, NewEntry, Outage, Popularity, SieveState, Store, StoreLimits,
};
use crate::policy::{Block, CacheOptions};

/// TTL in seconds of a failure that occurred at once (refused, unreachable, reset): a restarting
/// upstream is back in a moment. It doubles with each consecutive failure (RFC 9520 section 3.2).
const MIN_FAILURE_TTL: u32 = 1;

/// Doublings after which a failure's TTL is at its maximum.
const MAX_DOUBLINGS: u8 = 9;

/// Time between two prefetches of an entry if the first does not replace it.
const PREFETCH_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Where the result of a query is cached.
#[derive(Clone, Copy)]
pub(crate) struct CacheTarget<'a> {
    pub(crate) block: &'a Block,
    pub(crate) options: &'a CacheOptions,
    pub(crate) key: HashedKey<'a>,
}

/// A query that failed without a response.
pub(crate) struct FailedQuery<'a> {
    pub(crate) question: &'a [u8],
    /// QNAME, lower case, in wire form.
    pub(crate) name: &'a [u8],
    /// SERVFAIL, or what `rewrite rcode` makes of it.
    pub(crate) rcode: Rcode,
    /// An attempt timed out, so that each further query would wait as long.
    pub(crate) has_timed_out: bool,
    /// Set when no upstream responded to any other query either: the failure ends with the next
    /// response of one of them.
    pub(crate) outage: Option<Outage>,
}

impl WorkerCache {
    /// Caches an answer, if it is cacheable, and invalidates a cached failure of its question.
    pub(crate) fn cache_answer(
        &mut self,
        now: Instant,
        target: CacheTarget<'_>,
        cacheability: Option<Cacheability>,
        answer: Answer<&[u8]>,
    ) -> Option<Entry> {
        let CacheTarget { options, key, .. } = target;
        if let Some(failure) = self.l1.peek(&key.of_failure()) {
            failure.revoke();
        }
        let Cacheability { ttl, store } = cacheability?;
        let store = store?;
        let extra = options.refreshes_by_hits().then(|| {
            let replaced = options.prefetch.and_then(|_| self.l1.peek(&key));
            let replaced = replaced.as_ref().and_then(|entry| entry.popularity());
            Extra::Popularity(replaced.map_or_else(Popularity::default, Popularity::carry_over))
        });
        self.insert(now, target, (ttl, store, extra), (key, answer))
    }

    /// Caches an upstream's SERVFAIL.
    pub(crate) fn cache_servfail(
        &mut self,
        now: Instant,
        target: CacheTarget<'_>,
        cacheability: Option<Cacheability>,
        answer: Answer<&[u8]>,
    ) -> Option<Entry> {
        let Cacheability { ttl, store } = cacheability?;
        store?;
        self.insert_failure(now, target, (ttl, CachedFailure::default()), answer)
    }

    /// Caches that no upstream responded.
    pub(crate) fn cache_failure(&mut self, now: Instant, target: CacheTarget<'_>, failed: FailedQuery<'_>) {
        let CacheTarget { options, key, .. } = target;
        let max_ttl = u32::try_from(options.servfail.as_secs()).unwrap_or(u32::MAX);
        if max_ttl == 0 || options.denial.is_disabled_for(failed.name) {
            return;
        }
        let streak = self.failure_streak(now, &key.of_failure(), options);
        let ttl = if failed.has_timed_out { max_ttl } else { (MIN_FAILURE_TTL << streak).min(max_ttl) };
        let Some(answer) = empty_answer(failed.question, failed.rcode) else { return };
        self.insert_failure(now, target, (ttl, CachedFailure::new(failed.outage, streak)), answer.borrowed());
    }

    fn insert_failure(
        &mut self,
        now: Instant,
        target: CacheTarget<'_>,
        (ttl, failure): (u32, CachedFailure),
        answer: Answer<&[u8]>,
    ) -> Option<Entry> {
        let kept = (ttl, Store::Denial, Some(Extra::Failure(failure)));
        self.insert(now, target, kept, (target.key.of_failure(), answer))
    }

    fn insert(
        &mut self,
        now: Instant,
        target: CacheTarget<'_>,
        (ttl, store, extra): (u32, Store, Option<Extra>),
        (key, answer): (HashedKey<'_>, Answer<&[u8]>),
    ) -> Option<Entry> {
        let (usage, sieve) = (Arc::clone(&target.block.usage), SieveState::default());
        let new = NewEntry { key, answer, stored: self.clock().time(now), ttl, store, usage, extra, sieve };
        let entry = Entry::new(new)?;
        let limits = StoreLimits::of(target.options, entry.store);
        if !self.l1.insert(entry.clone(), limits) {
            target.block.counters.cache_oversized.add(1);
        }
        Some(entry)
    }

    /// Consecutive failures of a question so far; the last must be recent.
    fn failure_streak(&self, now: Instant, failure_key: &HashedKey<'_>, options: &CacheOptions) -> u8 {
        let now = self.clock().time(now);
        let last = self.l1.peek(failure_key).filter(|last| last.freshness(now, options.servfail).is_some());
        let streak = last.and_then(|last| Some(last.failure()?.streak + 1));
        streak.unwrap_or(0).min(MAX_DOUBLINGS)
    }

    /// Suppresses refreshes of a stale answer after a failed one, for `failure_recheck`.
    pub(crate) fn suppress_refresh(&mut self, now: Instant, target: CacheTarget<'_>) {
        let recheck = target.options.serve_stale.map_or(Duration::ZERO, |stale| stale.failure_recheck);
        if recheck.is_zero() {
            return;
        }
        if let Some(entry) = self.l1.peek(&target.key) {
            entry.suppress_refresh(self.clock().time(now).after(recheck));
        }
    }

    /// Suppresses prefetches of an entry that a prefetch has not replaced, so that hits do not
    /// repeat it at once.
    pub(crate) fn suppress_prefetch(&mut self, now: Instant, target: CacheTarget<'_>) {
        let now = self.clock().time(now);
        let kept = self.l1.peek(&target.key).filter(|entry| entry.stored != now);
        if let Some(entry) = kept.filter(|entry| !entry.is_refresh_suppressed(now)) {
            entry.suppress_refresh(entry.expiry().min(now.after(PREFETCH_RETRY_INTERVAL)));
        }
    }

    /// True when a cached positive answer is kept instead of a response of this type: until its TTL
    /// ends, instead of one that does not say whether there are records (no answer, no SOA), and
    /// with `serve_stale_policy prefer_positive` until the stale window ends, instead of any other.
    pub(crate) fn prefers_cached(
        &self,
        now: Instant,
        target: CacheTarget<'_>,
        response: ResponseType,
    ) -> bool {
        if response == ResponseType::Positive {
            return false;
        }
        let preferred = target.options.serve_stale.filter(|stale| stale.prefer_positive);
        let says_nothing = matches!(response, ResponseType::Empty | ResponseType::Delegation);
        let window = preferred.map(|stale| stale.duration).or_else(|| says_nothing.then_some(Duration::ZERO));
        let Some(window) = window else { return false };
        let cached = self.l1.peek(&target.key).filter(|cached| cached.answer().has_answers());
        cached.is_some_and(|cached| cached.freshness(self.clock().time(now), window).is_some())
    }

    /// True when all RRSIGs of the response are within their validity period.
    pub(crate) fn are_rrsigs_valid(&self, now: Instant, response: &Response<'_>) -> bool {
        let Some((then, unix_time)) = self.wall_clock else { return true };
        response.rrsigs_valid_at(unix_time + now.saturating_duration_since(then).as_secs())
    }
}

/// An empty response.
pub(super) fn empty_answer(question: &[u8], rcode: Rcode) -> Option<Answer> {
    let mut message = Vec::new();
    let header = RequestHeader { id: 0, flags: Flags(0), question, edns: None };
    wire::reply::error(&header, rcode, OptRecord::DEFAULT, &mut message);
    Response::parse(&message).ok().map(|response| Answer::from_response(&response))
}
