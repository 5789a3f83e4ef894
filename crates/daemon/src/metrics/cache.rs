//! Cache by listener and zones: `coredns_cache_*`.

use resolver::counters::BlockCounters;

use super::blocks::{by_block, nonzero_by_block, nonzero_by_store};
use super::family::{Family, total};
use crate::counters::{BlockEntry, CounterRegistry};

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    vec![
        entries(counters),
        evictions(counters),
        hits(counters),
        nonzero_by_block(
            Family::counter("coredns_cache_requests_total", "Queries looked up in the cache."),
            counters,
            |counters| &counters.cache_requests,
        ),
        nonzero_by_block(
            Family::counter("coredns_cache_misses_total", "Queries that the cache could not answer."),
            counters,
            |counters| &counters.cache_misses,
        ),
        nonzero_by_block(
            Family::counter(
                "coredns_cache_drops_total",
                "Responses not cached because they did not match their question.",
            ),
            counters,
            |counters| &counters.cache_drops,
        ),
        nonzero_by_block(
            Family::counter(
                "coredns_cache_prefetch_total",
                "Queries sent in the background to refresh an entry: before its TTL ends, or after \
                 it was served stale.",
            ),
            counters,
            |counters| &counters.prefetches,
        ),
        nonzero_by_block(
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
    let family = Family::counter(
        "coredns_cache_evictions_total",
        "Entries evicted from the cache to make room for others.",
    );
    nonzero_by_store(family, counters, BlockEntry::evictions)
}

fn hits(counters: &CounterRegistry) -> Family {
    let family = Family::counter("coredns_cache_hits_total", "Queries answered from the cache.");
    nonzero_by_store(family, counters, |block| {
        let success = total(&block.by_worker, |counters: &BlockCounters| Some(&counters.cache_success_hits));
        let denial = total(&block.by_worker, |counters: &BlockCounters| Some(&counters.cache_denial_hits));
        (success, denial)
    })
}
