//! The plainest configuration a resolver can have, to start from: one listener, the root zone, one block with
//! CoreDNS's default cache, one upstream by TCP. A test changes the fields it is about.

use std::sync::Arc;
use std::time::Duration;

use resolver::ResolverConfig;
use resolver::cache::Cache;
use resolver::inflight::shared::WorkerId;
use resolver::policy::{
    Block, BlockId, CacheOptions, ForwardPolicy, HealthCheck, Listener, MaxConnectAttempts, Policy,
    ResolverLimits, Route, RouteId, SelectionPolicy, StoreOptions, TransportPreference, Upstream, UpstreamId,
};
use wire::name::Name;

/// Octets the cache may take: more than a test fills.
const CACHE_BUDGET: u64 = 64 << 20;

/// `cache`, for all names.
pub fn cache() -> CacheOptions {
    let store = StoreOptions { capacity: 9984, max_ttl: 3600, min_ttl: 5, disabled: Vec::new() };
    CacheOptions {
        zones: vec![Name::root()],
        success: store.clone(),
        denial: StoreOptions { max_ttl: 1800, ..store },
        servfail: Duration::from_secs(5),
        keep_ttl: false,
        prefetch: None,
        serve_stale: None,
        authoritative: false,
    }
}

/// `forward . UPSTREAM { force_tcp }`.
pub fn forward(upstream: Upstream) -> ForwardPolicy {
    ForwardPolicy {
        from: Name::root(),
        except: Vec::new(),
        upstreams: vec![upstream],
        order: SelectionPolicy::Sequential,
        transport: TransportPreference::ForceTcp,
        max_concurrent: 0,
        read_timeout: Duration::from_secs(2),
        attempts: MaxConnectAttempts::default(),
        health: health(),
        failover: Vec::new(),
        next: Vec::new(),
        next_on_nodata: false,
        state: Arc::default(),
    }
}

/// CoreDNS's defaults for finding out who is down.
pub fn health() -> HealthCheck {
    let (interval, name) = (Duration::from_millis(500), Name::root());
    HealthCheck { max_fails: 2, interval, recursion_desired: true, name, failfast: false }
}

/// An upstream that no packet reaches.
pub fn upstream() -> Upstream {
    let (id, addr) = (UpstreamId(0), ([10, 233, 0, 3], 53).into());
    Upstream { id, addr, encrypted: false, counters: Arc::default(), state: Arc::default() }
}

/// A block with [`cache`] and one [`forward`], to an upstream that no packet reaches.
pub fn block() -> Block {
    Block {
        id: BlockId(0),
        udp_size: wire::edns::DEFAULT_UDP_SIZE,
        cache: Some(cache()),
        forwards: vec![forward(upstream())],
        counters: Arc::default(),
        usage: Arc::default(),
    }
}

/// One listener, number 0, that serves the root by `block`.
pub fn policy(block: Block) -> Arc<Policy> {
    let (zone, block, counters) = (Name::root(), Arc::new(block), Some(Arc::default()));
    let route = Route { id: RouteId(0), zone, block, counters, loop_detector: None };
    let listener = Listener::new(vec![Arc::new(route)], Arc::default(), RouteId(1));
    Arc::new(Policy { listeners: vec![Some(listener)] })
}

/// The only worker, with a cache and randomness of its own, the same in every run.
pub fn resolver_config(policy: Arc<Policy>) -> ResolverConfig {
    ResolverConfig {
        policy,
        worker: WorkerId(0),
        cache: Arc::new(Cache::new(CACHE_BUDGET)),
        shared_inflight: Arc::default(),
        counters: Arc::default(),
        limits: ResolverLimits::default(),
        seed: [7; 32],
    }
}
