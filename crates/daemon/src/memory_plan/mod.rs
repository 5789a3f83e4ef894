//! Memory plan: divides the memory limit of the cgroup among everything that clients can make grow.
//!
//! The program itself takes [`PROGRAM`], and insight [`INSIGHT`]. A third of the rest is the cache, unless
//! `-cache-bytes` sets it; what the cache leaves is divided in sixteenths, one of which stays free. Each
//! part has a cap, so that the sum stays below the limit under any load.

mod cgroup;

use std::fmt;

/// Code, stacks, the log queue, connections to upstreams, and what the kernel needs for a process.
const PROGRAM: u64 = 8 << 20;

/// Statistics of names and clients, and events that wait for trace subscribers.
const INSIGHT: u64 = 4 << 20;

/// Below this limit the parts are no longer reduced: nothing useful would be left.
const MIN_ROOM: u64 = 12 << 20;
const MIN_REST: u64 = 4 << 20;

/// The cache gets this fraction of what the program leaves.
const CACHE_DIVISOR: u64 = 3;
/// A full cache of CoreDNS's default size, 10,000 entries per zone, fits.
const MAX_CACHE: u64 = 64 << 20;

/// Shares of what the cache leaves, and their maxima.
const SHARES: u64 = 16;
const WAITING: (u64, u64) = (7, 40 << 20);
const TCP_CLIENTS: (u64, u64) = (3, 128 << 20);
const UDP_QUEUES: (u64, u64) = (2, 32 << 20);
const SNAPSHOT: (u64, u64) = (2, 16 << 20);
const L1: (u64, u64) = (1, 8 << 20);

/// Octets for each part of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryPlan {
    /// Of the cgroup, if there is one.
    limit: Option<u64>,
    /// The cache of all workers.
    pub(crate) cache: u64,
    /// Entries that the L1 caches of all workers hold after the cache has removed them.
    pub(crate) l1: u64,
    /// Queries in flight and the clients that wait for them.
    pub(crate) waiting: u64,
    /// TCP connections of clients, and what they buffer.
    pub(crate) tcp_clients: u64,
    /// Receive queues of all UDP sockets.
    pub(crate) udp_queues: u64,
    /// The snapshot in `/run`, which is memory, and the next one while it is written.
    pub(crate) snapshot: u64,
    /// Statistics of names and clients, and traces.
    pub(crate) insight: u64,
}

impl MemoryPlan {
    /// For the cgroup of this process, with `-cache-bytes`.
    pub(crate) fn of_process(cache_bytes: Option<u64>) -> Self {
        Self::new(cgroup::memory_limit(), cache_bytes)
    }

    fn new(limit: Option<u64>, cache_bytes: Option<u64>) -> Self {
        let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(PROGRAM + INSIGHT).max(MIN_ROOM));
        let cache = cache_bytes.unwrap_or_else(|| (room / CACHE_DIVISOR).min(MAX_CACHE));
        let rest = room.saturating_sub(cache).max(MIN_REST);
        let part = |(shares, max): (u64, u64)| (rest / SHARES * shares).min(max);
        Self {
            limit,
            cache,
            l1: part(L1),
            waiting: part(WAITING),
            tcp_clients: part(TCP_CLIENTS),
            udp_queues: part(UDP_QUEUES),
            snapshot: part(SNAPSHOT),
            insight: INSIGHT,
        }
    }

    /// The program and all parts at their caps.
    fn sum(&self) -> u64 {
        let Self { cache, l1, waiting, tcp_clients, udp_queues, snapshot, insight, limit: _ } = *self;
        PROGRAM + cache + l1 + waiting + tcp_clients + udp_queues + snapshot + insight
    }

    /// True when the parts do not fit below the limit: it is small, or `-cache-bytes` is large.
    pub(crate) fn exceeds_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.sum() > limit)
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Some(limit) => write!(f, "limit {}: ", Mebibytes(limit))?,
            None => f.write_str("no limit: ")?,
        }
        let Self { cache, l1, waiting, tcp_clients, udp_queues, snapshot, insight, limit: _ } = *self;
        let [cache, l1, waiting] = [cache, l1, waiting].map(Mebibytes);
        let [tcp_clients, udp_queues, snapshot] = [tcp_clients, udp_queues, snapshot].map(Mebibytes);
        write!(
            f,
            "cache {cache}, L1 caches {l1}, waiting queries {waiting}, TCP clients {tcp_clients}, UDP queues {udp_queues}, snapshots {snapshot}, insight {}, program {}",
            Mebibytes(insight),
            Mebibytes(PROGRAM)
        )
    }
}

/// Octets in MiB with one decimal place, rounded down.
struct Mebibytes(u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 / ((1 << 20) / 10);
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_sum_stays_below_every_limit() {
        for limit in (24..4096).map(|limit| limit * MIB) {
            let plan = MemoryPlan::new(Some(limit), None);
            assert!(plan.sum() < limit && !plan.exceeds_limit(), "{plan}");
        }
    }

    #[test]
    fn the_parts_of_the_usual_limits() {
        assert_eq!(
            MemoryPlan::new(Some(128 * MIB), None).to_string(),
            "limit 128.0 MiB: cache 38.6 MiB, L1 caches 4.8 MiB, waiting queries 33.8 MiB, TCP clients 14.5 MiB, UDP queues 9.6 MiB, snapshots 9.6 MiB, insight 4.0 MiB, program 8.0 MiB"
        );
        assert_eq!(
            MemoryPlan::new(Some(64 * MIB), None).to_string(),
            "limit 64.0 MiB: cache 17.3 MiB, L1 caches 2.1 MiB, waiting queries 15.1 MiB, TCP clients 6.5 MiB, UDP queues 4.3 MiB, snapshots 4.3 MiB, insight 4.0 MiB, program 8.0 MiB"
        );
    }

    #[test]
    fn without_a_limit_each_part_has_its_maximum() {
        let plan = MemoryPlan::new(None, None);
        assert_eq!((plan.cache, plan.waiting, plan.sum()), (64 * MIB, 40 * MIB, 300 * MIB));
        assert_eq!(plan, MemoryPlan { limit: None, ..MemoryPlan::new(Some(1 << 40), None) });
    }

    #[test]
    fn cache_bytes_leaves_less_to_the_others() {
        let plan = MemoryPlan::new(Some(128 * MIB), Some(80 * MIB));
        assert_eq!((plan.cache, plan.exceeds_limit()), (80 * MIB, false));
        assert!(plan.waiting < MemoryPlan::new(Some(128 * MIB), None).waiting);
        assert!(MemoryPlan::new(Some(128 * MIB), Some(128 * MIB)).exceeds_limit());
        assert!(MemoryPlan::new(Some(16 * MIB), None).exceeds_limit());
    }
}
