//! The blocks of one worker: what all share, with counters and carriers of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use resolver::counters::UpstreamCounters;
use resolver::policy::{Block, Forward, Upstream};
use wire::edns::DEFAULT_UDP_SIZE;

use super::{Shared, SharedForward};
use crate::counters::CounterRegistry;
use crate::worker::{TlsParams, UpstreamEndpoint, UpstreamEndpoints};
use corefile::settings::{self, Settings};

/// What the orders of one worker are made from.
pub(super) struct Hand<'a> {
    pub(super) counters: &'a mut CounterRegistry,
    pub(super) settings: &'a Settings,
    pub(super) shared: &'a [Shared],
    pub(super) worker: usize,
    pub(super) workers: usize,
}

impl Hand<'_> {
    /// The blocks that a listener names, by their place in the settings.
    pub(super) fn blocks(
        &mut self,
        listener: &settings::Listener,
        upstreams: &mut UpstreamEndpoints,
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
                forwards.map(|(forward, shared)| self.forward(forward, shared, upstreams)).collect();
            let (id, usage) = (shared.id, Arc::clone(&shared.usage));
            let cache = block.cache.clone();
            let udp_size = block.bufsize.unwrap_or(DEFAULT_UDP_SIZE);
            blocks.insert(*index, Arc::new(Block { id, udp_size, cache, forwards, counters, usage }));
        }
        blocks
    }

    pub(super) fn block(
        &self,
        index: usize,
        blocks: &HashMap<usize, Arc<Block>>,
    ) -> Option<(Arc<Block>, &settings::Block, &Shared)> {
        Some((Arc::clone(blocks.get(&index)?), self.settings.blocks.get(index)?, self.shared.get(index)?))
    }

    fn carrier(
        &self,
        addr: SocketAddr,
        carriage: &settings::ConnectionOptions,
        counters: &Arc<UpstreamCounters>,
    ) -> UpstreamEndpoint {
        let tls = carriage.tls.as_ref().and_then(|tls| {
            Some(TlsParams { config: Arc::clone(&tls.config), name: tls.name(addr)?.clone() })
        });
        UpstreamEndpoint {
            addr,
            source: carriage.source_address,
            tls,
            idle_timeout: carriage.expire,
            max_age: carriage.max_age,
            max_idle: carriage
                .max_idle_conns
                .and_then(|most| NonZeroUsize::new(most.get().div_ceil(self.workers))),
            counters: Arc::clone(counters),
        }
    }

    fn forward(
        &mut self,
        forward: &settings::Forward,
        shared: &SharedForward,
        carriers: &mut UpstreamEndpoints,
    ) -> Forward {
        let mut upstreams = Vec::new();
        for (&addr, (id, state)) in forward.upstreams.iter().zip(&shared.upstreams) {
            let counters = self.counters.upstream(addr, self.worker);
            let carrier = self.carrier(addr, &forward.connection, &counters);
            let encrypted = carrier.tls.is_some();
            carriers.insert(*id, Arc::new(carrier));
            upstreams.push(Upstream { id: *id, addr, encrypted, counters, state: Arc::clone(state) });
        }
        Forward { options: forward.options.clone(), upstreams, state: Arc::clone(&shared.state) }
    }
}

/// The `zones` label of the cache metrics.
fn cache_zones(block: &settings::Block) -> String {
    let names: Vec<String> = match &block.cache {
        Some(cache) => cache.zones.iter().map(ToString::to_string).collect(),
        None => block.keys.iter().map(|key| key.zone.to_string()).collect(),
    };
    names.join(",")
}
