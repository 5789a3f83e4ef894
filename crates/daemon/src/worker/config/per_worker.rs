//! Server blocks and upstream endpoints of one worker, with its counters.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use corefile::handles_queries;
use corefile::settings::{self, Settings};
use resolver::policy::{Block, Forward, LoadBalance, PoolOptions, Upstream};
use wire::edns::DEFAULT_UDP_SIZE;

use super::shared::{SharedBlock, SharedForward};
use crate::counters::CounterRegistry;
use crate::worker::{TlsParams, UpstreamEndpoint, UpstreamEndpoints};

/// Builds the configuration of one worker.
pub(super) struct PerWorker<'a> {
    pub(super) counters: &'a mut CounterRegistry,
    pub(super) settings: &'a Settings,
    /// In the order of the settings' blocks.
    pub(super) shared: &'a [SharedBlock],
    /// Its index.
    pub(super) worker: usize,
    /// The number of workers.
    pub(super) workers: usize,
}

impl PerWorker<'_> {
    /// The blocks of a listener, by index in [`Settings::blocks`]; their endpoints go into
    /// `endpoints`.
    pub(super) fn blocks(
        &mut self,
        listener: &settings::Listener,
        endpoints: &mut UpstreamEndpoints,
    ) -> HashMap<usize, Arc<Block>> {
        let mut blocks = HashMap::new();
        for (_, index) in &listener.zones {
            let Some((block, shared)) = self.settings.blocks.get(*index).zip(self.shared.get(*index)) else {
                continue;
            };
            if blocks.contains_key(index) {
                continue;
            }
            let zones = cache_zones(block);
            let counters = self.counters.block(&listener.label, &zones, &shared.usage, self.worker);
            let forwards = block.forwards.iter().zip(&shared.forwards);
            let forwards =
                forwards.map(|(forward, shared)| self.forward(forward, shared, endpoints)).collect();
            let load_balance = block.load_balance.clone();
            let block = Block {
                id: shared.id,
                last_directive: block.directives.iter().copied().rfind(|name| handles_queries(name)),
                udp_size: block.bufsize.unwrap_or(DEFAULT_UDP_SIZE),
                dns64: block.dns64,
                cache: block.cache.clone(),
                front: block.front.clone(),
                nsid: block.nsid.clone(),
                load_balance: load_balance.map(|options| LoadBalance::new(options, rand::random())),
                forwards,
                rewrites: Arc::clone(&block.rewrites),
                message_changes: block.message_changes,
                plugins: block.plugins.clone(),
                counters,
                usage: Arc::clone(&shared.usage),
            };
            blocks.insert(*index, Arc::new(block));
        }
        blocks
    }

    /// A block of [`Self::blocks`] with its settings and shared state.
    pub(super) fn block(
        &self,
        index: usize,
        blocks: &HashMap<usize, Arc<Block>>,
    ) -> Option<(Arc<Block>, &settings::Block, &SharedBlock)> {
        Some((Arc::clone(blocks.get(&index)?), self.settings.blocks.get(index)?, self.shared.get(index)?))
    }

    fn forward(
        &mut self,
        forward: &settings::Forward,
        shared: &SharedForward,
        endpoints: &mut UpstreamEndpoints,
    ) -> Forward {
        let mut upstreams = Vec::new();
        for (&addr, (id, state)) in forward.upstreams.iter().zip(&shared.upstreams) {
            let endpoint = endpoint(addr, &forward.connection);
            let encrypted = endpoint.tls.is_some();
            endpoints.insert(*id, Arc::new(endpoint));
            upstreams.push(Upstream {
                id: *id,
                addr,
                encrypted,
                pool: self.pool_options(&forward.connection),
                counters: self.counters.upstream(addr, self.worker),
                state: Arc::clone(state),
            });
        }
        Forward { options: forward.options.clone(), upstreams, state: Arc::clone(&shared.state) }
    }

    /// `max_idle_conns` holds for the process: each worker keeps its part, at least one.
    fn pool_options(&self, connection: &settings::ConnectionOptions) -> PoolOptions {
        let part = |limit: NonZeroUsize| NonZeroUsize::new(limit.get().div_ceil(self.workers));
        PoolOptions {
            idle_timeout: connection.expire,
            max_age: connection.max_age,
            max_idle: connection.max_idle_conns.and_then(part),
        }
    }
}

fn endpoint(addr: SocketAddr, connection: &settings::ConnectionOptions) -> UpstreamEndpoint {
    let tls = connection
        .tls
        .as_ref()
        .and_then(|tls| Some(TlsParams { config: Arc::clone(&tls.config), name: tls.name(addr)?.clone() }));
    UpstreamEndpoint { addr, source: connection.source_address, tls }
}

/// The `zones` label of the cache metrics.
pub(super) fn cache_zones(block: &settings::Block) -> String {
    let names: Vec<String> = match &block.cache {
        Some(cache) => cache.zones.iter().map(ToString::to_string).collect(),
        None => block.keys.iter().map(|key| key.zone.to_string()).collect(),
    };
    names.join(",")
}
