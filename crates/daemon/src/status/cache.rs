//! Cache: entries, memory, hits and misses since the start of the process.

use resolver::counters::{BlockCounters, Counter};
use serde_json::{Value, json};

use super::ratio;
use crate::counters::CounterRegistry;
use crate::metrics::ProcessCounters;

pub(super) fn report(counters: &CounterRegistry, process: &ProcessCounters) -> Value {
    let sum = |pick: fn(&BlockCounters) -> &Counter| -> u64 {
        let workers = counters.blocks().flat_map(|(_, _, block)| &block.by_worker);
        workers.map(|worker| pick(worker).get()).sum()
    };
    let hits = sum(|block| &block.cache_success_hits) + sum(|block| &block.cache_denial_hits);
    let misses = sum(|block| &block.cache_misses);
    let (mut success, mut denial, mut evictions) = (0, 0, 0);
    for (_, _, block) in counters.blocks() {
        let entries = block.counts();
        (success, denial) = (success + entries.0, denial + entries.1);
        let (evicted_success, evicted_denial) = block.evictions();
        evictions += evicted_success + evicted_denial;
    }
    let memory = process.memory.parts();
    let memory = memory.iter().find(|part| part.name == "cache");
    let (used, limit) = memory.map_or((0, 0), |part| ((part.used)(), part.limit));
    json!({
        "entries": { "success": success, "denial": denial },
        "octets": used,
        "octets_limit": limit,
        "fill": ratio(used, limit),
        "requests": sum(|block| &block.cache_requests),
        "hits": hits,
        "misses": misses,
        "hit_ratio": ratio(hits, hits + misses),
        "served_stale": sum(|block| &block.served_stale) + sum(|block| &block.outage_stale),
        "prefetches": sum(|block| &block.prefetches),
        "coalesced": sum(|block| &block.coalesced),
        "evictions": evictions,
    })
}
