//! Limits of one worker's resolver that no Corefile sets: the query deadline, in-flight queries,
//! waiters, refreshes.

use std::time::Duration;

/// Limits of one worker. The caps on queries, refreshes and waiters have a counter each in
/// [`crate::counters::WorkerCounters`].
#[derive(Clone, Copy, Debug)]
pub struct ResolverLimits {
    /// In-flight queries.
    pub inflight_queries: usize,
    /// In-flight queries without a waiting client: `prefetch` and the refreshes of `serve_stale`.
    /// They count towards `inflight_queries`; the difference is reserved for clients.
    pub refreshes: usize,
    /// Clients waiting for one in-flight query.
    pub waiters_per_query: usize,
    /// Queries of one client address that wait for an upstream.
    pub queries_per_client: usize,
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
            inflight_queries: 8192,
            refreshes: 1024,
            waiters_per_query: 1024,
            queries_per_client: 2048,
            initial_hedges: 10,
            query_deadline: Duration::from_millis(4500),
        }
    }
}
