//! Start-up: from settings to workers that read, after or without a predecessor.

use std::sync::{Arc, Mutex};

use corefile::Corefile;
use corefile::settings::Settings;
use tokio::sync::mpsc;
use tracing::{error, info};
use wire::name::Name;

use super::Instance;
use crate::clock;
use crate::control::active_config::ActiveConfig;
use crate::control::context::ProcessContext;
use crate::control::doctor::StartCheck;
use crate::control::exit::FatalError;
use crate::control::handover::Handover;
use crate::control::inspection::{ControlSocket, Inspected};
use crate::control::loop_detection::LoopDetectors;
use crate::control::node::NodeKeeper;
use crate::control::readiness_conditions::ReadinessConditions;
use crate::control::shared_cache::SharedCache;
use crate::control::workers::{self, Workers};
use crate::control::{http_endpoints, listen_addresses, upstreams_log};
use crate::counters::CounterRegistry;
use crate::handover::ReceivedOffer;
use crate::readiness::Readiness;
use crate::status::{Configuration, NodeFlags, StatusReader};
use crate::worker::config::WorkerConfigBuilder;

/// Events of the workers that may wait for the control thread.
const EVENT_QUEUE_LEN: usize = 16;

impl<'a> Instance<'a> {
    /// Starts an instance. When this returns successfully, the workers read, and a predecessor does
    /// not any more.
    pub(in crate::control) async fn start(
        context: ProcessContext<'a>,
        (corefile, settings): (Corefile, Settings),
        mut offer: Option<Box<ReceivedOffer>>,
    ) -> Result<Self, FatalError> {
        let counters = Arc::new(Mutex::new(CounterRegistry::new()));
        // The conditions exist before `/ready` is served.
        let readiness = ReadinessConditions::new(Readiness::new());
        let status = status_reader(context, &readiness, &counters);
        let http = http_endpoints::server(context, &counters, (readiness.readiness(), &status))?;
        let (event_sender, events) = mpsc::channel(EVENT_QUEUE_LEN);
        let builder = WorkerConfigBuilder::new(Arc::clone(&counters), context.flags.workers);
        let mut config = ActiveConfig::new(corefile, settings.clone(), builder, LoopDetectors::new(events));
        let mut prepared = config.prepare(&settings)?;
        let configs = std::mem::take(&mut prepared.workers);

        let import_targets = config.import_targets(&settings);
        let cache = SharedCache::new(context, &import_targets);
        cache.import(offer.as_deref_mut(), &import_targets).await;

        let mut handover = Handover::new(context, offer.as_deref());
        let served = offer.as_ref().map(|offer| offer.dns.addresses()).unwrap_or_default();
        let mut inherited = offer.as_mut().map(|offer| std::mem::take(&mut offer.dns)).unwrap_or_default();
        http.inherit(offer.as_mut().map(|offer| std::mem::take(&mut offer.http)).unwrap_or_default());
        let mut workers = Workers::new(context);
        let contexts = workers::contexts(context, &configs, config.builder(), cache.cache(), &event_sender);
        workers.spawn(contexts, configs)?;
        let ready = workers.ready().await?;
        http.rebind(http_endpoints::endpoints(context, &settings))
            .await
            .map_err(|error| http_endpoints::located(&settings, error))?;
        let sockets = workers
            .open(ready, &prepared.listeners, &mut inherited)
            .map_err(|error| listen_addresses::located(&settings, error))?;
        workers.commit(sockets, std::iter::repeat_with(|| None)).wait().await;
        let node = NodeKeeper::new(context.netlink, context.counters).await;
        // Before self-checks and loop detection, whose queries the fallback would answer.
        workers.set_heartbeat_addresses(node.heartbeat_addresses());
        if let Some(offer) = offer {
            handover.take_over(offer, &served, &mut workers).await?;
        }
        config.commit(settings, prepared, context.logger);

        let start_check = StartCheck::new(context.flags);
        let (shared_cache, exposition) = (Arc::clone(cache.cache()), Arc::clone(http.exposition()));
        let inspected = Inspected { status, exposition, counters, cache: shared_cache, l1: workers.l1() };
        let control_socket = ControlSocket::new(context, inspected);
        let mut instance = Self {
            context,
            config,
            workers,
            http,
            cache,
            handover,
            node,
            readiness,
            start_check,
            control_socket,
        };
        instance.announce();
        Ok(instance)
    }

    /// Makes a started instance known.
    fn announce(&mut self) {
        self.publish_configuration();
        self.start_persisting();
        self.write_pid_file();
        self.log_start();
    }

    /// Accepts a successor from now on, and writes snapshots for an instance that starts after a
    /// crash.
    pub(super) fn start_persisting(&mut self) {
        self.cache.start_snapshots();
        self.handover.listen();
        self.control_socket.listen();
    }

    /// Puts the configuration in effect into the status.
    pub(super) fn publish_configuration(&self) {
        let ActiveConfig { corefile, settings, .. } = &self.config;
        let listeners = settings.listeners.iter();
        self.control_socket.status().set_configuration(Configuration {
            source: settings.source.clone(),
            text: corefile.text().to_owned(),
            hash: settings.hash.clone(),
            warnings: settings.warnings.clone(),
            listeners: listeners
                .map(|listener| {
                    let zones = listener.zones.iter().map(|(zone, _)| zone.to_string()).collect();
                    (listener.label.clone(), zones)
                })
                .collect(),
        });
    }

    fn log_start(&self) {
        let settings = &self.config.settings;
        if !self.context.flags.quiet {
            for listener in &settings.listeners {
                for (zone, _) in &listener.zones {
                    info!("{}", served_zone(zone, &listener.label));
                }
            }
            for upstreams in upstreams_log::lines(settings) {
                info!("{upstreams}");
            }
        }
        info!(
            "nodelocaldns-{} with {} workers, {}",
            env!("CARGO_PKG_VERSION"),
            self.workers.len(),
            settings.source
        );
        if settings.reload.is_some() {
            info!("plugin/reload: Running configuration SHA512 = {}", settings.hash);
        }
    }

    /// A failure is logged only: the node needs DNS more than the file.
    fn write_pid_file(&self) {
        let Some(path) = &self.context.flags.pid_file else { return };
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = written.and_then(|()| std::fs::write(path, format!("{}\n", std::process::id()))) {
            error!("-pidfile {}: {error}", path.display());
        }
    }
}

fn status_reader(
    context: ProcessContext<'_>,
    readiness: &ReadinessConditions,
    counters: &Arc<Mutex<CounterRegistry>>,
) -> Arc<StatusReader> {
    let flags = context.flags;
    let node = NodeFlags {
        addresses: flags.options.local_ips.clone(),
        link: flags.setup_interface.then(|| flags.interface_name.clone()),
        rules: flags.setup_iptables,
    };
    Arc::new(StatusReader::new(
        (clock::now(), clock::unix_time()),
        node,
        readiness.readiness().clone(),
        Arc::clone(counters),
        Arc::clone(context.counters),
    ))
}

/// A zone and its listener, as CoreDNS logs them at start-up.
fn served_zone(zone: &Name, label: &str) -> String {
    let (host, port) =
        label.strip_prefix("dns://").and_then(|rest| rest.rsplit_once(':')).unwrap_or((label, ""));
    match host.trim_start_matches('[').trim_end_matches(']') {
        "" => format!("{zone}:{port}"),
        host => format!("{zone}:{port} on {host}"),
    }
}
