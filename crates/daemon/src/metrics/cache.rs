//! Cache by listener and zones: `coredns_cache_*`.

use resolver::counters::{BlockCounters, Counter};

use super::family::{Family, total};
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    vec![
        entries(counters),
        evictions(counters),
        hits(counters),
        counted(
            Family::counter("coredns_cache_requests_total", "Queries looked up in the cache."),
            counters,
            |counters| &counters.cache_requests,
        ),
        counted(
            Family::counter("coredns_cache_misses_total", "Queries that the cache could not answer."),
            counters,
            |counters| &counters.cache_misses,
        ),
        counted(
            Family::counter(
                "coredns_cache_drops_total",
                "Responses not cached because they did not match their question.",
            ),
            counters,
            |counters| &counters.cache_drops,
        ),
        counted(
            Family::counter(
                "coredns_cache_prefetch_total",
                "Queries sent in the background to refresh an entry: before its TTL ends, or after \
                 it was served stale.",
            ),
            counters,
            |counters| &counters.prefetches,
        ),
        counted(
            Family::counter(
                "coredns_cache_served_stale_total",
                "Queries answered from an expired entry because no fresh response was available.",
            ),
            counters,
            |counters| &counters.served_stale,
        ),
        by_block(
            Family::counter(
                "nodelocaldns_cache_outage_stale_total",
                "Queries answered from an expired entry, without serve_stale, because no upstream of \
                 the server block responded to anything.",
            ),
            counters,
            |counters| &counters.outage_stale,
        ),
        by_block(
            Family::counter(
                "nodelocaldns_cache_oversized_total",
                "Responses not cached because each would take more than 1/64 of the cache.",
            ),
            counters,
            |counters| &counters.cache_oversized,
        ),
    ]
}

fn entries(counters: &CounterRegistry) -> Family {
    let mut family = Family::gauge(
        "coredns_cache_entries",
        "Entries in the cache: with records (success), or NXDOMAIN and NODATA (denial).",
    );
    for (server, zones, block) in counters.blocks() {
        if let Some((success, denial)) = block.entries() {
            for (kind, count) in [("success", success), ("denial", denial)] {
                let labels = [("server", server), ("type", kind), ("zones", zones), ("view", "")];
                family.series(&labels, count as f64);
            }
        }
    }
    family
}

fn evictions(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_cache_evictions_total",
        "Entries evicted from the cache to make room for others.",
    );
    for (server, zones, block) in counters.blocks() {
        let (success, denial) = block.evictions();
        for (kind, count) in [("success", success), ("denial", denial)] {
            family
                .nonzero_series(&[("server", server), ("type", kind), ("zones", zones), ("view", "")], count);
        }
    }
    family
}

fn hits(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter("coredns_cache_hits_total", "Queries answered from the cache.");
    for (server, zones, block) in counters.blocks() {
        let success = total(&block.by_worker, |counters: &BlockCounters| Some(&counters.cache_success_hits));
        let denial = total(&block.by_worker, |counters: &BlockCounters| Some(&counters.cache_denial_hits));
        for (kind, count) in [("success", success), ("denial", denial)] {
            family
                .nonzero_series(&[("server", server), ("type", kind), ("zones", zones), ("view", "")], count);
        }
    }
    family
}

/// A counter of ours: every block has a series, from 0 on.
fn by_block(
    mut family: Family,
    counters: &CounterRegistry,
    pick: impl Fn(&BlockCounters) -> &Counter,
) -> Family {
    for (server, zones, block) in counters.blocks() {
        let count = total(&block.by_worker, |counters| Some(pick(counters)));
        family.series(&[("server", server), ("zones", zones)], count as f64);
    }
    family
}

fn counted(
    mut family: Family,
    counters: &CounterRegistry,
    pick: impl Fn(&BlockCounters) -> &Counter,
) -> Family {
    for (server, zones, block) in counters.blocks() {
        let count = total(&block.by_worker, |counters| Some(pick(counters)));
        family.nonzero_series(&[("server", server), ("zones", zones), ("view", "")], count);
    }
    family
}
