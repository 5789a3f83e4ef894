//! NXDOMAIN cuts by listener and zones: `nodelocaldns_cache_nxdomain_cut_*`.

use resolver::counters::BlockCounters;

use super::blocks::by_block;
use super::family::{Family, total};
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    vec![
        by_block(
            Family::counter(
                "nodelocaldns_cache_nxdomain_cut_hits_total",
                "Queries answered NXDOMAIN because a name above theirs does not exist (RFC 8020): upstream \
                 queries saved. coredns_cache_hits_total{type=\"denial\"} has them as well.",
            ),
            counters,
            |counters| &counters.nxdomain_cut_hits,
        ),
        by_block(
            Family::counter(
                "nodelocaldns_cache_nxdomain_cut_queries_total",
                "Queries sent in the background to learn or to renew names below which nothing exists.",
            ),
            counters,
            |counters| &counters.nxdomain_cut_queries,
        ),
        changes(counters),
    ]
}

fn changes(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_cache_nxdomain_cut_changes_total",
        "Names below which nothing exists: learned, renewed before their TTL ended, and removed because a \
         response has shown that they or a name below them exist.",
    );
    for (server, zones, block) in counters.blocks() {
        let mut add = |change, count: u64| {
            family.series(&[("change", change), ("server", server), ("zones", zones)], count as f64);
        };
        let workers = &block.by_worker;
        add("learned", total(workers, |counters: &BlockCounters| Some(&counters.nxdomain_cuts_learned)));
        add("renewed", total(workers, |counters: &BlockCounters| Some(&counters.nxdomain_cuts_renewed)));
        add("removed", total(workers, |counters: &BlockCounters| Some(&counters.nxdomain_cuts_removed)));
    }
    family
}
