//! Limits of one worker's resolver that no Corefile sets: the query deadline, waiters,
//! refreshes.

use std::time::Duration;

/// Limits of one worker. The caps on refreshes and waiters have a counter each in
/// [`crate::counters::WorkerCounters`]. The memory of waiting queries is limited for all workers
/// together: [`crate::inflight::memory::WaitingMemory`].
#[derive(Clone, Copy, Debug)]
pub struct ResolverLimits {
    /// In-flight queries without a waiting client: `prefetch` and the refreshes of `serve_stale`.
    pub refreshes: usize,
    /// Octets of the entries in the worker's L1 cache, which the cache may have removed.
    pub l1_octets: usize,
    /// Clients waiting for one in-flight query.
    pub waiters_per_query: usize,
    /// Hedges that an upstream's full hedge budget allows. After these, ten ordinary attempts earn
    /// one hedge; 0 disables hedging, but not retransmissions to another upstream. See [`crate::counters::UpstreamCounters::hedges_throttled`].
    pub initial_hedges: u32,
    /// From a client's query to its response, dialling and retries included. Below the 5 s at
    /// which stub resolvers give up.
    pub query_deadline: Duration,
}

impl Default for ResolverLimits {
    fn default() -> Self {
        Self {
            l1_octets: 4 << 20,
            refreshes: 1024,
            waiters_per_query: 1024,
            initial_hedges: 10,
            query_deadline: Duration::from_millis(4500),
        }
    }
}
