//! Queries translated by the directive `dns64`: `coredns_dns64_*`.

use std::collections::BTreeMap;

use resolver::counters::BlockCounters;

use super::family::{Family, total};
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    let mut family = Family::counter(
        "coredns_dns64_requests_translated_total",
        "AAAA queries for which IPv4 addresses were looked up, by listener.",
    );
    let mut by_server: BTreeMap<&str, u64> = BTreeMap::new();
    for (server, _, block) in counters.blocks() {
        let count = total(&block.by_worker, |counters: &BlockCounters| Some(&counters.translated));
        *by_server.entry(server).or_default() += count;
    }
    for (server, count) in by_server {
        family.nonzero_series(&[("server", server)], count);
    }
    vec![family]
}
