//! A panic after a query has changed the state of the resolver: its worker catches it and drops the
//! actions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use resolver::ResolverConfig;
use resolver::inflight::memory::WaitingMemory;
use testkit::fixture;

use crate::connections::name;
use crate::worker::{Worker, policy};

const QUERIES: u32 = 200;

#[test]
fn what_a_panicking_query_had_begun_is_over_after_its_deadline() {
    let waiting_memory = Arc::new(WaitingMemory::new(1 << 30));
    let mut forward = fixture::forward(fixture::upstream());
    forward.options.health_check.max_fails = 0;
    // No query more while these are in flight.
    forward.options.max_concurrent = QUERIES;
    let counters = forward.upstreams[0].counters.clone();
    let config = ResolverConfig {
        waiting_memory: waiting_memory.clone(),
        ..fixture::resolver_config(policy(&forward))
    };
    let mut worker = Worker::with(config);
    for number in 0..usize::try_from(QUERIES).unwrap() {
        let panics = AssertUnwindSafe(|| {
            worker.query(&name(number));
            assert!(std::hint::black_box(false), "intended by the test");
        });
        assert!(catch_unwind(panics).is_err());
    }
    assert!(worker.has_inflight() && waiting_memory.used() > 0);
    worker.advance(Duration::from_secs(60));
    assert!(!worker.has_inflight());
    assert_eq!(waiting_memory.used(), 0);
    // Nothing that was dialled for them is taken to be open, and no limit is in the way.
    let dialled = worker.sent("next.example.test");
    worker.establish(std::slice::from_ref(&dialled));
    worker.respond(&dialled, &["NXDOMAIN"]);
    assert!(worker.actions.responses[0].contains("NXDOMAIN"));
    assert_eq!(counters.queue_full.get(), 0);
}
