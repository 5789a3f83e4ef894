//! Another configuration for a process in service.

use std::net::SocketAddr;

use resolver::policy::ListenerId;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::super::reload::{self, CorefileWatch};
use super::{FatalError, Instance, ProcessContext};
use crate::http::Endpoints;
use crate::self_check;
use crate::snapshot;
use crate::worker::config::{LoopDetection, WorkerConfigs};
use crate::worker::{InheritedSockets, Reconfigure};
use corefile::settings::Settings;

impl Instance<'_> {
    /// Takes `settings` into use. On failure everything is as before.
    pub(crate) async fn adopt(&mut self, settings: Settings) -> Result<(), FatalError> {
        let configs = self.config_builder.build(&settings).map_err(FatalError::IdsExhausted)?;
        let WorkerConfigs { workers, listeners, loop_detections, error_log, zones } = configs;
        let blocks = snapshot::blocks(&self.config_builder.import_targets(&settings));
        let is_new = |(id, _): &&(ListenerId, _)| !self.listeners.contains(id);
        let opened: Vec<_> = listeners.iter().filter(is_new).cloned().collect();
        let wanted: Vec<ListenerId> = listeners.into_iter().map(|(id, _)| id).collect();
        let closed: Vec<ListenerId> =
            self.listeners.iter().filter(|id| !wanted.contains(id)).copied().collect();
        let sockets = self
            .listening
            .open(&opened, self.workers.len(), &mut InheritedSockets::default())
            .map_err(bind_fault)?;
        if let Err(error) = self.http_server.rebind(&endpoints(self.context, &settings)) {
            self.listening.close(&opened.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            return Err(FatalError::Admin(error));
        }
        for ((worker, orders), opened) in self.workers.iter().zip(workers).zip(sockets) {
            let change = Reconfigure { config: Some(orders), opened, closed: closed.clone() };
            worker.reconfigure(change).await.map_err(FatalError::Thread)?;
        }
        self.listening.close(&closed);
        for line in self.error_log.close() {
            self.context.logger.log(line.level, line.text);
        }
        self.probes = start_probes(loop_detections);
        self.config_builder.publish_enabled_plugins(&settings);
        if let Some(snapshot_writer) = &self.snapshot_writer {
            snapshot_writer.adopt(blocks.clone());
        }
        (self.listeners, self.blocks) = (wanted, blocks);
        (self.error_log, self.zones, self.settings) = (error_log, zones, settings);
        Ok(())
    }

    pub(super) async fn reload(&mut self, watch: &mut CorefileWatch, asked: bool) {
        let Some((corefile, settings)) = watch.look(self.context, asked) else { return };
        let told = self.settings.warnings.clone();
        match self.adopt(settings).await {
            Ok(()) => {
                self.corefile = corefile;
                for warning in self.settings.warnings.iter().filter(|warning| !told.contains(warning)) {
                    warn!("{warning}");
                }
                info!("Reloading complete");
            }
            Err(error) => reload::failed(self.context, &error),
        }
        watch.settle(&self.settings, self.context.flags);
        self.context.process.reloads.attempted(&self.settings.hash);
    }
}

pub(super) fn bind_fault((address, error): (SocketAddr, std::io::Error)) -> FatalError {
    FatalError::Bind(address, error)
}

pub(super) fn endpoints(context: ProcessContext<'_>, settings: &Settings) -> Endpoints {
    Endpoints {
        health: settings.health.iter().map(|health| health.address).collect(),
        ready: settings.ready.into_iter().collect(),
        metrics: settings.prometheus.clone(),
        process_metrics: context.flags.metrics_listen_address,
    }
}

pub(super) fn start_probes(probes: Vec<LoopDetection>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for probe in probes {
        tasks.spawn_local(self_check::detect_loop(probe));
    }
    tasks
}
