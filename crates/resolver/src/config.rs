//! Configuration of a resolver.

use std::sync::Arc;

use crate::action::WorkerId;
use crate::cache::Cache;
use crate::counters::WorkerCounters;
use crate::inflight::memory::WaitingMemory;
use crate::inflight::shared::SharedInflight;
use crate::policy::{Policy, ResolverLimits};

/// Everything a [`Resolver`](crate::Resolver) is constructed with.
#[derive(Debug)]
pub struct ResolverConfig {
    /// The initial policy; see [`Resolver::set_policy`](crate::Resolver::set_policy).
    pub policy: Arc<Policy>,
    /// The worker.
    pub worker: WorkerId,
    /// The cache, shared by all workers.
    pub cache: Arc<Cache>,
    /// In-flight queries of all workers.
    pub shared_inflight: Arc<SharedInflight>,
    /// Memory of the waiting queries of all workers.
    pub waiting_memory: Arc<WaitingMemory>,
    /// The worker's counters.
    pub counters: Arc<WorkerCounters>,
    /// Limits and the query deadline.
    pub limits: ResolverLimits,
    /// From the operating system's source of randomness; message IDs derive from it.
    pub seed: [u8; 32],
}
