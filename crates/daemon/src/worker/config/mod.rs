//! Settings of the process become orders for each worker.
//!
//! Numbers given here last for the life of the process, over reloads: a listener keeps its sockets, a block that
//! means the same keeps its cached answers, a zone keeps its counters.

mod builder;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use resolver::cache::{ImportTarget, Usage};
use resolver::counters::WorkerCounters;
use resolver::policy::{
    BlockId, DEFAULT_IDLE_TIMEOUT, ForwardState, Listener, ListenerId, LoopDetector, Policy, Route, RouteId,
    UpstreamId, UpstreamState,
};

use crate::counters::{CounterRegistry, DROPPED, EnabledPlugin};
use crate::logging::errors::{Consolidator, ErrorLog};
use crate::logging::query_log::QueryLog;
use crate::worker::{ConnectionTimeouts, UpstreamEndpoints, WorkerConfig};
use builder::Hand;
use corefile::handles_queries;
use corefile::settings::{self, Settings};

/// Why settings cannot be taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumbersUsedUp;

impl std::fmt::Display for NumbersUsedUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("65,536 different listeners or server blocks have been configured since the start: restart the process")
    }
}

/// The numbers given so far.
pub(crate) struct Assembly {
    counters: Arc<Mutex<CounterRegistry>>,
    workers: usize,
    listeners: Vec<String>,
    blocks: HashMap<String, (BlockId, Arc<Usage>)>,
    upstreams: Vec<(SocketAddr, settings::ConnectionOptions)>,
}

/// A loop check that wants its question sent.
#[derive(Clone, Debug)]
pub(crate) struct LoopDetection {
    pub(crate) settings: settings::LoopDetection,
    pub(crate) check: Arc<LoopDetector>,
}

/// What settings come to.
pub(crate) struct Assembled {
    /// One per worker.
    pub(crate) orders: Vec<WorkerConfig>,
    pub(crate) listeners: Vec<(ListenerId, Vec<SocketAddr>)>,
    pub(crate) probes: Vec<LoopDetection>,
    /// Tells what is consolidated; the workers share it.
    pub(crate) error_log: ErrorLog,
    /// The zone of each route, for messages.
    pub(crate) zones: HashMap<RouteId, String>,
}

/// What the workers share of a block.
struct Shared {
    id: BlockId,
    usage: Arc<Usage>,
    loop_detector: Option<Arc<LoopDetector>>,
    consolidator: Option<Arc<Consolidator>>,
    forwards: Vec<SharedForward>,
}

/// What the workers share of a `forward`.
struct SharedForward {
    state: Arc<ForwardState>,
    upstreams: Vec<(UpstreamId, Arc<UpstreamState>)>,
}

impl Assembly {
    pub(crate) fn new(counters: Arc<Mutex<CounterRegistry>>, workers: usize) -> Self {
        Self { counters, workers, listeners: Vec::new(), blocks: HashMap::new(), upstreams: Vec::new() }
    }

    /// What a worker counts as a whole.
    pub(crate) fn worker_counters(&self, worker: usize) -> Arc<WorkerCounters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).worker(worker)
    }

    /// WorkerConfig for every worker.
    ///
    /// # Errors
    /// When there are no numbers left to give.
    pub(crate) fn assemble(&mut self, settings: &Settings) -> Result<Assembled, NumbersUsedUp> {
        let shared: Vec<Shared> =
            settings.blocks.iter().map(|block| self.share(block)).collect::<Result<_, _>>()?;
        let listeners = settings
            .listeners
            .iter()
            .map(|listener| Ok((self.listener(&listener.label)?, listener.addresses.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let mut assembled = Assembled {
            orders: Vec::new(),
            listeners,
            probes: probes(settings, &shared),
            error_log: ErrorLog::new(),
            zones: HashMap::new(),
        };
        let counters = Arc::clone(&self.counters);
        let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        for worker in 0..self.workers {
            let mut hand =
                Hand { counters: &mut counters, settings, shared: &shared, worker, workers: self.workers };
            let orders = self.orders(&mut hand, &mut assembled);
            assembled.orders.push(orders);
        }
        for orders in &mut assembled.orders {
            orders.error_log = assembled.error_log.clone();
        }
        Ok(assembled)
    }

    /// The blocks of assembled `settings` that have a cache, by what they mean to any process: their fingerprints.
    pub(crate) fn import_targets(&self, settings: &Settings) -> HashMap<String, ImportTarget> {
        let import_targets = settings.blocks.iter().filter_map(|block| {
            let (policy, (id, usage)) = block.cache.clone().zip(self.blocks.get(&block.fingerprint))?;
            Some((block.fingerprint.clone(), ImportTarget { block: *id, usage: Arc::clone(usage), policy }))
        });
        import_targets.collect()
    }

    /// Has the metrics tell that `settings` are in force.
    pub(crate) fn in_force(&self, settings: &Settings) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.set_enabled_plugins(enabled_plugins(settings));
    }

    fn share(&mut self, block: &settings::Block) -> Result<Shared, NumbersUsedUp> {
        let forwards = block.forwards.iter().map(|forward| self.share_forward(forward));
        let forwards = forwards.collect::<Result<_, _>>()?;
        let next = u16::try_from(self.blocks.len()).map_err(|_| NumbersUsedUp)?;
        let known = self.blocks.entry(block.fingerprint.clone());
        let (id, usage) = known.or_insert_with(|| (BlockId(next), Arc::default()));
        Ok(Shared {
            id: *id,
            usage: Arc::clone(usage),
            loop_detector: block.loop_detection.as_ref().map(|_| Arc::default()),
            consolidator: block.errors.as_ref().map(|errors| Arc::new(Consolidator::new(errors))),
            forwards,
        })
    }

    fn share_forward(&mut self, forward: &settings::Forward) -> Result<SharedForward, NumbersUsedUp> {
        let numbers = forward.upstreams.iter().map(|&addr| self.upstream(addr, &forward.connection));
        let upstreams = numbers.map(|id| Ok((id?, Arc::default()))).collect::<Result<_, _>>()?;
        Ok(SharedForward { state: Arc::default(), upstreams })
    }

    fn upstream(
        &mut self,
        addr: SocketAddr,
        carriage: &settings::ConnectionOptions,
    ) -> Result<UpstreamId, NumbersUsedUp> {
        let known = self.upstreams.iter().position(|known| *known == (addr, carriage.clone()));
        let place = known.unwrap_or_else(|| {
            self.upstreams.push((addr, carriage.clone()));
            self.upstreams.len() - 1
        });
        u16::try_from(place).map(UpstreamId).map_err(|_| NumbersUsedUp)
    }

    fn listener(&mut self, label: &str) -> Result<ListenerId, NumbersUsedUp> {
        let known = self.listeners.iter().position(|known| known == label);
        let place = known.unwrap_or_else(|| {
            self.listeners.push(label.to_owned());
            self.listeners.len() - 1
        });
        u16::try_from(place).map(ListenerId).map_err(|_| NumbersUsedUp)
    }

    fn orders(&self, hand: &mut Hand<'_>, assembled: &mut Assembled) -> WorkerConfig {
        let mut query_log = QueryLog::new();
        let mut policy = Policy { listeners: self.listeners.iter().map(|_| None).collect() };
        let mut upstreams = UpstreamEndpoints::new();
        let (mut addresses, mut timeouts) = (HashMap::new(), HashMap::new());
        for (listener, (id, _)) in hand.settings.listeners.iter().zip(&assembled.listeners) {
            let (dropped_id, dropped) = hand.counters.route(&listener.label, DROPPED, hand.worker);
            let blocks = hand.blocks(listener, &mut upstreams);
            let mut routes = Vec::new();
            for (zone, index) in &listener.zones {
                let (route, counters) = hand.counters.route(&listener.label, &zone.to_string(), hand.worker);
                let Some((block, settings, shared)) = hand.block(*index, &blocks) else { continue };
                let counters = settings.prometheus.then_some(counters);
                let loop_detector = shared.loop_detector.clone();
                routes.push(Arc::new(Route {
                    id: route,
                    zone: zone.clone(),
                    block,
                    counters,
                    loop_detector,
                }));
                query_log.set_rules(route, &settings.log);
                if let Some(consolidator) = &shared.consolidator {
                    assembled.error_log.set(route, consolidator);
                }
                assembled.zones.insert(route, zone.to_string());
            }
            if let Some(place) = policy.listeners.get_mut(usize::from(id.0)) {
                let mut listening = Listener::new(routes, dropped, dropped_id);
                listening.idle = listener.timeouts.idle.unwrap_or(DEFAULT_IDLE_TIMEOUT);
                *place = Some(listening);
            }
            timeouts.insert(*id, ConnectionTimeouts::from(listener.timeouts));
            if let Some(first) = listener.addresses.first() {
                addresses.insert(*id, first.ip());
            }
        }
        let (policy, error_log) = (Arc::new(policy), ErrorLog::new());
        WorkerConfig { policy, upstreams, query_log, error_log, timeouts, addresses }
    }
}

fn probes(settings: &Settings, shared: &[Shared]) -> Vec<LoopDetection> {
    let checks = settings.blocks.iter().zip(shared);
    let probes = checks.filter_map(|(block, shared)| {
        let (settings, check) = block.loop_detection.clone().zip(shared.loop_detector.clone())?;
        Some(LoopDetection { settings, check })
    });
    probes.collect()
}

fn enabled_plugins(settings: &Settings) -> Vec<EnabledPlugin> {
    let mut rows = Vec::new();
    for listener in &settings.listeners {
        for (_, index) in &listener.zones {
            let Some(block) = settings.blocks.get(*index) else { continue };
            let zone = block.keys.first().map(|key| key.zone.to_string()).unwrap_or_default();
            for name in block.directives.iter().filter(|name| handles_queries(name)) {
                let (server, name) = (listener.label.clone(), (*name).to_owned());
                rows.push(EnabledPlugin { server, zone: zone.clone(), name });
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags;
    use crate::host::OsHost;
    use corefile::Environment;

    fn settings(corefile: &str) -> Settings {
        let path = std::env::temp_dir().join(format!("nodelocaldns-homes-{}", std::process::id()));
        std::fs::write(&path, corefile).unwrap();
        let args = ["nodelocaldns", "-localip", "169.254.25.10", "-conf"].map(Into::into);
        let flags = flags::parse(args.into_iter().chain([path.clone().into_os_string()])).unwrap();
        let settings = corefile::load(&flags.options, &Environment::default(), &OsHost).unwrap();
        std::fs::remove_file(path).unwrap();
        settings
    }

    #[test]
    fn a_block_with_a_cache_is_a_home_and_stays_the_same_over_reloads() {
        let cached = "example.:53 {\n bind 169.254.25.10\n cache 30\n forward . 192.0.2.1\n}\n";
        let plain = ".:53 {\n bind 169.254.25.10\n forward . 192.0.2.1\n}\n";
        let first = settings(&format!("{cached}{plain}"));
        let mut assembly = Assembly::new(Arc::default(), 1);
        assembly.assemble(&first).unwrap();
        let before = assembly.import_targets(&first);
        assert_eq!(before.keys().collect::<Vec<_>>(), [&first.blocks[0].fingerprint]);
        let second = settings(&format!("{plain}{}{cached}", cached.replace("example", "test")));
        assembly.assemble(&second).unwrap();
        let after = assembly.import_targets(&second);
        let [before, same] =
            [&before, &after].map(|import_targets| &import_targets[&first.blocks[0].fingerprint]);
        assert_eq!((before.block, after.len()), (same.block, 2));
        assert!(Arc::ptr_eq(&before.usage, &same.usage));
        assert_eq!(same.policy.success.max_ttl, 30);
    }
}
