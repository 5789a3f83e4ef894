//! Counters, which must add up to what has happened.

use std::sync::Arc;

use resolver::counters::{Counter, WorkerCounters};
use wire::header::Header;
use wire::query::Rejection;

use super::policies::Policies;

/// Opcode STATUS: the process's own liveness checks, which are not counted.
const STATUS: u8 = 2;

#[derive(Default)]
pub(crate) struct Totals {
    accepted: u64,
    rejected: u64,
    responses: u64,
}

impl Totals {
    pub(crate) fn received(&mut self, is_accepted: bool, rejection: Option<Rejection>, packet: &[u8]) {
        let is_status = Header::read(packet).is_some_and(|header| header.flags.opcode() == STATUS);
        if is_accepted {
            self.accepted += 1;
        } else if !(is_status && rejection == Some(Rejection::NotImplemented)) {
            self.rejected += 1;
        }
    }

    pub(crate) fn responded(&mut self, is_counted: bool) {
        self.responses += u64::from(is_counted);
    }

    pub(crate) fn check(&self, policies: &Policies, workers: &[Arc<WorkerCounters>]) {
        let requests: u64 =
            policies.routes.iter().map(|route| sum(route.requests.iter().flatten().flatten())).sum();
        let responses: u64 = policies.routes.iter().map(|route| sum(route.responses.iter().flatten())).sum();
        let durations: u64 = policies.routes.iter().flat_map(|route| route.durations.buckets()).sum();
        assert_eq!((responses, durations), (requests, requests));
        assert_eq!(self.responses, self.accepted);
        // Lookups of the resolver itself count as queries.
        let lookups = requests - self.accepted;
        let translated: u64 = policies.blocks().iter().map(|block| block.counters.translated.get()).sum();
        assert!(lookups == translated || lookups > translated && !policies.directives.look_up_no_aliases());
        let rejected = workers.iter().map(|worker| {
            sum([&worker.dropped, &worker.not_implemented, &worker.format_errors, &worker.bad_versions]
                .into_iter())
        });
        assert_eq!(rejected.sum::<u64>(), self.rejected);
        assert_eq!(sum(workers.iter().map(|worker| &worker.panics)), 0);
        for block in policies.blocks() {
            let counters = &block.counters;
            let found = [&counters.cache_success_hits, &counters.cache_denial_hits, &counters.cache_misses];
            assert_eq!(counters.cache_requests.get(), sum(found.into_iter()), "lookups");
        }
        // The gauge of `max_concurrent` has no reader of its own.
        for state in &policies.states {
            let shown = format!("{state:?}");
            assert!(shown.contains("inflight_queries: 0"), "{shown}");
        }
    }
}

fn sum<'a>(counters: impl Iterator<Item = &'a Counter>) -> u64 {
    counters.map(Counter::get).sum()
}
