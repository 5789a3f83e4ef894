//! Connection pool over TCP with more queries than a scenario has: limits of dedicated connections,
//! quarantined connections and the queue; a reload.

use std::sync::Arc;

use resolver::ResolverConfig;
use resolver::action::{AttemptFailure, UpstreamConnectionId};
use resolver::counters::UpstreamCounters;
use resolver::policy::{Forward, ResolverLimits};
use testkit::fixture;

use crate::exchange::SentQuery;
use crate::worker::{Worker, policy};

/// A worker, and the counters of its only upstream.
fn worker() -> (Worker, Arc<UpstreamCounters>) {
    let mut forward = fixture::forward(fixture::upstream());
    forward.options.health_check.max_fails = 0;
    let counters = Arc::clone(&forward.upstreams[0].counters);
    (worker_with(&forward), counters)
}

fn worker_with(forward: &Forward) -> Worker {
    let limits =
        ResolverLimits { queries_per_client: 10_000, initial_hedges: 0, ..ResolverLimits::default() };
    Worker::with(ResolverConfig { limits, ..fixture::resolver_config(policy(forward)) })
}

fn name(number: usize) -> String {
    format!("name-{number}.example.test")
}

/// Sends queries that the upstream leaves unanswered.
fn send(worker: &mut Worker, count: usize) -> Vec<SentQuery> {
    (0..count).map(|number| worker.sent(&name(number))).collect()
}

/// The connections of queries, in order of opening.
fn connections(queries: &[SentQuery]) -> Vec<UpstreamConnectionId> {
    let mut connections: Vec<_> = queries.iter().map(|(sent, _)| sent.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    connections
}

#[test]
fn queries_beyond_the_limit_of_dedicated_connections_wait_for_one() {
    let (mut worker, counters) = worker();
    let sent = send(&mut worker, 40);
    let mut retried = Vec::new();
    for connection in connections(&sent) {
        let query = sent.iter().find(|(sent, _)| sent.connection == connection).unwrap();
        worker.reset(query);
        retried.append(&mut worker.actions.queries);
    }
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

#[test]
fn with_four_hanging_dials_queries_are_queued_up_to_a_limit() {
    let (mut worker, counters) = worker();
    let sent = send(&mut worker, 64);
    assert_eq!(connections(&sent).len(), 4);
    for number in 64..64 + 2048 {
        worker.query(&name(number));
        assert!(worker.actions.queries.is_empty() && worker.actions.responses.is_empty());
    }
    assert_eq!((counters.queued.get(), counters.queue_full.get()), (2048, 0));
    worker.query(&name(5000));
    assert_eq!(worker.actions.responses.len(), 1, "SERVFAIL");
    assert_eq!((counters.queued.get(), counters.queue_full.get()), (2048, 1));

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
    for number in 0..33 {
        let sent = worker.sent(&name(number));
        let [high, low, ..] = *sent.1 else { unreachable!() };
        worker.deliver(&sent.0, &[!high, !low, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        quarantined.push(sent.0.connection);
        if number < 32 {
            assert!(worker.actions.closed.is_empty());
        }
    }
    assert_eq!(worker.actions.closed, quarantined[..1]);
    assert_eq!(worker.actions.queries.len(), 1, "its query is retried");
    assert_eq!((counters.mismatched_responses.get(), counters.retried.get()), (33, 1));
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
