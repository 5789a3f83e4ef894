//! UDP sockets of one upstream over thousands of queries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use resolver::ResolverConfig;
use resolver::action::UpstreamConnectionId;
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::{ResolverLimits, TransportPreference};
use testkit::fixture;

use crate::exchange::SentQuery;
use crate::worker::{Worker, policy};

fn worker() -> Worker {
    let mut forward = fixture::forward(fixture::upstream());
    forward.options.transport = TransportPreference::PreferUdp;
    forward.options.health_check.max_fails = 0;
    // One client gets half of it: 8,000 queries wait at once.
    let waiting_memory = Arc::new(WaitingMemory::new(64 << 20));
    Worker::with(ResolverConfig { waiting_memory, ..fixture::resolver_config(policy(&forward)) })
}

fn name(number: usize) -> String {
    format!("name-{number}.example.test")
}

fn message_id((_, query): &SentQuery) -> u16 {
    query.first_chunk().copied().map(u16::from_be_bytes).unwrap()
}

#[test]
fn a_socket_is_used_for_2000_queries() {
    let mut worker = worker();
    let mut queries: BTreeMap<UpstreamConnectionId, usize> = BTreeMap::new();
    let mut closed = BTreeSet::new();
    for number in 0..9000 {
        let sent = worker.sent(&name(number));
        *queries.entry(sent.0.connection).or_default() += 1;
        worker.respond(&sent, &["NXDOMAIN"]);
        closed.extend(worker.actions.closed.iter().copied());
    }
    assert!(queries.values().all(|count| *count <= 2000), "{queries:?}");
    assert!((5..=6).contains(&queries.len()), "{queries:?}");
    for (socket, count) in queries {
        assert_eq!(closed.contains(&socket), count == 2000, "{socket:?} had {count}");
    }
}

#[test]
fn ids_of_unanswered_queries_are_not_used_again_on_their_socket() {
    let mut worker = worker();
    let mut ids = BTreeSet::new();
    for number in 0..8000 {
        let sent = worker.sent(&name(number));
        assert!(ids.insert((sent.0.connection, message_id(&sent))));
    }
    let sockets: BTreeSet<_> = ids.iter().map(|(socket, _)| *socket).collect();
    assert!((4..=5).contains(&sockets.len()), "{sockets:?}");
}

#[test]
fn no_socket_is_closed_on_which_queries_wait() {
    let mut forward = fixture::forward(fixture::upstream());
    forward.options.transport = TransportPreference::PreferUdp;
    let counters = forward.upstreams[0].counters.clone();
    let limits = ResolverLimits { initial_hedges: 100, ..ResolverLimits::default() };
    let mut worker = Worker::with(ResolverConfig { limits, ..fixture::resolver_config(policy(&forward)) });
    for number in 0..190 {
        worker.query(&name(number));
        assert!(worker.actions.closed.is_empty(), "{number}");
        worker.advance(Duration::from_millis(10));
        assert!(worker.actions.closed.is_empty(), "{number}");
    }
    assert!(counters.hedged.get() >= 14);
    assert_eq!(counters.failures.get(), 0);
}

#[test]
fn a_silent_upstream_has_at_most_16_sockets_open() {
    let mut worker = worker();
    let mut open = BTreeSet::new();
    let mut most = 0;
    let update = |worker: &Worker, open: &mut BTreeSet<UpstreamConnectionId>| {
        let closed: BTreeSet<_> = worker.actions.closed.iter().copied().collect();
        open.extend(worker.actions.dials.iter().map(|dial| dial.connection));
        open.retain(|socket| !closed.contains(socket));
        open.len()
    };
    for number in 0..500 {
        worker.query(&name(number));
        most = most.max(update(&worker, &mut open));
        worker.advance(Duration::from_millis(50));
        most = most.max(update(&worker, &mut open));
    }
    assert_eq!(most, 16);
    worker.advance(Duration::from_secs(10));
    update(&worker, &mut open);
    worker.advance(Duration::from_secs(10));
    assert_eq!(update(&worker, &mut open), 0, "{open:?}");
}
