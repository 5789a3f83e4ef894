//! Large responses to many waiters are written in shares, to each waiter whole and in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Action, Cause, Client, ConnectionId, Outbox, SendQuery, ShareResult, WorkerId};
use resolver::counters::{Plugin, WorkerCounters};
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::{Block, Policy, ServeStale, ServeStaleMode};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;

use crate::exchange::{client, query, response};

const NAME: &str = "www.example.test";
/// Each with a response of 60 kB.
const WAITERS: u64 = 40;
/// What a worker retains of its outbox.
const MAX_OCTETS: usize = 256 * 1024;

/// Workers that share cache, in-flight queries and memory.
struct Workers {
    resolvers: Vec<Resolver>,
    memory: Arc<WaitingMemory>,
    counters: Arc<WorkerCounters>,
    now: Instant,
}

/// What one call of a resolver has written.
#[derive(Default)]
struct Written {
    /// Connections and messages without ID.
    responses: Vec<(u64, Vec<u8>)>,
    queries: Vec<(SendQuery, Vec<u8>)>,
    shared: Vec<ShareResult>,
    errors: Vec<Cause>,
}

impl Workers {
    fn new(count: u16, policy: &Arc<Policy>) -> Self {
        Self::within(Arc::default(), count, policy)
    }

    fn within(memory: Arc<WaitingMemory>, count: u16, policy: &Arc<Policy>) -> Self {
        let config = fixture::resolver_config(Arc::clone(policy));
        let counters = Arc::clone(&config.counters);
        let resolvers = (0..count).map(|worker| {
            Resolver::new(ResolverConfig {
                worker: WorkerId(worker),
                cache: Arc::clone(&config.cache),
                shared_inflight: Arc::clone(&config.shared_inflight),
                waiting_memory: Arc::clone(&memory),
                counters: Arc::clone(&counters),
                ..fixture::resolver_config(Arc::clone(policy))
            })
        });
        let resolvers = resolvers.collect();
        Self { resolvers, memory, counters, now: testkit::clock::now() }
    }

    fn call(&mut self, worker: usize, entry: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) -> Written {
        let mut outbox = Outbox::default();
        entry(&mut self.resolvers[worker], self.now, &mut outbox);
        assert!(outbox.bytes.len() <= MAX_OCTETS, "{} octets in the outbox", outbox.bytes.len());
        let mut written = Written::default();
        for action in &outbox.actions {
            match action {
                Action::Respond(response) => {
                    let connection = response.client.connection.unwrap().0;
                    written.responses.push((connection, outbox.octets(response.message)[2..].to_vec()));
                }
                Action::SendQuery(query) => {
                    written.queries.push((*query, outbox.octets(query.message).to_vec()));
                }
                Action::ShareResult(shared) => written.shared.push(shared.clone()),
                Action::ReportError(error) => written.errors.push(error.cause),
                _ => {}
            }
        }
        written
    }

    /// The client of a TCP connection queries the name.
    fn query(&mut self, worker: usize, connection: u64) -> Written {
        let client = Client { connection: Some(ConnectionId(connection)), ..client() };
        self.call(worker, |resolver, now, outbox| resolver.on_query(now, client, &query(NAME), outbox))
    }

    /// The clients of many TCP connections query the name; returns the upstream query.
    fn query_all(&mut self, worker: usize) -> Written {
        let mut all = Written::default();
        for connection in 0..WAITERS {
            let mut written = self.query(worker, connection);
            assert!(written.responses.is_empty());
            all.queries.append(&mut written.queries);
        }
        all
    }

    /// The upstream responds with 60 kB.
    fn respond(&mut self, worker: usize, sent: &Written) -> Written {
        let (sent, message) = &sent.queries[0];
        let response = response(message, &[NAME, "30", "A", "10.0.0.1", "x2000"]);
        self.call(worker, |resolver, now, outbox| {
            resolver.on_connected(now, sent.connection, outbox);
            resolver.on_response(now, sent.connection, &response, outbox);
        })
    }

    fn fire_timers(&mut self, worker: usize) -> Written {
        self.call(worker, |resolver, now, outbox| resolver.on_timer(now, outbox))
    }

    fn is_timer_due(&self, worker: usize) -> bool {
        self.resolvers[worker].next_timer().is_some_and(|at| at <= self.now)
    }

    /// Lets the timers of a worker fire that are due; asserts that all waiters get the same large
    /// response in order, the first ones in `first`.
    fn assert_all_served(&mut self, worker: usize, first: Written) -> Vec<u8> {
        let mut responses = first.responses;
        assert!((1..WAITERS).contains(&(responses.len() as u64)), "{} at once", responses.len());
        let mut waiting = self.memory.used();
        while self.is_timer_due(worker) {
            assert!(self.resolvers[worker].has_inflight());
            let mut share = self.fire_timers(worker);
            assert!(!share.responses.is_empty() && share.shared.is_empty());
            assert!(self.memory.used() < waiting, "{waiting} octets before");
            waiting = self.memory.used();
            responses.append(&mut share.responses);
        }
        let connections: Vec<u64> = responses.iter().map(|(connection, _)| *connection).collect();
        assert_eq!(connections, (0..WAITERS).collect::<Vec<_>>());
        let (_, message) = responses.pop().unwrap();
        assert!(message.len() > 59_000 && responses.iter().all(|(_, other)| *other == message));
        message
    }

    fn assert_nothing_left(&self) {
        assert!(self.resolvers.iter().all(|resolver| !resolver.has_inflight()));
        assert_eq!(self.memory.used(), 0);
    }
}

#[test]
fn all_waiters_get_the_response_in_bounded_shares() {
    let policy = fixture::policy(fixture::block());
    let mut workers = Workers::new(1, &policy);
    let sent = workers.query_all(0);
    let first = workers.respond(0, &sent);
    workers.assert_all_served(0, first);
    workers.assert_nothing_left();
    let route = policy.listeners[0].as_ref().unwrap().route(b"\0", wire::header::RecordType::A).unwrap();
    let responses = &route.counters.as_ref().unwrap().responses;
    assert_eq!(responses[Plugin::Cache as usize][0].get(), WAITERS);
}

#[test]
fn other_clients_are_served_between_the_shares() {
    let mut workers = Workers::new(1, &fixture::policy(fixture::block()));
    let sent = workers.query_all(0);
    let first = workers.respond(0, &sent);
    let hit = workers.query(0, 1000);
    assert_eq!(hit.responses.len(), 1);
    assert_eq!(workers.assert_all_served(0, first), hit.responses[0].1);
}

#[test]
fn a_reload_between_the_shares_changes_nothing() {
    let mut workers = Workers::new(1, &fixture::policy(fixture::block()));
    let sent = workers.query_all(0);
    let first = workers.respond(0, &sent);
    workers.call(0, |resolver, now, outbox| resolver.set_policy(now, Arc::default(), outbox));
    workers.assert_all_served(0, first);
    workers.assert_nothing_left();
}

#[test]
fn waiters_of_another_worker_get_the_shared_result_in_bounded_shares() {
    let mut workers = Workers::new(2, &fixture::policy(fixture::block()));
    let sent = workers.query_all(0);
    assert!(workers.query_all(1).queries.is_empty());
    let mut first = workers.respond(0, &sent);
    let ShareResult { key, result, .. } = first.shared.pop().unwrap();
    assert!(first.shared.is_empty());
    let message = workers.assert_all_served(0, first);
    let delivered =
        workers.call(1, |resolver, now, outbox| resolver.on_shared_result(now, &key, &result, outbox));
    assert_eq!(workers.assert_all_served(1, delivered), message);
    workers.assert_nothing_left();
}

/// A worker with an expired entry of 60 kB and waiters for a newer one.
fn waiting_for_newer(block: Block) -> Workers {
    let mut workers = Workers::new(1, &fixture::policy(block));
    let sent = workers.query(0, 1000);
    workers.respond(0, &sent);
    workers.now += Duration::from_secs(31);
    assert_eq!(workers.query_all(0).queries.len(), 1);
    workers
}

#[test]
fn waiters_get_the_stale_answer_in_bounded_shares() {
    let mut block = fixture::block();
    block.cache.as_mut().unwrap().serve_stale = Some(ServeStale {
        duration: Duration::from_secs(3600),
        // The client response timer of RFC 8767.
        mode: ServeStaleMode::Verify(Duration::ZERO),
        ttl: 30,
        failure_recheck: Duration::ZERO,
        prefer_positive: false,
    });
    let counters = Arc::clone(&block.counters);
    let mut workers = waiting_for_newer(block);
    workers.now += Duration::from_millis(1800);
    let first = workers.fire_timers(0);
    workers.assert_all_served(0, first);
    assert_eq!(counters.served_stale.get(), WAITERS);
}

#[test]
fn waiters_get_the_expired_answer_of_an_outage_in_bounded_shares() {
    let block = fixture::block();
    let counters = Arc::clone(&block.counters);
    let mut workers = waiting_for_newer(block);
    workers.now += Duration::from_millis(200);
    let first = workers.fire_timers(0);
    workers.assert_all_served(0, first);
    assert_eq!(counters.outage_stale.get(), WAITERS);
    workers.now += Duration::from_secs(60);
    while workers.is_timer_due(0) {
        workers.fire_timers(0);
    }
    workers.assert_nothing_left();
}

/// The memory of waiting queries holds the waiters, but not the answer until all have it.
#[test]
fn waiters_without_memory_for_the_answer_get_servfail() {
    let memory = Arc::new(WaitingMemory::new(80_000));
    let mut workers = Workers::within(memory, 1, &fixture::policy(fixture::block()));
    let sent = workers.query_all(0);
    let first = workers.respond(0, &sent);
    assert_eq!(first.errors, [Cause::TooManyInFlight]);
    assert!(first.responses.iter().all(|(_, message)| message.len() > 59_000));
    let rest = workers.fire_timers(0);
    let connections = first.responses.iter().chain(&rest.responses).map(|(connection, _)| *connection);
    assert!(connections.eq(0..WAITERS));
    let servfail = |(_, message): &(u64, Vec<u8>)| message[1] & 0xf == 2 && message.len() < 100;
    assert!(rest.responses.iter().all(servfail));
    assert_eq!(workers.counters.inflight_full.get(), rest.responses.len() as u64);
    workers.assert_nothing_left();
}
