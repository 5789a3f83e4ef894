//! From settings to a process in service.

use std::net::SocketAddr;
use std::sync::Arc;

use resolver::ResolverConfig;
use resolver::cache::Cache;
use resolver::policy::{ListenerId, ResolverLimits};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info};
use wire::name::Name;

use super::reconfigure::{bind_fault, endpoints, start_probes};
use super::{FatalError, Instance, ProcessContext};
use crate::handover::ReceivedOffer;
use crate::http::HttpServer;
use crate::worker::config::WorkerConfigBuilder;
use crate::worker::{
    self, ConnectionLimiter, InheritedSockets, ListeningSockets, Reconfigure, Worker, WorkerConfig,
    WorkerContext, WorkerEvent,
};
use crate::{memory_budget, snapshot};
use corefile::Corefile;
use corefile::settings::Settings;

const NOTICES_LEN: usize = 16;

impl<'a> Instance<'a> {
    /// Takes over from a predecessor or binds, starts the workers and opens the endpoints. When this returns well,
    /// the workers read, and a predecessor does not any more.
    pub(crate) async fn start(
        context: ProcessContext<'a>,
        (corefile, settings): (Corefile, Settings),
        mut config_builder: WorkerConfigBuilder,
        http_server: HttpServer,
        estate: Option<Box<ReceivedOffer>>,
    ) -> Result<Self, FatalError> {
        let configs = config_builder.build(&settings).map_err(FatalError::IdsExhausted)?;
        let import_targets = config_builder.import_targets(&settings);
        let (notify, notices) = mpsc::channel(NOTICES_LEN);
        let cache = Arc::new(Cache::new(memory_budget::cache_bytes(context.flags.cache_bytes)));
        let mut instance = Self {
            context,
            corefile,
            settings,
            config_builder,
            http_server,
            cache,
            workers: Vec::new(),
            pings: Vec::new(),
            listening: ListeningSockets::default(),
            listeners: configs.listeners.iter().map(|(id, _)| *id).collect(),
            zones: configs.zones,
            blocks: snapshot::blocks(&import_targets),
            error_log: configs.error_log,
            probes: JoinSet::new(),
            notices,
            rules_failed: false,
            door_failed: false,
            door: None,
            snapshot_writer: None,
            lease: None,
            forsaken: Vec::new(),
            offered: None,
        };
        let estate = instance.inherit(estate, &import_targets).await;
        instance.open(&configs.listeners, configs.workers, notify, estate).await?;
        instance.probes = start_probes(configs.loop_detections);
        instance.config_builder.publish_enabled_plugins(&instance.settings);
        instance.write_pid_file();
        instance.announce();
        Ok(instance)
    }

    /// Opens the sockets and the endpoints, has the workers read, and a predecessor stop.
    async fn open(
        &mut self,
        listeners: &[(ListenerId, Vec<SocketAddr>)],
        orders: Vec<WorkerConfig>,
        notify: mpsc::Sender<WorkerEvent>,
        estate: Option<Box<ReceivedOffer>>,
    ) -> Result<(), FatalError> {
        let (mut estate, mut inherited) = (estate, InheritedSockets::default());
        if let Some(estate) = &mut estate {
            inherited = std::mem::take(&mut estate.dns);
            self.http_server.inherit(std::mem::take(&mut estate.http));
        }
        let workers = orders.len();
        let sockets = self.listening.open(listeners, workers, &mut inherited).map_err(bind_fault)?;
        self.http_server.rebind(&endpoints(self.context, &self.settings)).map_err(FatalError::Admin)?;
        self.workers = self.hire(orders, &notify)?;
        for (worker, opened) in self.workers.iter().zip(sockets) {
            worker
                .reconfigure(Reconfigure { opened, ..Reconfigure::default() })
                .await
                .map_err(FatalError::Thread)?;
        }
        self.take_over(estate).await;
        Ok(())
    }

    /// Starts the workers, which have no sockets yet.
    fn hire(
        &self,
        orders: Vec<WorkerConfig>,
        notify: &mpsc::Sender<WorkerEvent>,
    ) -> Result<Vec<Worker>, FatalError> {
        let questions = Arc::default();
        let limiter =
            Arc::new(ConnectionLimiter::new(self.context.descriptors, Arc::clone(self.context.process)));
        let (peers, inboxes) = worker::peer_inboxes(orders.len());
        let mut workers = Vec::new();
        for (index, (orders, inbox)) in orders.into_iter().zip(inboxes).enumerate() {
            let resolver = ResolverConfig {
                policy: Arc::clone(&orders.policy),
                worker: worker::worker_id(index),
                cache: Arc::clone(&self.cache),
                shared_inflight: Arc::clone(&questions),
                counters: self.config_builder.worker_counters(index),
                limits: ResolverLimits::default(),
                seed: rand::random(),
            };
            let (logger, process) = (self.context.logger.clone(), Arc::clone(self.context.process));
            let (connection_limiter, events, peers) = (Arc::clone(&limiter), notify.clone(), peers.clone());
            let context =
                WorkerContext { resolver, logger, process, connection_limiter, events, peers, inbox };
            workers.push(Worker::start(index, context, orders).map_err(FatalError::Thread)?);
        }
        Ok(workers)
    }

    fn announce(&self) {
        if !self.context.flags.quiet {
            for listener in &self.settings.listeners {
                for (zone, _) in &listener.zones {
                    info!("{}", served(zone, &listener.label));
                }
            }
        }
        info!(
            "nodelocaldns-{} with {} workers, {}",
            env!("CARGO_PKG_VERSION"),
            self.workers.len(),
            self.settings.source
        );
        info!("plugin/reload: Running configuration SHA512 = {}", self.settings.hash);
    }

    /// A node is not left without DNS for the want of a file.
    fn write_pid_file(&self) {
        let Some(path) = &self.context.flags.pid_file else { return };
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = written.and_then(|()| std::fs::write(path, format!("{}\n", std::process::id()))) {
            error!("-pidfile {}: {error}", path.display());
        }
    }
}

/// A zone and where it is answered, as CoreDNS tells it at its start.
fn served(zone: &Name, label: &str) -> String {
    let (host, port) =
        label.strip_prefix("dns://").and_then(|rest| rest.rsplit_once(':')).unwrap_or((label, ""));
    match host.trim_start_matches('[').trim_end_matches(']') {
        "" => format!("{zone}:{port}"),
        host => format!("{zone}:{port} on {host}"),
    }
}
