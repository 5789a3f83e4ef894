//! Queries for names of localhost, answered by the directive `local`: `coredns_local_*`.

use resolver::counters::BlockCounters;

use super::family::{Family, total};
use crate::counters::CounterRegistry;

/// Nothing before a server block has had the directive.
pub(super) fn families(counters: &CounterRegistry) -> Option<Family> {
    let count = counters.blocks().map(|(_, _, block)| {
        total(&block.by_worker, |counters: &BlockCounters| Some(&counters.localhost_requests))
    });
    let count = count.sum();
    let is_enabled = counters.enabled_plugins().iter().any(|plugin| plugin.name == "local");
    (is_enabled || count > 0).then(|| {
        Family::of_count(
            "coredns_local_localhost_requests_total",
            "Queries for names below localhost, or with localhost as first label.",
            count,
        )
    })
}
