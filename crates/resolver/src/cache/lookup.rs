//! What is known already: answers that live, failures that stand, and answers that are over but better than none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::{Class, Rcode};

use crate::Resolver;
use crate::action::Outbox;
use crate::cache::{Age, Entry, Key, Store};
use crate::counters::Plugin;
use crate::inflight::query::Fallback;
use crate::policy::{Block, CacheOptions, Route, ServeStale, ServeStaleMode};
use crate::respond::{Ledger, Recipient, Taken, Telling};

/// How long a client waits before it is told what is stale, if nothing else is configured: RFC 8767 section 5 calls it
/// the client response timer.
const CLIENT_RESPONSE_TIME: Duration = Duration::from_millis(1800);

impl Resolver {
    /// Answers from what is kept; false when an upstream must be asked.
    pub(crate) fn answer_from_cache(&mut self, taken: &Taken<'_>, outbox: &mut Outbox) -> bool {
        let Taken { query, recipient, route } = *taken;
        let block = &route.block;
        let Some(cache) = block.cache_for(query.name.as_wire()) else { return false };
        if query.qclass != Class::IN {
            return false;
        }
        block.counters.cache_requests.add(1);
        let key = Key::new(block.id, query);
        let now = recipient.asked;
        match self.front.get(key.as_bytes(), now, cache.stale_window()) {
            None => self.repeat_failure(taken, &key, outbox),
            Some((entry, Age::Stale)) => {
                let entry = Arc::clone(entry);
                self.answer_stale(taken, &key, entry, outbox)
            }
            Some((entry, Age::Fresh(remaining))) => {
                count_hit(block, entry);
                let shown = if cache.keep_ttl { entry.lifetime } else { remaining };
                let ttl = ResponseTtl::Uniform(shown);
                recipient.tell(hit(entry, ttl, cache), Ledger::of(route), now, outbox);
                let prefetch = cache.prefetch;
                let is_due = prefetch.is_some_and(|prefetch| entry.wants_prefetch(prefetch, now, remaining));
                if is_due && self.failure(&key, now).is_none() {
                    self.refresh(taken, &key, outbox);
                }
                true
            }
        }
    }

    /// Tells a failure again that stands (RFC 9520 section 3.2).
    fn repeat_failure(&mut self, taken: &Taken<'_>, key: &Key, outbox: &mut Outbox) -> bool {
        let Taken { recipient, route, .. } = *taken;
        let Some((failure, remaining)) = self.failure(key, recipient.asked) else {
            route.block.counters.cache_misses.add(1);
            return false;
        };
        count_hit(&route.block, failure);
        // The code speaks of SERVFAIL only (RFC 8914 section 4.14).
        let is_servfail = failure.answer.rcode() == Rcode::SERVFAIL;
        let telling = Telling {
            answer: &failure.answer,
            ttl: ResponseTtl::Uniform(remaining),
            plugin: Plugin::Cache,
            error: is_servfail.then_some(ExtendedError::CACHED_ERROR),
            authoritative: false,
        };
        recipient.tell(telling, Ledger::of(route), recipient.asked, outbox);
        true
    }

    /// The failure of a question that stands at `now`, and its seconds left.
    pub(crate) fn failure(&mut self, key: &Key, now: Instant) -> Option<(&Arc<Entry>, u32)> {
        match self.front.get(Key::of_failure(key.as_bytes()).as_bytes(), now, Duration::ZERO)? {
            (entry, Age::Fresh(remaining)) => Some((entry, remaining)),
            (_, Age::Stale) => None,
        }
    }

    /// Tells what is over, now or when the upstream proves to be no help, and sees to it that it is asked.
    fn answer_stale(&mut self, taken: &Taken<'_>, key: &Key, entry: Arc<Entry>, outbox: &mut Outbox) -> bool {
        let Taken { query, recipient, route } = *taken;
        let Some((cache, stale)) = route.block.stale_for(query.name.as_wire()) else { return false };
        let now = recipient.asked;
        count_hit(&route.block, &entry);
        let may_ask = !entry.is_quiet(now) && self.failure(key, now).is_none();
        if let (ServeStaleMode::Verify(patience), true) = (stale.mode, may_ask && recipient.wants_recursion())
        {
            let verified_already = !patience.is_zero() && self.joinable.contains_key(key.as_bytes());
            if !verified_already {
                let patience = if patience.is_zero() { CLIENT_RESPONSE_TIME } else { patience };
                self.ask_for(taken, Some(Fallback { entry, until: now + patience }), outbox);
                return true;
            }
        }
        tell_stale(&entry, &recipient, (route, cache, stale), now, outbox);
        if may_ask {
            self.refresh(taken, key, outbox);
        }
        true
    }
}

impl Block {
    /// The `cache` directive and its `serve_stale`, for names it covers.
    pub(crate) fn stale_for(&self, name: &[u8]) -> Option<(&CacheOptions, ServeStale)> {
        let cache = self.cache_for(name)?;
        Some((cache, cache.serve_stale?))
    }
}

impl CacheOptions {
    /// How long after its end an answer is worth finding.
    pub(crate) fn stale_window(&self) -> Duration {
        self.serve_stale.map_or(Duration::ZERO, |stale| stale.duration)
    }
}

/// Tells an answer that is over (RFC 8767 section 4, RFC 8914 section 4).
pub(crate) fn tell_stale(
    entry: &Entry,
    recipient: &Recipient<'_>,
    (route, cache, stale): (&Route, &CacheOptions, ServeStale),
    now: Instant,
    outbox: &mut Outbox,
) {
    route.block.counters.served_stale.add(1);
    let error = match entry.answer.rcode() {
        Rcode::NXDOMAIN => ExtendedError::STALE_NXDOMAIN_ANSWER,
        _ => ExtendedError::STALE_ANSWER,
    };
    let telling = Telling { error: Some(error), ..hit(entry, ResponseTtl::Uniform(stale.ttl), cache) };
    recipient.tell(telling, Ledger::of(route), now, outbox);
}

fn hit<'a>(entry: &'a Entry, ttl: ResponseTtl, cache: &CacheOptions) -> Telling<'a> {
    let authoritative = cache.authoritative;
    Telling { answer: &entry.answer, ttl, plugin: Plugin::Cache, error: None, authoritative }
}

fn count_hit(block: &Block, entry: &Entry) {
    match entry.store {
        Store::Success => block.counters.cache_success_hits.add(1),
        Store::Denial => block.counters.cache_denial_hits.add(1),
    }
}
