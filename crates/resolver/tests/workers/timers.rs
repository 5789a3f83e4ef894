//! Timers that are due together.

use std::sync::Arc;
use std::time::Duration;

use resolver::inflight::memory::WaitingMemory;
use resolver::{ResolverConfig, TIMERS_PER_CALL};
use testkit::fixture;

use crate::connections::name;
use crate::worker::{Worker, policy};

const QUERIES: usize = 500;

#[test]
fn queries_that_time_out_together_are_answered_in_bounded_shares() {
    let forward = fixture::forward(fixture::upstream());
    let waiting_memory = Arc::new(WaitingMemory::new(1 << 30));
    let config = ResolverConfig { waiting_memory, ..fixture::resolver_config(policy(&forward)) };
    let mut worker = Worker::with(config);
    for number in 0..QUERIES {
        worker.query(&name(number));
    }
    // None has a response, and every one has passed its deadline.
    worker.now += Duration::from_secs(60);
    let mut answered = 0;
    while worker.fire_share_of_timers() {
        assert!(worker.actions.responses.len() <= TIMERS_PER_CALL, "{}", worker.actions.responses.len());
        answered += worker.actions.responses.len();
    }
    assert_eq!(answered, QUERIES);
}
