//! [`WorkerConfigBuilder`]: Corefile settings to one [`WorkerConfig`] per worker.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use corefile::handles_queries;
use corefile::settings::{self, Settings};
use resolver::cache::{ImportTarget, Usage};
use resolver::counters::WorkerCounters;
use resolver::policy::{
    Block, DEFAULT_IDLE_TIMEOUT, Listener, ListenerId, LoopDetector, Policy, Route, RouteId,
};

use super::ids::IdRegistry;
use super::ids_exhausted::IdsExhausted;
use super::per_worker::{PerWorker, cache_zones};
use super::shared::SharedBlock;
use crate::counters::{ActiveBlock, CounterRegistry, DROPPED, EnabledPlugin};
use crate::logging::errors::ErrorLog;
use crate::logging::query_log::QueryLog;
use crate::worker::{ConnectionTimeouts, UpstreamEndpoints, WorkerConfig};

/// Builds worker configurations. One per process, because identifiers are stable across reloads.
pub(crate) struct WorkerConfigBuilder {
    counters: Arc<Mutex<CounterRegistry>>,
    workers: usize,
    ids: IdRegistry,
}

/// A `loop` directive whose query is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct LoopDetection {
    pub(crate) target: settings::LoopQueryTarget,
    pub(crate) detector: Arc<LoopDetector>,
}

/// Configuration of all workers, built from one set of settings.
pub(crate) struct WorkerConfigs {
    /// One per worker.
    pub(crate) workers: Vec<WorkerConfig>,
    pub(crate) listeners: Vec<(ListenerId, Vec<SocketAddr>)>,
    pub(crate) loop_detections: Vec<LoopDetection>,
    /// Shared by the workers: `consolidate` counts across them.
    pub(crate) error_log: ErrorLog,
    /// For [`WorkerConfigBuilder::put_in_force`].
    pub(crate) active_blocks: Vec<ActiveBlock>,
    /// The zone of each route, for messages.
    pub(crate) zones: HashMap<RouteId, String>,
}

impl WorkerConfigBuilder {
    pub(crate) fn new(counters: Arc<Mutex<CounterRegistry>>, workers: usize) -> Self {
        Self { counters, workers, ids: IdRegistry::default() }
    }

    /// The counters of a worker.
    pub(crate) fn worker_counters(&self, worker: usize) -> Arc<WorkerCounters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).worker(worker)
    }

    /// The listeners of `settings`, with their identifiers.
    ///
    /// # Errors
    /// [`IdsExhausted`]: an identifier of a new listener is lacking.
    pub(crate) fn listeners(
        &mut self,
        settings: &Settings,
    ) -> Result<Vec<(ListenerId, Vec<SocketAddr>)>, IdsExhausted> {
        let listeners = settings.listeners.iter();
        let listeners =
            listeners.map(|listener| Ok((self.ids.listener(&listener.label)?, listener.addresses.clone())));
        listeners.collect()
    }

    /// Builds the configuration of every worker.
    ///
    /// # Errors
    /// [`IdsExhausted`]: an identifier of a new listener, server block or upstream is lacking.
    pub(crate) fn build(&mut self, settings: &Settings) -> Result<WorkerConfigs, IdsExhausted> {
        self.ids.blocks.begin_build();
        let shared = settings.blocks.iter().map(|block| SharedBlock::new(block, &mut self.ids));
        let shared: Vec<SharedBlock> = shared.collect::<Result<_, _>>()?;
        let listeners = self.listeners(settings)?;
        let mut configs = WorkerConfigs {
            workers: Vec::new(),
            listeners,
            loop_detections: loop_detections(settings, &shared),
            error_log: ErrorLog::new(),
            active_blocks: Vec::new(),
            zones: HashMap::new(),
        };
        let counters = Arc::clone(&self.counters);
        let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        for worker in 0..self.workers {
            let (shared, workers) = (&*shared, self.workers);
            let mut parts = PerWorker { counters: &mut counters, settings, shared, worker, workers };
            let config = self.worker_config(&mut parts, &mut configs);
            configs.workers.push(config);
        }
        for worker in &mut configs.workers {
            worker.error_log = configs.error_log.clone();
        }
        Ok(configs)
    }

    /// The blocks with a cache by fingerprint, for settings that have been built.
    pub(crate) fn import_targets(&self, settings: &Settings) -> HashMap<String, ImportTarget> {
        let targets = settings.blocks.iter().filter_map(|settings| {
            let (policy, (block, usage)) =
                settings.cache.clone().zip(self.ids.blocks.get(&settings.fingerprint))?;
            let rewrites = !settings.rewrites.is_empty();
            Some((settings.fingerprint.clone(), ImportTarget { block, usage, options: policy, rewrites }))
        });
        targets.collect()
    }

    /// The cache usages of the server blocks whose entries are of use: those in force, and some that
    /// were before.
    pub(crate) fn usages(&self) -> Vec<Arc<Usage>> {
        self.ids.blocks.usages()
    }

    /// Puts `settings` in force, and publishes in the metrics what is in effect: their directives and
    /// hosts entries, and the upstreams of `blocks`.
    pub(crate) fn put_in_force(&mut self, settings: &Settings, blocks: Vec<ActiveBlock>) {
        self.ids.blocks.set_in_force(settings.blocks.iter().map(|block| &*block.fingerprint));
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.set_enabled_plugins(enabled_plugins(settings));
        let files = settings.blocks.iter().filter_map(|block| block.hosts.as_ref());
        counters.set_hosts_entries(files.map(|file| (file.label.clone(), file.entries)).collect());
        counters.set_active_blocks(blocks);
    }

    fn worker_config(&self, parts: &mut PerWorker<'_>, configs: &mut WorkerConfigs) -> WorkerConfig {
        let mut policy = Policy { listeners: (0..self.ids.listener_count()).map(|_| None).collect() };
        let (mut query_log, mut upstreams) = (QueryLog::new(), UpstreamEndpoints::new());
        let (mut addresses, mut timeouts) = (HashMap::new(), HashMap::new());
        for (index, settings) in parts.settings.listeners.iter().enumerate() {
            let Some(&(id, _)) = configs.listeners.get(index) else { continue };
            let listener = build_listener(settings, parts, &mut upstreams, &mut query_log, configs);
            if let Some(slot) = policy.listeners.get_mut(usize::from(id.0)) {
                *slot = Some(listener);
            }
            timeouts.insert(id, ConnectionTimeouts::from(settings.timeouts));
            if let Some(first) = settings.addresses.first() {
                addresses.insert(id, first.ip());
            }
        }
        let (policy, error_log) = (Arc::new(policy), ErrorLog::new());
        WorkerConfig { policy, upstreams, query_log, error_log, timeouts, addresses }
    }
}

/// A listener of one worker's policy, with the log rules of its zones.
fn build_listener(
    listener: &settings::Listener,
    parts: &mut PerWorker<'_>,
    upstreams: &mut UpstreamEndpoints,
    query_log: &mut QueryLog,
    configs: &mut WorkerConfigs,
) -> Listener {
    let (dropped_id, dropped) = parts.counters.route(&listener.label, DROPPED, parts.worker);
    let blocks = parts.blocks(listener, upstreams);
    if parts.worker == 0 {
        configs.active_blocks.extend(active_blocks(listener, parts.settings, &blocks));
    }
    let mut routes = Vec::new();
    for (zone, index) in &listener.zones {
        let (id, counters) = parts.counters.route(&listener.label, &zone.to_string(), parts.worker);
        let Some((block, settings, shared)) = parts.block(*index, &blocks) else { continue };
        let counters = settings.prometheus.then_some(counters);
        let loop_detector = shared.loop_detector.clone();
        routes.push(Arc::new(Route { id, zone: zone.clone(), block, counters, loop_detector }));
        query_log.set_rules(id, &settings.log, settings.metadata);
        if let Some(consolidator) = &shared.consolidator {
            configs.error_log.set(id, consolidator);
        }
        configs.zones.insert(id, zone.to_string());
    }
    let mut built = Listener::new(routes, dropped, dropped_id);
    built.address = listener.addresses.first().copied();
    built.idle = listener.timeouts.idle.unwrap_or(DEFAULT_IDLE_TIMEOUT);
    built
}

/// The `blocks` of a listener, by index in [`Settings::blocks`].
fn active_blocks(
    listener: &settings::Listener,
    settings: &Settings,
    blocks: &HashMap<usize, Arc<Block>>,
) -> Vec<ActiveBlock> {
    let blocks = blocks.iter().filter_map(|(index, block)| {
        let zones = cache_zones(settings.blocks.get(*index)?);
        Some(ActiveBlock { server: listener.label.clone(), zones, block: Arc::clone(block) })
    });
    let mut blocks: Vec<ActiveBlock> = blocks.collect();
    blocks.sort_unstable_by_key(|active| active.block.id.0);
    blocks
}

fn loop_detections(settings: &Settings, shared: &[SharedBlock]) -> Vec<LoopDetection> {
    let blocks = settings.blocks.iter().zip(shared);
    let detections = blocks.filter_map(|(block, shared)| {
        let (target, detector) = block.loop_query.clone().zip(shared.loop_detector.clone())?;
        Some(LoopDetection { target, detector })
    });
    detections.collect()
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
    use corefile::Environment;

    use super::*;
    use crate::flags;
    use crate::host::OsHost;

    fn settings(corefile: &str) -> Settings {
        let path = std::env::temp_dir().join(format!("nodelocaldns-targets-{}", rand::random::<u64>()));
        std::fs::write(&path, corefile).unwrap();
        let args = ["nodelocaldns", "-localip", "169.254.25.10", "-conf"].map(Into::into);
        let flags = flags::parse(args.into_iter().chain([path.clone().into_os_string()])).unwrap();
        let settings = corefile::load(&flags.options, &Environment::default(), &OsHost::default()).unwrap();
        std::fs::remove_file(path).unwrap();
        settings
    }

    #[test]
    fn a_block_with_a_cache_is_an_import_target_and_keeps_its_id_over_reloads() {
        let cached = "example.:53 {\n bind 169.254.25.10\n cache 30\n forward . 192.0.2.1\n}\n";
        let plain = ".:53 {\n bind 169.254.25.10\n forward . 192.0.2.1\n}\n";
        let first = settings(&format!("{cached}{plain}"));
        let mut builder = WorkerConfigBuilder::new(Arc::default(), 1);
        builder.build(&first).unwrap();
        let before = builder.import_targets(&first);
        assert_eq!(before.keys().collect::<Vec<_>>(), [&first.blocks[0].fingerprint]);
        let second = settings(&format!("{plain}{}{cached}", cached.replace("example", "test")));
        builder.build(&second).unwrap();
        let after = builder.import_targets(&second);
        let [before, same] = [&before, &after].map(|targets| &targets[&first.blocks[0].fingerprint]);
        assert_eq!((before.block, after.len()), (same.block, 2));
        assert!(Arc::ptr_eq(&before.usage, &same.usage));
        assert_eq!(same.options.success.max_ttl, 30);
    }

    #[test]
    fn a_hosts_file_may_change_any_number_of_times() {
        let mut settings = settings(".:53 {\n bind 169.254.25.10\n cache 30\n forward . 192.0.2.1\n}\n");
        let mut builder = WorkerConfigBuilder::new(Arc::default(), 1);
        let mut in_force = builder.build(&settings).unwrap();
        for edit in 0..70_000 {
            settings.blocks[0].fingerprint = format!("hosts with the digest {edit}");
            let mut configs = builder.build(&settings).unwrap();
            builder.put_in_force(&settings, std::mem::take(&mut configs.active_blocks));
            in_force = configs;
        }
        assert_eq!(in_force.workers.len(), 1);
        assert!(builder.usages().len() < 30, "{}", builder.usages().len());
    }
}
