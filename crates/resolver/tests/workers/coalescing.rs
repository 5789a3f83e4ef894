//! Coalescing across workers: several workers miss the same name at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Outbox, ShareResult, WorkerId};
use resolver::cache::Cache;
use resolver::inflight::shared::SharedInflight;
use resolver::policy::{Block, Prefetch};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;

use crate::exchange::{Actions, client, query, response};

const NAME: &str = "www.example.test";

/// Workers that share a cache and in-flight queries.
struct Workers {
    resolvers: Vec<Resolver>,
    now: Instant,
}

impl Workers {
    fn new(count: u16) -> Self {
        Self::with(count, |_| ())
    }

    /// With a block changed by `change`.
    fn with(count: u16, change: impl Fn(&mut Block)) -> Self {
        let (cache, shared_inflight) =
            (Arc::new(Cache::new(1 << 20, testkit::clock::now())), Arc::new(SharedInflight::default()));
        let resolvers = (0..count).map(|worker| {
            let mut block = fixture::block();
            change(&mut block);
            Resolver::new(ResolverConfig {
                worker: WorkerId(worker),
                cache: Arc::clone(&cache),
                shared_inflight: Arc::clone(&shared_inflight),
                ..fixture::resolver_config(fixture::policy(block))
            })
        });
        Self { resolvers: resolvers.collect(), now: testkit::clock::now() }
    }

    fn query(&mut self, worker: usize) -> Actions {
        self.call(worker, |resolver, now, outbox| resolver.on_query(now, client(), &query(NAME), outbox))
    }

    /// The upstream responds with `words` to the query in `sent`.
    fn respond(&mut self, worker: usize, sent: &Actions, words: &[&str]) -> Actions {
        let (query, message) = sent.queries.first().expect("an upstream query");
        let response = response(message, words);
        self.call(worker, |resolver, now, outbox| {
            resolver.on_response(now, query.connection, &response, outbox)
        })
    }

    /// Delivers a shared result to its worker.
    fn deliver(&mut self, shared: &ShareResult) -> Actions {
        let ShareResult { to, key, result } = shared;
        self.call(usize::from(to.0), |resolver, now, outbox| {
            resolver.on_shared_result(now, key, result, outbox)
        })
    }

    fn call(&mut self, worker: usize, entry: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) -> Actions {
        let mut outbox = Outbox::default();
        entry(&mut self.resolvers[worker], self.now, &mut outbox);
        Actions::from(&outbox)
    }
}

#[test]
fn a_miss_in_two_workers_is_queried_once() {
    let mut workers = Workers::new(2);
    let sent = workers.query(0);
    assert_eq!(sent.queries.len(), 1);
    let coalesced = workers.query(1);
    assert!(coalesced.queries.is_empty() && coalesced.responses.is_empty());

    let completed = workers.respond(0, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    assert_eq!(completed.responses.len(), 1);
    let delivered = workers.deliver(completed.shared.first().expect("a result for the other worker"));
    assert_eq!(delivered.responses, completed.responses);
    assert!(delivered.queries.is_empty() && delivered.shared.is_empty());
}

#[test]
fn an_uncacheable_response_reaches_the_other_worker() {
    let mut workers = Workers::new(2);
    let sent = workers.query(0);
    workers.query(1);
    let completed = workers.respond(0, &sent, &["REFUSED"]);
    let delivered = workers.deliver(completed.shared.first().expect("a result for the other worker"));
    assert_eq!(delivered.responses, completed.responses);
    assert_eq!(workers.query(1).queries.len(), 1, "the query is no longer in flight");
}

#[test]
fn a_failure_reaches_both_workers_and_ends_the_query() {
    let mut workers = Workers::new(2);
    workers.query(0);
    workers.query(1);
    workers.now += Duration::from_millis(4500);
    let completed = workers.call(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(completed.responses.len(), 1);
    let delivered = workers.deliver(completed.shared.first().expect("a result for the other worker"));
    assert_eq!(delivered.responses, completed.responses);
    assert_eq!(workers.query(1).responses.len(), 1, "the failure is cached for both");
    workers.now += Duration::from_secs(5);
    assert_eq!(workers.query(1).queries.len(), 1);
}

#[test]
fn a_worker_past_its_deadline_stops_waiting_for_the_owner() {
    let mut workers = Workers::new(2);
    let sent = workers.query(0);
    workers.query(1);
    workers.now += Duration::from_millis(4500);
    let timed_out = workers.call(1, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(timed_out.responses.len(), 1);
    assert!(timed_out.shared.is_empty());

    let completed = workers.respond(0, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    let late = workers.deliver(completed.shared.first().expect("a result for the other worker"));
    assert!(late.responses.is_empty());
    assert_eq!(workers.query(1).responses, completed.responses, "cached for both");
}

#[test]
fn an_answer_cached_by_another_worker_is_not_queried_again() {
    let mut workers = Workers::new(2);
    let sent = workers.query(0);
    let completed = workers.respond(0, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    assert!(completed.shared.is_empty());
    let hit = workers.query(1);
    assert_eq!(hit.responses, completed.responses);
    assert!(hit.queries.is_empty());
}

#[test]
fn a_hung_worker_loses_its_inflight_query_at_the_deadline() {
    let mut workers = Workers::new(2);
    workers.query(0);
    workers.query(1);
    workers.now += Duration::from_millis(4501);
    let timed_out = workers.call(1, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(timed_out.responses.len(), 1);
    let sent = workers.query(1);
    assert_eq!(sent.queries.len(), 1, "the owner has not completed its query before the deadline");

    let resumed = workers.call(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert!(resumed.shared.is_empty(), "it no longer owns the query");
    let completed = workers.respond(1, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    assert_eq!(completed.responses.len(), 1);
}

#[test]
fn an_answer_prefetched_by_another_worker_is_not_prefetched_again() {
    let mut workers = Workers::with(2, |block| {
        let cache = block.cache.as_mut().expect("a cache");
        cache.prefetch = Some(Prefetch { amount: 1, duration: Duration::from_secs(60), percent: 10 });
    });
    let sent = workers.query(0);
    workers.respond(0, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    assert_eq!(workers.query(1).responses.len(), 1);
    workers.now += Duration::from_secs(28);
    let refresh = workers.query(0);
    assert_eq!((refresh.responses.len(), refresh.queries.len()), (1, 1));
    workers.respond(0, &refresh, &[NAME, "30", "A", "192.0.2.9"]);

    let near_expiry = workers.query(1);
    assert_eq!((near_expiry.responses.len(), near_expiry.queries.len()), (1, 0));
    let refreshed = workers.query(1);
    assert!(
        refreshed.responses.iter().all(|response| response.contains("192.0.2.9")),
        "{:?}",
        refreshed.responses
    );
    assert!(refreshed.queries.is_empty());
}

#[test]
fn waiters_of_a_hung_worker_are_answered_by_the_next_owner() {
    let mut workers = Workers::new(3);
    workers.query(0);
    workers.now += Duration::from_millis(4000);
    workers.query(1);
    workers.now += Duration::from_millis(501);
    let sent = workers.query(2);
    assert_eq!(sent.queries.len(), 1, "the deadline of the first has passed");
    let completed = workers.respond(2, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    let delivered =
        workers.deliver(completed.shared.first().expect("a result for the second worker, which still waits"));
    assert_eq!(delivered.responses, completed.responses);
}

/// Two workers with an entry that has just expired, both with a query for it, the first as owner.
fn waiting_in_an_outage() -> Workers {
    let state = Arc::default();
    let mut workers = Workers::with(2, |block| {
        for forward in &mut block.forwards {
            forward.state = Arc::clone(&state);
        }
    });
    let sent = workers.query(0);
    workers.respond(0, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    workers.now += Duration::from_secs(31);
    assert_eq!(workers.query(0).queries.len(), 1);
    let coalesced = workers.query(1);
    assert!(coalesced.queries.is_empty() && coalesced.responses.is_empty());
    workers.now += Duration::from_millis(200);
    workers
}

fn assert_stale(responses: &[String]) {
    assert!(matches!(responses, [response] if response.contains(" 5 A 192.0.2.7")), "{responses:?}");
}

#[test]
fn an_outage_that_the_owner_finds_reaches_the_other_worker() {
    let mut workers = waiting_in_an_outage();
    let served = workers.call(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_stale(&served.responses);
    let delivered = workers.deliver(served.shared.first().expect("a result for the other worker"));
    assert_stale(&delivered.responses);
    assert_eq!(workers.query(1).responses, workers.query(0).responses, "the outage is known to both");
}

#[test]
fn a_worker_finds_an_outage_without_the_owner() {
    let mut workers = waiting_in_an_outage();
    let served = workers.call(1, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_stale(&served.responses);
    assert!(served.shared.is_empty());
    let owner = workers.call(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    let late = workers.deliver(owner.shared.first().expect("a result for the other worker"));
    assert!(late.responses.is_empty());
    let checks = [0, 1, 0].map(|worker| workers.query(worker).queries.len());
    assert_eq!(checks, [1, 0, 0], "one outage check for all workers");
}

#[test]
fn clients_whose_cache_came_with_a_reload_are_answered_in_an_outage() {
    let state = Arc::default();
    let block = |cached: bool| {
        let mut block = fixture::block();
        block.forwards[0].state = Arc::clone(&state);
        block.cache = block.cache.filter(|_| cached);
        fixture::policy(block)
    };
    let mut workers = Workers::with(2, |block| block.forwards[0].state = Arc::clone(&state));
    let sent = workers.query(0);
    workers.respond(0, &sent, &[NAME, "30", "A", "192.0.2.7"]);
    workers.now += Duration::from_secs(31);
    assert_eq!(workers.query(0).queries.len(), 1);
    for cached in [false, true] {
        let policy = block(cached);
        workers.call(1, |resolver, now, outbox| resolver.set_policy(now, policy, outbox));
        assert!(workers.query(1).queries.is_empty(), "the query is that of the other worker");
    }
    let mut responses = 0;
    for wait in [200, 4300] {
        workers.now += Duration::from_millis(wait);
        responses += workers.call(1, |resolver, now, outbox| resolver.on_timer(now, outbox)).responses.len();
    }
    assert_eq!(responses, 2);
}

#[test]
fn a_reload_ends_failures_of_the_old_upstreams() {
    let mut workers = Workers::new(1);
    workers.query(0);
    workers.now += Duration::from_millis(4500);
    workers.call(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(workers.query(0).queries.len(), 0, "answered from the cached failure");
    workers
        .call(0, |resolver, now, outbox| resolver.set_policy(now, fixture::policy(fixture::block()), outbox));
    assert_eq!(workers.query(0).queries.len(), 1, "other upstreams may answer");

    workers
        .call(0, |resolver, now, outbox| resolver.set_policy(now, fixture::policy(fixture::block()), outbox));
    workers.now += Duration::from_millis(4500);
    let failed = workers.call(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(failed.responses.len(), 1);
    assert_eq!(workers.query(0).queries.len(), 1, "a failure of the old upstreams is not cached");
}
