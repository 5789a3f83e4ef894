//! One kept answer and its life.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wire::Answer;

use super::{Terms, Usage};
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
pub(crate) enum Age {
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
    pub(crate) lifetime: u32,
    pub(crate) store: Store,
    pub(crate) usage: Arc<Usage>,
    /// Until when it stands, for a failure.
    pub(crate) failure: Option<Box<Failure>>,
    pub(crate) demand: Demand,
    pub(crate) standing: Standing,
}

/// A failure that is told again instead of asking (RFC 9520 section 3.2).
#[derive(Debug, Default)]
pub(crate) struct Failure {
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

impl Failure {
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
pub(crate) struct Demand {
    hits: AtomicU32,
    last_hit: AtomicU32,
    quiet_until: AtomicU32,
}

impl Demand {
    /// The demand of an entry that takes the place of this one.
    pub(crate) fn inherit(&self) -> Self {
        Self { hits: AtomicU32::new(self.hits.load(Relaxed)), ..Self::default() }
    }

    /// The demand of an entry as another process saw it.
    pub(super) fn resume(hits: u32, last_hit: u32) -> Self {
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
pub(crate) struct Standing {
    place: AtomicU32,
    asked: AtomicBool,
}

impl Standing {
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
    pub(crate) fn age(&self, now: Instant, window: Duration) -> Option<Age> {
        if self.failure.as_ref().is_some_and(|failure| !failure.stands()) {
            return None;
        }
        let age = now.saturating_duration_since(self.stored);
        let lifetime = Duration::from_secs(u64::from(self.lifetime));
        if age < lifetime {
            let elapsed = u32::try_from(age.as_secs()).ok()?;
            return self.lifetime.checked_sub(elapsed).map(Age::Fresh);
        }
        (age - lifetime < window).then_some(Age::Stale)
    }

    /// Notes a hit; true when the name is popular and the end of the answer's life is near: `remaining` seconds.
    pub(crate) fn wants_prefetch(&self, prefetch: Prefetch, now: Instant, remaining: u32) -> bool {
        let at = self.since_stored(now);
        let gap = at.saturating_sub(self.demand.last_hit.swap(at, Relaxed));
        let popular = u128::from(gap) <= prefetch.duration.as_millis();
        let hits = if popular { self.demand.hits.load(Relaxed).saturating_add(1) } else { 1 };
        self.demand.hits.store(hits, Relaxed);
        let part = u64::from(self.lifetime) * u64::from(prefetch.percent);
        hits >= prefetch.amount && u64::from(remaining) <= part.div_ceil(100)
    }

    /// Leaves upstreams in peace about it until `until`.
    pub(crate) fn keep_quiet(&self, until: Instant) {
        self.demand.quiet_until.store(self.since_stored(until), Relaxed);
    }

    /// True when upstreams are to be left in peace about it.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.since_stored(now) < self.demand.quiet_until.load(Relaxed)
    }

    /// The question that failed has been answered.
    pub(crate) fn revoke(&self) {
        if let Some(failure) = &self.failure {
            failure.revoked.store(true, Relaxed);
        }
    }

    /// True when it is of no use any more.
    pub(super) fn has_ended(&self, now: Instant, terms: Terms) -> bool {
        let grace = match &self.failure {
            Some(failure) if !failure.stands() => return true,
            Some(_) => terms.failure_grace,
            None => terms.grace,
        };
        let life = Duration::from_secs(u64::from(self.lifetime)).saturating_add(grace);
        now.saturating_duration_since(self.stored) >= life
    }

    /// Octets this costs, the cache's own bookkeeping included.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.key.len() + self.answer.heap_len() + super::BOOKKEEPING).unwrap_or(u32::MAX)
    }

    fn since_stored(&self, time: Instant) -> u32 {
        u32::try_from(time.saturating_duration_since(self.stored).as_millis()).unwrap_or(u32::MAX)
    }
}
