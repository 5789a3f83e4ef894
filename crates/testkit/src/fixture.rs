//! Default configuration of a resolver: one listener, the root zone, one server block with the
//! default `cache`, one upstream over TCP. A test changes the fields it is about.

use std::sync::Arc;

use resolver::ResolverConfig;
use resolver::action::WorkerId;
use resolver::cache::Cache;
use resolver::policy::{
    Block, BlockId, CacheOptions, Forward, ForwardOptions, Listener, MessageChanges, Policy, PoolOptions,
    ResolverLimits, Route, RouteId, SelectionPolicy, TransportPreference, Upstream, UpstreamId,
};
use wire::name::Name;

use crate::clock;

/// Byte budget of the cache: more than a test fills.
const CACHE_BUDGET: u64 = 64 << 20;

/// `cache` with its defaults, for all names.
pub fn cache() -> CacheOptions {
    CacheOptions::new(vec![Name::root()])
}

/// `forward . UPSTREAM { force_tcp }`.
pub fn forward(upstream: Upstream) -> Forward {
    let options = ForwardOptions {
        policy: SelectionPolicy::Sequential,
        transport: TransportPreference::ForceTcp,
        ..ForwardOptions::new(Name::root())
    };
    Forward { options, upstreams: vec![upstream], state: Arc::default() }
}

/// An upstream address that is never dialled.
pub fn upstream() -> Upstream {
    let (id, addr) = (UpstreamId(0), ([10, 233, 0, 3], 53).into());
    Upstream {
        id,
        addr,
        encrypted: false,
        pool: PoolOptions::default(),
        counters: Arc::default(),
        state: Arc::default(),
    }
}

/// A server block with [`cache`] and one [`forward`].
pub fn block() -> Block {
    Block {
        id: BlockId(0),
        last_directive: Some("forward"),
        udp_size: wire::edns::DEFAULT_UDP_SIZE,
        dns64: None,
        cache: Some(cache()),
        forwards: vec![forward(upstream())],
        front: Vec::new(),
        nsid: None,
        load_balance: None,
        rewrites: Arc::new([]),
        message_changes: MessageChanges::default(),
        plugins: Vec::new(),
        counters: Arc::default(),
        usage: Arc::default(),
    }
}

/// Listener 0 with `block` for the root zone.
pub fn policy(block: Block) -> Arc<Policy> {
    let (zone, block, counters) = (Name::root(), Arc::new(block), Some(Arc::default()));
    let route = Route { id: RouteId(0), zone, block, counters, loop_detector: None };
    let listener = Listener::new(vec![Arc::new(route)], Arc::default(), RouteId(1));
    Arc::new(Policy { listeners: vec![Some(listener)] })
}

/// A single worker with a cache of its own and a constant seed.
pub fn resolver_config(policy: Arc<Policy>) -> ResolverConfig {
    ResolverConfig {
        policy,
        worker: WorkerId(0),
        cache: Arc::new(Cache::new(CACHE_BUDGET, clock::now())),
        shared_inflight: Arc::default(),
        waiting_memory: Arc::default(),
        counters: Arc::default(),
        limits: ResolverLimits::default(),
        seed: [7; 32],
    }
}
