//! The parts of the memory plan in the metrics: what each takes of its share.

use std::sync::Arc;

use resolver::cache::Cache;
use resolver::counters::WorkerCounters;
use resolver::inflight::memory::WaitingMemory;

use super::context::ProcessContext;
use crate::memory_plan::MemoryPlan;
use crate::metrics::MemoryPart;
use crate::worker::ConnectionLimiter;

/// What the workers share of the plan.
pub(super) struct SharedMemory<'a> {
    pub(super) cache: &'a Arc<Cache>,
    pub(super) waiting: &'a Arc<WaitingMemory>,
    pub(super) limiter: &'a Arc<ConnectionLimiter>,
    /// One per worker.
    pub(super) worker_counters: Vec<Arc<WorkerCounters>>,
}

/// Octets of the plan as a size of memory.
pub(super) fn octets(planned: u64) -> usize {
    usize::try_from(planned).unwrap_or(usize::MAX)
}

/// Publishes caps and use of all parts.
pub(super) fn publish(process: ProcessContext<'_>, shared: SharedMemory<'_>) {
    let MemoryPlan { cache, l1, waiting, tcp_clients, udp_queues, snapshot, insight, .. } = process.memory;
    let used_cache = Arc::clone(shared.cache);
    let used_waiting = Arc::clone(shared.waiting);
    let used_tcp = Arc::clone(shared.limiter);
    // Weak: the counters own the parts.
    let [queues, snapshots] = [(); 2].map(|()| Arc::downgrade(process.counters));
    let workers = shared.worker_counters;
    let (statistics, trace) = (process.statistics.cloned(), Arc::clone(process.trace));
    process.counters.memory.set(vec![
        part("cache", cache, move || used_cache.weight()),
        part("l1", l1, move || workers.iter().map(|worker| worker.l1_octets.get()).sum()),
        part("waiting", waiting, move || used_waiting.used() as u64),
        part("tcp_clients", tcp_clients, move || used_tcp.memory_used() as u64),
        part("udp_queues", udp_queues, move || {
            queues.upgrade().map_or(0, |process| process.udp_queues.octets())
        }),
        part("snapshot", snapshot, move || {
            snapshots.upgrade().map_or(0, |process| process.snapshots.octets.get())
        }),
        part("insight", insight, move || {
            let statistics = statistics.as_ref().map_or(0, |statistics| statistics.octets());
            (statistics + trace.octets()) as u64
        }),
    ]);
}

fn part(name: &'static str, limit: u64, used: impl Fn() -> u64 + Send + Sync + 'static) -> MemoryPart {
    MemoryPart { name, limit, used: Box::new(used) }
}
