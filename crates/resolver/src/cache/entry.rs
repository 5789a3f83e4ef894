//! One kept answer and its life.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wire::Answer;

use super::{StoreLimits, Usage};
use crate::policy::{ForwardState, Prefetch};

/// Which of a block's two stores an entry counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Answers with records.
    Success,
    /// Answers that say there is nothing, and failures.
    Denial,
}

/// How old an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Alive, with this many whole seconds left, above 0.
    Fresh(u32),
    /// Over, but within the time in which it may be told when nothing newer can be had (RFC 8767 section 4).
    Stale,
}

/// A kept answer. What it says does not change; a newer answer is another entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<[u8]>,
    pub(crate) answer: Answer,
    pub(crate) stored: Instant,
    /// Seconds, above 0.
    pub(crate) ttl: u32,
    pub(crate) store: Store,
    pub(crate) usage: Arc<Usage>,
    /// Until when it stands, for a failure.
    pub(crate) failure: Option<Box<CachedFailure>>,
    pub(crate) popularity: Popularity,
    pub(crate) sieve: SieveState,
}

/// A failure that is told again instead of asking (RFC 9520 section 3.2).
#[derive(Debug, Default)]
pub(crate) struct CachedFailure {
    /// Nothing was heard of the upstreams while it came about: it ends with their next answer.
    outage: Option<Outage>,
    /// The question has been answered since.
    revoked: AtomicBool,
    /// Failures of this question in a row before this one.
    pub(crate) streak: u8,
}

/// Upstreams of which nothing is heard.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) forward: Arc<ForwardState>,
    /// Answers they had given before.
    pub(crate) answers: u64,
}

impl Outage {
    fn lasts(&self) -> bool {
        self.forward.responses.load(Relaxed) == self.answers
    }
}

impl CachedFailure {
    /// A failure that came after `streak` others in a row, during an outage or not.
    pub(crate) fn new(outage: Option<Outage>, streak: u8) -> Self {
        Self { outage, streak, revoked: AtomicBool::new(false) }
    }

    fn stands(&self) -> bool {
        !self.revoked.load(Relaxed) && self.outage.as_ref().is_none_or(Outage::lasts)
    }
}

/// How much an entry is wanted. Times are milliseconds since it was stored.
#[derive(Debug, Default)]
pub(crate) struct Popularity {
    hits: AtomicU32,
    last_hit: AtomicU32,
    quiet_until: AtomicU32,
}

impl Popularity {
    /// The demand of an entry that takes the place of this one.
    pub(crate) fn carry_over(&self) -> Self {
        Self { hits: AtomicU32::new(self.hits.load(Relaxed)), ..Self::default() }
    }

    /// The demand of an entry as another process saw it.
    pub(super) fn restore(hits: u32, last_hit: u32) -> Self {
        let [hits, last_hit] = [hits, last_hit].map(AtomicU32::new);
        Self { hits, last_hit, ..Self::default() }
    }

    /// Hits without a long gap between them, if the block counts them for `prefetch`.
    pub(super) fn hits(&self) -> u32 {
        self.hits.load(Relaxed)
    }

    /// When the last of them was.
    pub(super) fn last_hit(&self) -> u32 {
        self.last_hit.load(Relaxed)
    }
}

/// What decides whether an entry stays when room is wanted.
#[derive(Debug, Default)]
pub(crate) struct SieveState {
    place: AtomicU32,
    asked: AtomicBool,
}

impl SieveState {
    /// Notes that the entry was asked for. Written only when that is news: workers share what stands in this line of
    /// memory.
    pub(crate) fn ask(&self) {
        if !self.asked.load(Relaxed) {
            self.asked.store(true, Relaxed);
        }
    }

    /// True when the entry was asked for since the hand last came by.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// True when the entry was asked for since this was last called.
    pub(super) fn pass_by(&self) -> bool {
        let asked = self.asked.load(Relaxed);
        self.asked.store(false, Relaxed);
        asked
    }

    /// Its place among the entries of its store.
    pub(super) fn place(&self) -> u32 {
        self.place.load(Relaxed)
    }

    /// Notes its place.
    pub(super) fn stand(&self, place: u32) {
        self.place.store(place, Relaxed);
    }
}

impl Entry {
    /// How old it is at `now`, or nothing when it is over for longer than `window`.
    pub(crate) fn freshness(&self, now: Instant, window: Duration) -> Option<Freshness> {
        if self.failure.as_ref().is_some_and(|failure| !failure.stands()) {
            return None;
        }
        let age = now.saturating_duration_since(self.stored);
        let ttl = Duration::from_secs(u64::from(self.ttl));
        if age < ttl {
            let elapsed = u32::try_from(age.as_secs()).ok()?;
            return self.ttl.checked_sub(elapsed).map(Freshness::Fresh);
        }
        (age - ttl < window).then_some(Freshness::Stale)
    }

    /// Notes a hit; true when the name is popular and the end of the answer's life is near: `remaining` seconds.
    pub(crate) fn hit_triggers_prefetch(&self, prefetch: Prefetch, now: Instant, remaining: u32) -> bool {
        let at = self.since_stored(now);
        let gap = at.saturating_sub(self.popularity.last_hit.swap(at, Relaxed));
        let popular = u128::from(gap) <= prefetch.duration.as_millis();
        let hits = if popular { self.popularity.hits.load(Relaxed).saturating_add(1) } else { 1 };
        self.popularity.hits.store(hits, Relaxed);
        let part = u64::from(self.ttl) * u64::from(prefetch.percent);
        hits >= prefetch.amount && u64::from(remaining) <= part.div_ceil(100)
    }

    /// Leaves upstreams in peace about it until `until`.
    pub(crate) fn suppress_refresh(&self, until: Instant) {
        self.popularity.quiet_until.store(self.since_stored(until), Relaxed);
    }

    /// True when upstreams are to be left in peace about it.
    pub(crate) fn is_refresh_suppressed(&self, now: Instant) -> bool {
        self.since_stored(now) < self.popularity.quiet_until.load(Relaxed)
    }

    /// The question that failed has been answered.
    pub(crate) fn revoke(&self) {
        if let Some(failure) = &self.failure {
            failure.revoked.store(true, Relaxed);
        }
    }

    /// True when it is of no use any more.
    pub(super) fn is_expired(&self, now: Instant, limits: StoreLimits) -> bool {
        let grace = match &self.failure {
            Some(failure) if !failure.stands() => return true,
            Some(_) => limits.failure_grace,
            None => limits.grace,
        };
        let cacheability = Duration::from_secs(u64::from(self.ttl)).saturating_add(grace);
        now.saturating_duration_since(self.stored) >= cacheability
    }

    /// Octets this costs, the cache's own bookkeeping included.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.key.len() + self.answer.heap_len() + super::BOOKKEEPING).unwrap_or(u32::MAX)
    }

    fn since_stored(&self, time: Instant) -> u32 {
        u32::try_from(time.saturating_duration_since(self.stored).as_millis()).unwrap_or(u32::MAX)
    }
}
