//! Queries that wait for a connection, with more queries than a scenario has.

use std::sync::Arc;
use std::time::Duration;

use resolver::ResolverConfig;
use resolver::action::AttemptFailure;
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::ResolverLimits;
use testkit::fixture;

use crate::connections::{connections, name, reset_all, send, worker};
use crate::exchange::is_for;
use crate::worker::{Worker, policy};

/// The limit of the queue.
const MAX_QUEUED: usize = 1 << 14;

#[test]
fn a_hedge_that_cannot_be_queued_does_not_end_its_query() {
    let mut forward = fixture::forward(fixture::upstream());
    forward.options.health_check.max_fails = 0;
    let counters = forward.upstreams[0].counters.clone();
    let waiting_memory = Arc::new(WaitingMemory::new(1 << 30));
    let config = ResolverConfig { waiting_memory, ..fixture::resolver_config(policy(&forward)) };
    let mut worker = Worker::with(config);
    let hedged = worker.sent("hedged.example.test");
    worker.establish(std::slice::from_ref(&hedged));
    worker.advance(Duration::from_millis(480));
    // After these no dial is made for 50 ms.
    for number in 0..5 {
        let refused = worker.sent(&name(number));
        worker.fail(&refused, AttemptFailure::Refused);
    }
    for number in 5..5 + MAX_QUEUED {
        worker.query(&name(number));
        assert!(worker.actions.queries.is_empty());
    }
    assert_eq!((counters.queued.get(), counters.queue_full.get()), (1 << 14, 0));
    worker.advance(Duration::from_millis(20));
    assert_eq!((counters.hedged.get(), counters.queue_full.get()), (1, 1));
    assert!(worker.actions.queries.is_empty() && worker.actions.responses.is_empty());
    worker.respond(&hedged, &["NXDOMAIN"]);
    assert_eq!(worker.actions.responses.len(), 1);
    assert!(worker.actions.responses[0].contains("NXDOMAIN"));
}

#[test]
fn queued_queries_are_sent_when_a_connection_is_quarantined() {
    let (mut worker, counters) = worker();
    let mut numbers = 0..128;
    for _ in 0..2 {
        let dialled: Vec<_> = numbers.by_ref().take(8).map(|number| worker.sent(&name(number))).collect();
        worker.establish(&dialled);
    }
    let sent = numbers.map(|number| worker.sent(&name(number))).collect::<Vec<_>>();
    assert_eq!(connections(&sent).len(), 8);
    for number in 128..133 {
        worker.query(&name(number));
        assert!(worker.actions.queries.is_empty());
    }
    assert_eq!(counters.queued.get(), 5);
    worker.mismatch(&sent[0]);
    assert_eq!((worker.actions.dials.len(), worker.actions.queries.len()), (1, 5));
}

#[test]
fn the_query_of_a_suspect_connection_does_not_wait_for_one_that_is_gone() {
    let (mut worker, counters) = worker();
    let suspect = ["suspect1.example.test", "suspect2.example.test"].map(|name| worker.sent(name));
    worker.establish(&suspect);
    worker.advance(Duration::from_millis(280));
    let proven = worker.sent("proven.example.test");
    worker.respond(&proven, &["NXDOMAIN"]);
    // There is room for one more on this connection.
    let others: Vec<_> = (0..75).map(|number| worker.sent(&name(number))).collect();
    let on_proven = others.iter().filter(|(sent, _)| sent.connection == proven.0.connection);
    assert_eq!(on_proven.count(), 15);
    worker.advance(Duration::from_millis(20));
    assert_eq!((worker.actions.queries.len(), counters.queued.get()), (1, 1));
    worker.reset(&proven);
    let sent = &worker.actions.queries;
    assert!(["suspect1", "suspect2"].iter().all(|name| sent.iter().any(|query| is_for(query, name))));
}

#[test]
fn queries_whose_clients_have_been_answered_leave_the_queue_last() {
    let (mut worker, _) = worker();
    let cached = worker.sent("cached.example.test");
    worker.respond(&cached, &["cached.example.test", "30", "A", "192.0.2.7"]);
    worker.advance(Duration::from_secs(31));
    let hanging = send(&mut worker, 64);
    worker.query("cached.example.test");
    worker.query("waiting.example.test");
    assert!(worker.actions.queries.is_empty());
    worker.advance(Duration::from_millis(200));
    assert_eq!(worker.actions.responses.len(), 1, "an expired answer, for there is an outage");
    worker.respond(&hanging[0], &["NXDOMAIN"]);
    let sent = &worker.actions.queries;
    assert_eq!(sent.len(), 2);
    assert!(is_for(&sent[0], "waiting") && is_for(&sent[1], "cached"));
}

#[test]
fn a_query_that_has_waited_for_a_connection_is_no_failure_of_its_upstream() {
    let (mut worker, counters) = worker();
    let sent = send(&mut worker, 33);
    assert_eq!(reset_all(&mut worker, &sent).len(), 32);
    assert_eq!(counters.queued.get(), 1);
    worker.advance(Duration::from_secs(2));
    assert_eq!(counters.failures.get(), 32, "those that were sent have timed out");
}

#[test]
fn a_health_check_that_has_waited_for_a_connection_has_not_failed() {
    let forward = fixture::forward(fixture::upstream());
    let counters = forward.upstreams[0].counters.clone();
    let limits = ResolverLimits { initial_hedges: 0, ..ResolverLimits::default() };
    let mut worker = Worker::with(ResolverConfig { limits, ..fixture::resolver_config(policy(&forward)) });
    let refused = worker.sent("refused.example.test");
    worker.fail(&refused, AttemptFailure::Refused);
    let check = worker.health_checks().pop().unwrap();
    worker.fail(&check, AttemptFailure::Refused);
    assert_eq!(counters.healthcheck_failures.get(), 1);

    // All dedicated connections are in use when it is repeated after 500 ms, and until it times out.
    let hanging: Vec<_> = (0..32).map(|number| worker.sent(&name(number))).collect();
    assert_eq!(reset_all(&mut worker, &hanging).len(), 32);
    worker.advance(Duration::from_millis(100));
    let waiting: Vec<_> = (32..64).map(|number| worker.sent(&name(number))).collect();
    assert_eq!(reset_all(&mut worker, &waiting).len(), 0);
    for milliseconds in [400, 1500, 100, 400] {
        worker.advance(Duration::from_millis(milliseconds));
        assert!(worker.health_checks().is_empty());
    }
    assert_eq!((counters.failures.get(), counters.healthcheck_failures.get()), (1 + 64, 1));
}
