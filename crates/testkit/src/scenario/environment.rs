//! The resolver under test, built from a scenario's configuration, with its counters.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use resolver::action::{Client, ConnectionId, Transport};
use resolver::cache::{Cache, Usage};
use resolver::counters::{BlockCounters, RouteCounters, UpstreamCounters, WorkerCounters};
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::{
    Block, BlockId, Forward, Listener, ListenerId, LoadBalance, LoopDetector, Policy, Route, RouteId,
    Upstream, UpstreamId,
};
use resolver::{Resolver, ResolverConfig};

use super::config::{self, Config};
use crate::fixture;

/// Byte budget of the cache: more than any scenario fills.
const CACHE_BUDGET: u64 = 8 << 20;

/// Route of queries that match no zone.
const NO_ROUTE: RouteId = RouteId(u16::MAX);

/// Of the random numbers of `loadbalance`.
const SEED: u64 = 1;

/// The only listener.
const LISTENER: ListenerId = ListenerId(0);

/// Counters of a server block.
#[derive(Debug)]
pub(super) struct BlockState {
    pub(super) zones: Vec<String>,
    pub(super) counters: Arc<BlockCounters>,
    pub(super) usage: Arc<Usage>,
    /// Of each of its zones.
    pub(super) routes: Vec<Arc<RouteCounters>>,
}

/// ID, address and counters of an upstream.
#[derive(Debug)]
pub(super) struct UpstreamState {
    pub(super) id: UpstreamId,
    pub(super) addr: SocketAddr,
    pub(super) counters: Arc<UpstreamCounters>,
}

/// The resolver and the state shared with it.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) resolver: Resolver,
    pub(super) worker: Arc<WorkerCounters>,
    pub(super) blocks: Vec<BlockState>,
    pub(super) upstreams: BTreeMap<String, UpstreamState>,
    clients: Vec<String>,
}

impl Environment {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let (cache, worker) = (Arc::new(Cache::new(CACHE_BUDGET, now)), Arc::new(WorkerCounters::default()));
        let (mut blocks, mut upstreams, mut routes) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (id, block) in (0..).zip(&config.blocks) {
            let mut state = BlockState {
                zones: block.zones.iter().map(ToString::to_string).collect(),
                counters: Arc::default(),
                usage: Arc::default(),
                routes: Vec::new(),
            };
            let built = Arc::new(Block {
                id: BlockId(id),
                last_directive: block.last_directive(),
                udp_size: block.udp_size,
                dns64: block.dns64,
                cache: block.cache.clone(),
                forwards: block
                    .forwards
                    .iter()
                    .map(|forward| build_forward(forward, &mut upstreams))
                    .collect(),
                front: block.all_in_front(),
                nsid: block.nsid.as_ref().map(|nsid| nsid.as_bytes().into()),
                load_balance: block.load_balance.clone().map(|options| LoadBalance::new(options, SEED)),
                rewrites: block.rewrites.as_slice().into(),
                message_changes: block.message_changes,
                plugins: block.plugins.clone(),
                counters: Arc::clone(&state.counters),
                usage: Arc::clone(&state.usage),
            });
            let loop_detector = block.loop_query.as_ref().map(|name| {
                let check = LoopDetector::default();
                check.watch(Some(name.clone()));
                Arc::new(check)
            });
            for zone in &block.zones {
                let id = RouteId(u16::try_from(routes.len()).unwrap_or(u16::MAX));
                let (zone, block) = (zone.clone(), Arc::clone(&built));
                let counters: Arc<RouteCounters> = Arc::default();
                state.routes.push(Arc::clone(&counters));
                let counters = Some(counters);
                let loop_detector = loop_detector.clone();
                routes.push(Arc::new(Route { id, zone, block, counters, loop_detector }));
            }
            blocks.push(state);
        }
        let listener = Listener::new(routes, Arc::default(), NO_ROUTE);
        let policy = Arc::new(Policy { listeners: vec![Some(listener)] });
        let waiting_memory = config.waiting_octets.map_or_else(WaitingMemory::default, WaitingMemory::new);
        let resolver = Resolver::new(ResolverConfig {
            cache,
            counters: Arc::clone(&worker),
            limits: config.limits,
            waiting_memory: Arc::new(waiting_memory),
            ..fixture::resolver_config(policy)
        });
        Self { resolver, worker, blocks, upstreams, clients: Vec::new() }
    }

    /// The client of that name; its address is assigned at its first query.
    pub(super) fn client(&mut self, name: &str, transport: Transport) -> Client {
        let known = self.clients.iter().position(|client| client == name);
        let number = known.unwrap_or_else(|| {
            self.clients.push(name.to_owned());
            self.clients.len() - 1
        });
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        let [high, low] = number.to_be_bytes();
        let connection = match transport {
            Transport::Udp => None,
            Transport::Tcp => Some(ConnectionId(u64::from(number))),
        };
        let ip = match name {
            name if name.starts_with("v6") => Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 0, number]).into(),
            _ => IpAddr::V4(Ipv4Addr::new(10, 0, high, low)),
        };
        let peer = (ip, 40_000).into();
        Client { listener: LISTENER, peer, local: None, connection }
    }

    /// The name of a client.
    pub(super) fn client_name(&self, client: Client) -> &str {
        let (high, low) = match client.peer.ip() {
            IpAddr::V4(ip) => (ip.octets()[2], ip.octets()[3]),
            IpAddr::V6(ip) => (ip.octets()[14], ip.octets()[15]),
        };
        self.clients.get(usize::from(u16::from_be_bytes([high, low]))).map_or("?", String::as_str)
    }

    /// The name of the upstream with an ID.
    pub(super) fn upstream_name(&self, id: UpstreamId) -> &str {
        let named = self.upstreams.iter().find(|(_, state)| state.id == id);
        named.map_or("?", |(name, _)| name)
    }

    /// The name of the upstream with an address.
    pub(super) fn upstream_at(&self, addr: SocketAddr) -> &str {
        let named = self.upstreams.iter().find(|(_, state)| state.addr == addr);
        named.map_or("?", |(name, _)| name)
    }
}

fn build_forward(forward: &config::Forward, upstreams: &mut BTreeMap<String, UpstreamState>) -> Forward {
    let upstreams = forward.upstreams.iter().map(|address| {
        let name = address.trim_start_matches("tls://");
        let number = u8::try_from(upstreams.len()).unwrap_or(u8::MAX);
        let state = upstreams.entry(name.to_owned()).or_insert_with(|| UpstreamState {
            id: UpstreamId(u16::from(number)),
            addr: (Ipv4Addr::new(198, 51, 100, number), 53).into(),
            counters: Arc::default(),
        });
        let UpstreamState { id, addr, .. } = *state;
        let (counters, encrypted) = (Arc::clone(&state.counters), name != address);
        Upstream { id, addr, encrypted, pool: forward.pool, counters, ..fixture::upstream() }
    });
    Forward { options: forward.options.clone(), upstreams: upstreams.collect(), state: Arc::default() }
}
