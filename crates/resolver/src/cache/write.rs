//! What is kept of how a question ended: answers, failures (RFC 9520), and nothing in place of something better.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use wire::edns::OptRecord;
use wire::header::{Flags, Rcode};
use wire::query::RequestHeader;
use wire::response::ResponseType;
use wire::{Answer, Response};

use crate::Resolver;
use crate::cache::ttl::{Cacheability, covers_any};
use crate::cache::{CachedFailure, Entry, Key, Outage, Popularity, SieveState, Store, StoreLimits};
use crate::inflight::query::{InflightQuery, UpstreamQuery};
use crate::policy::{Block, CacheOptions};

/// The life of a failure that came at once (refused, unreachable, reset), in seconds: an upstream that restarts is back
/// in a moment. Each further one in a row lives twice as long (RFC 9520 section 3.2).
const FIRST_LIFE: u32 = 1;

/// Doublings after which a failure lives as long as any may.
const MOST_DOUBLINGS: u8 = 9;

impl Resolver {
    /// Keeps an answer for its life, and forgets that the question once failed.
    pub(crate) fn cache_answer(
        &mut self,
        now: Instant,
        query: &UpstreamQuery,
        cacheability: Option<Cacheability>,
        answer: &Answer,
    ) {
        let Some((cache, key)) = query.cache().zip(query.key.as_ref()) else { return };
        if let Some(failed) = self.cache.peek(Key::of_failure(key).as_bytes()) {
            failed.revoke();
        }
        let Some((cacheability, store)) =
            cacheability.and_then(|cacheability| Some((cacheability, cacheability.store?)))
        else {
            return;
        };
        let before = cache.prefetch.and_then(|_| self.cache.peek(key));
        let popularity = before.map_or_else(Popularity::default, |before| before.popularity.carry_over());
        let block = &query.route.block;
        let entry = Entry {
            key: Arc::clone(key),
            answer: answer.clone(),
            stored: now,
            ttl: cacheability.ttl,
            store,
            usage: Arc::clone(&block.usage),
            failure: None,
            popularity,
            sieve: SieveState::default(),
        };
        self.insert(block, cache, entry);
    }

    /// Puts an entry into the cache, or counts that it is too big for it.
    fn insert(&mut self, block: &Block, cache: &CacheOptions, entry: Entry) {
        let limits = StoreLimits::of(cache, entry.store);
        if !self.cache.insert(Arc::new(entry), limits) {
            block.counters.cache_oversized.add(1);
        }
    }

    /// Keeps what an upstream said instead of an answer.
    pub(crate) fn cache_servfail(
        &mut self,
        now: Instant,
        query: &UpstreamQuery,
        cacheability: Option<Cacheability>,
        answer: &Answer,
    ) {
        let Some((cacheability, key)) =
            cacheability.filter(|cacheability| cacheability.store.is_some()).zip(query.key.as_ref())
        else {
            return;
        };
        let (key, failure) = (Arc::from(Key::of_failure(key).as_bytes()), CachedFailure::default());
        self.insert_failure(now, query, (key, cacheability.ttl, failure), answer.clone());
    }

    /// Keeps that no upstream gave an answer: until one of them does, if none was heard of at all. A worker that only
    /// waited for another knows nothing of upstreams, and what a reload has put in their place may know better.
    pub(crate) fn cache_failure(&mut self, now: Instant, inflight: &InflightQuery) {
        let query = &inflight.query;
        let key = query.key.as_ref().filter(|_| inflight.is_owner);
        let Some((cache, key)) = query.cache().zip(key) else { return };
        let most = u32::try_from(cache.servfail.as_secs()).unwrap_or(u32::MAX);
        if most == 0 || covers_any(&cache.denial.disabled, &query.name) || !self.policy.serves(&query.route) {
            return;
        }
        let key: Arc<[u8]> = Arc::from(Key::of_failure(key).as_bytes());
        let streak = self.streak(now, &key, cache);
        let ttl = if inflight.has_waited { most } else { (FIRST_LIFE << streak).min(most) };
        let forward = query.forward().map(|forward| Arc::clone(&forward.state));
        let unheard = forward.filter(|forward| forward.responses.load(Relaxed) == inflight.heard);
        let outage = unheard.map(|forward| Outage { forward, responses: inflight.heard });
        let Some(answer) = no_answer(&query.question) else { return };
        let failure = CachedFailure::new(outage, streak);
        self.insert_failure(now, query, (key, ttl, failure), answer);
    }

    fn insert_failure(
        &mut self,
        now: Instant,
        query: &UpstreamQuery,
        (key, ttl, failure): (Arc<[u8]>, u32, CachedFailure),
        answer: Answer,
    ) {
        let Some(cache) = query.cache() else { return };
        let entry = Entry {
            key,
            answer,
            stored: now,
            ttl,
            store: Store::Denial,
            usage: Arc::clone(&query.route.block.usage),
            failure: Some(Box::new(failure)),
            popularity: Popularity::default(),
            sieve: SieveState::default(),
        };
        self.insert(&query.route.block, cache, entry);
    }

    /// How many failures of a question there were in a row, the last of them not long over.
    fn streak(&self, now: Instant, key: &[u8], cache: &CacheOptions) -> u8 {
        let last = self.cache.peek(key).filter(|last| last.freshness(now, cache.servfail).is_some());
        let streak = last.and_then(|last| Some(last.failure.as_ref()?.streak + 1));
        streak.unwrap_or(0).min(MOST_DOUBLINGS)
    }

    /// Leaves upstreams in peace about a stale answer that could not be renewed, for as long as configured.
    pub(crate) fn suppress_refresh(&mut self, now: Instant, query: &UpstreamQuery) {
        let stale = query.cache().and_then(|cache| cache.serve_stale);
        let recheck = stale.map_or(Duration::ZERO, |stale| stale.failure_recheck);
        let Some(key) = query.key.as_ref().filter(|_| !recheck.is_zero()) else { return };
        if let Some(entry) = self.cache.peek(key) {
            entry.suppress_refresh(now + recheck);
        }
    }

    /// True when a last known good answer is better than one of this kind: `serve_stale_policy prefer_positive`.
    pub(crate) fn is_outdone(&self, now: Instant, query: &UpstreamQuery, kind: ResponseType) -> bool {
        let stale = query.cache().and_then(|cache| cache.serve_stale).filter(|stale| stale.prefer_positive);
        let Some((stale, key)) = stale.filter(|_| kind != ResponseType::Positive).zip(query.key.as_ref())
        else {
            return false;
        };
        let known = self.cache.peek(key).filter(|known| known.answer.has_answers());
        known.is_some_and(|known| known.freshness(now, stale.duration).is_some())
    }

    /// False when the client wants signatures and one of them is not valid now: nothing one may keep.
    pub(crate) fn signatures_hold(
        &self,
        now: Instant,
        query: &UpstreamQuery,
        response: &Response<'_>,
    ) -> bool {
        let Some((then, unix_time)) = self.wall_clock.filter(|_| query.dnssec_ok) else { return true };
        response.rrsigs_valid_at(unix_time + now.saturating_duration_since(then).as_secs())
    }
}

impl UpstreamQuery {
    /// The `cache` directive, for names it covers.
    fn cache(&self) -> Option<&CacheOptions> {
        self.route.block.cache_for(&self.name)
    }
}

/// SERVFAIL as an answer that can be kept.
fn no_answer(question: &[u8]) -> Option<Answer> {
    let mut message = Vec::new();
    let header = RequestHeader { id: 0, flags: Flags(0), question, edns: None };
    wire::reply::error(&header, Rcode::SERVFAIL, OptRecord::DEFAULT, &mut message);
    Response::parse(&message).ok().map(|response| Answer::from_response(&response))
}
