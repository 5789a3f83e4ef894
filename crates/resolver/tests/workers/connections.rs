//! Connection pool over TCP with more queries than a scenario has: limits of dedicated connections,
//! quarantined connections and the queue; a reload.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use resolver::ResolverConfig;
use resolver::action::{AttemptFailure, UpstreamConnectionId};
use resolver::counters::UpstreamCounters;
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::{Forward, ResolverLimits};
use testkit::fixture;

use crate::exchange::{SentQuery, is_for};
use crate::worker::{Worker, policy};

/// A worker, and the counters of its only upstream.
pub(crate) fn worker() -> (Worker, Arc<UpstreamCounters>) {
    let mut forward = fixture::forward(fixture::upstream());
    forward.options.health_check.max_fails = 0;
    let counters = Arc::clone(&forward.upstreams[0].counters);
    (worker_with(&forward), counters)
}

pub(crate) fn worker_with(forward: &Forward) -> Worker {
    let limits = ResolverLimits { initial_hedges: 0, ..ResolverLimits::default() };
    let waiting_memory = Arc::new(WaitingMemory::new(1 << 30));
    Worker::with(ResolverConfig { limits, waiting_memory, ..fixture::resolver_config(policy(forward)) })
}

pub(crate) fn name(number: usize) -> String {
    format!("name-{number}.example.test")
}

/// Sends queries that the upstream leaves unanswered.
pub(crate) fn send(worker: &mut Worker, count: usize) -> Vec<SentQuery> {
    (0..count).map(|number| worker.sent(&name(number))).collect()
}

/// The connections of queries, in order of opening.
pub(crate) fn connections(queries: &[SentQuery]) -> Vec<UpstreamConnectionId> {
    let mut connections: Vec<_> = queries.iter().map(|(sent, _)| sent.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    connections
}

#[test]
fn queries_beyond_the_limit_of_dedicated_connections_wait_for_one() {
    let (mut worker, counters) = worker();
    let sent = send(&mut worker, 40);
    let retried = reset_all(&mut worker, &sent);
    assert_eq!((retried.len(), connections(&retried).len()), (32, 32));
    assert_eq!(counters.dedicated_connections.get(), 32);
    assert_eq!((counters.queued.get(), counters.dedicated_connections_full.get()), (8, 8));

    worker.respond(&retried[0], &["NXDOMAIN"]);
    assert_eq!((worker.actions.dials.len(), worker.actions.queries.len()), (1, 1));
    worker.fail(&retried[1], AttemptFailure::Refused);
    assert_eq!((worker.actions.dials.len(), worker.actions.queries.len()), (1, 1));
    assert_eq!(counters.dedicated_connections.get(), 34);
    assert_eq!((counters.queued.get(), counters.dedicated_connections_full.get()), (8, 8));
}

/// All of `queries` lose their connections. Returns those that are sent again, on dedicated ones.
pub(crate) fn reset_all(worker: &mut Worker, queries: &[SentQuery]) -> Vec<SentQuery> {
    let mut retried = Vec::new();
    for connection in connections(queries) {
        let query = queries.iter().find(|(sent, _)| sent.connection == connection).unwrap();
        worker.reset(query);
        retried.append(&mut worker.actions.queries);
    }
    retried
}

#[test]
fn a_dedicated_connection_whose_query_has_timed_out_makes_room() {
    let (mut worker, counters) = worker();
    let hanging = send(&mut worker, 32);
    assert_eq!(reset_all(&mut worker, &hanging).len(), 32);
    worker.advance(Duration::from_secs(1));
    let waiting = worker.sent("waiting.example.test");
    worker.reset(&waiting);
    assert!(worker.actions.queries.is_empty());
    assert_eq!((counters.queued.get(), counters.dedicated_connections_full.get()), (1, 1));
    worker.advance(Duration::from_secs(1));
    assert!(worker.actions.queries.iter().any(|query| is_for(query, "waiting")));
}

#[test]
fn connections_that_wait_for_their_last_responses_hold_up_no_query() {
    let (mut worker, counters) = worker();
    let mut used = BTreeSet::new();
    for round in 0..8 {
        let names = (0..8).map(|number| name(8 * round + number));
        let sent: Vec<_> = names.map(|name| worker.sent(&name)).collect();
        used.extend(connections(&sent));
        worker.establish(&sent);
        // Their attempts time out, and their connections are silent.
        worker.advance(Duration::from_millis(2001));
    }
    assert!(used.len() > 16, "{}", used.len());
    worker.query("fast.example.test");
    assert_eq!((worker.actions.queries.len(), counters.queued.get()), (1, 0));
}

#[test]
fn dedicated_connections_are_not_closed_for_others() {
    let (mut worker, counters) = worker();
    let sent = send(&mut worker, 32);
    let dedicated = reset_all(&mut worker, &sent);
    assert_eq!(connections(&dedicated).len(), 32);
    worker.establish(&dedicated);
    worker.advance(Duration::from_millis(401));
    let mut quarantined = Vec::new();
    for number in 32..64 {
        let sent = worker.sent(&name(number));
        worker.mismatch(&sent);
        quarantined.push(sent.0.connection);
    }
    worker.query(&name(64));
    assert_eq!(worker.actions.closed, quarantined[..1]);
    assert_eq!((counters.failures.get(), worker.actions.responses.len()), (0, 0));
}

#[test]
fn with_four_hanging_dials_queries_are_queued_up_to_a_limit() {
    let (mut worker, counters) = worker();
    let sent = send(&mut worker, 64);
    assert_eq!(connections(&sent).len(), 4);
    for number in 64..64 + (1 << 14) {
        worker.query(&name(number));
        assert!(worker.actions.queries.is_empty() && worker.actions.responses.is_empty());
    }
    assert_eq!((counters.queued.get(), counters.queue_full.get()), (1 << 14, 0));
    worker.query(&name(50_000));
    assert_eq!(worker.actions.responses.len(), 1, "SERVFAIL");
    assert_eq!((counters.queued.get(), counters.queue_full.get()), (1 << 14, 1));

    worker.respond(&sent[0], &["NXDOMAIN"]);
    assert_eq!(worker.actions.responses.len(), 1);
    assert_eq!(
        worker.actions.queries.len(),
        1 + 16,
        "there is room on the connection, and one more is dialled"
    );
    worker.query(&name(5001));
    assert!(worker.actions.responses.is_empty(), "it has found room in the queue");
}

#[test]
fn of_many_quarantined_connections_the_oldest_is_closed() {
    let (mut worker, counters) = worker();
    let mut quarantined = Vec::new();
    for number in 0..32 {
        let sent = worker.sent(&name(number));
        worker.mismatch(&sent);
        quarantined.push(sent.0.connection);
        assert!(worker.actions.closed.is_empty());
    }
    worker.query(&name(32));
    assert_eq!(worker.actions.closed, quarantined[..1], "a new connection is opened");
    assert_eq!(worker.actions.queries.len(), 2, "the query of the closed one is retried");
    assert_eq!((counters.mismatched_responses.get(), counters.retried.get()), (32, 1));
}

#[test]
fn a_reload_closes_idle_connections_of_removed_upstreams_and_others_after_their_responses() {
    let (mut worker, _) = worker();
    let sent = send(&mut worker, 4);
    assert_eq!(connections(&sent).len(), 2);
    worker.respond(&sent[0], &["NXDOMAIN"]);
    worker.respond(&sent[1], &["NXDOMAIN"]);
    worker.respond(&sent[2], &["NXDOMAIN"]);
    let mut other = fixture::upstream();
    other.id.0 += 1;
    let reloaded = policy(&fixture::forward(other));
    worker.call(|resolver, now, outbox| resolver.set_policy(now, reloaded, outbox));
    assert_eq!(worker.actions.closed, [sent[0].0.connection]);
    worker.respond(&sent[3], &["NXDOMAIN"]);
    assert_eq!(worker.actions.closed, [sent[3].0.connection]);
    assert_eq!(worker.actions.responses.len(), 1);
}
