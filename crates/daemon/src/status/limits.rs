//! The memory plan with what each part uses, and how often each limit was reached.

use resolver::counters::WorkerCounters;
use serde_json::{Value, json};

use crate::counters::CounterRegistry;
use crate::metrics::ProcessCounters;

pub(super) fn memory(process: &ProcessCounters) -> Vec<Value> {
    let parts = process.memory.parts().iter();
    parts.map(|part| json!({ "part": part.name, "used": (part.used)(), "limit": part.limit })).collect()
}

/// The limits that were reached since the start of the process.
pub(super) fn hits(counters: &CounterRegistry, process: &ProcessCounters) -> Vec<Value> {
    let workers =
        |pick: fn(&WorkerCounters) -> u64| counters.workers().iter().map(|worker| pick(worker)).sum();
    let blocks = counters.blocks().flat_map(|(_, _, block)| &block.by_worker);
    let rejects = blocks.map(|worker| worker.max_concurrent_rejects.get()).sum();
    let connections = &process.connections;
    let limits: [(&str, u64); 13] = [
        ("memory of waiting queries", workers(|worker| worker.inflight_full.get())),
        ("one client's share of it", workers(|worker| worker.client_quota_full.get())),
        ("clients waiting for one query", workers(|worker| worker.waiters_full.get())),
        ("background refreshes", workers(|worker| worker.refreshes_full.get())),
        ("max_concurrent of forward", rejects),
        ("TCP connections: refused", connections.refused.process.get()),
        ("TCP connections of a client: refused", connections.refused.client.get()),
        ("TCP connections: idle one closed", connections.evicted.process.get()),
        ("TCP connections of a client: idle one closed", connections.evicted.client.get()),
        ("TCP write buffers", connections.write_buffer_exceeded.get()),
        ("UDP receive queue", process.udp_queues.overflows()),
        ("UDP responses not sent", process.udp_send_errors.get()),
        ("log queue", process.dropped_lines.get()),
    ];
    let reached = limits.into_iter().filter(|(_, count)| *count > 0);
    reached.map(|(limit, count)| json!({ "limit": limit, "count": count })).collect()
}
