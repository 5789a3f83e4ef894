//! The process in service: workers, endpoints, and what must be looked after while they run.

mod handover;
mod housekeeping;
mod reconfigure;
mod shutdown;
mod startup;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use linux::node::NodeSetup;
use resolver::cache::Cache;
use resolver::policy::{BlockId, ListenerId, RouteId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};
use tracing::warn;

use super::reload::CorefileWatch;
use super::signals::{SignalAction, Signals};
use super::upstream_files::UpstreamFileWatch;
use super::{FatalError, ProcessContext, tell};
use crate::clock;
use crate::handover::{PredecessorLink, Server, SuccessorLink};
use crate::http::HttpServer;
use crate::logging::errors::ErrorLog;
use crate::snapshot::{FinalWrite, SnapshotWriter};
use crate::worker::config::WorkerConfigBuilder;
use crate::worker::{ListeningSockets, Worker, WorkerEvent};
use corefile::Corefile;
use corefile::settings::Settings;
pub(super) use handover::Standby;
use housekeeping::Ping;
pub(super) use housekeeping::ReadinessConditions;

/// How often the process looks at itself.
const LOOK: Duration = Duration::from_secs(1);

/// Why a service is not attended to any more.
pub(super) enum StopReason {
    /// It was told to leave.
    Terminate,
    /// A successor reads from the sockets.
    Superseded(Box<SuccessorLink>),
}

pub(super) struct Instance<'a> {
    pub(super) context: ProcessContext<'a>,
    /// The text that `settings` were read from.
    pub(super) corefile: Corefile,
    pub(super) settings: Settings,
    pub(super) config_builder: WorkerConfigBuilder,
    pub(super) http_server: HttpServer,
    cache: Arc<Cache>,
    workers: Vec<Worker>,
    pings: Vec<Ping>,
    listening: ListeningSockets,
    listeners: Vec<ListenerId>,
    zones: HashMap<RouteId, String>,
    /// The fingerprints of the server blocks.
    blocks: Vec<(String, BlockId)>,
    error_log: ErrorLog,
    probes: JoinSet<()>,
    notices: mpsc::Receiver<WorkerEvent>,
    rules_failed: bool,
    door_failed: bool,
    /// Where a successor knocks.
    door: Option<Server>,
    /// Writes snapshots of the cache.
    snapshot_writer: Option<SnapshotWriter>,
    /// The predecessor that stands by.
    lease: Option<PredecessorLink>,
    /// Addresses of the predecessor which we do not serve.
    forsaken: Vec<IpAddr>,
    /// When a successor was told what there is that has not taken over yet.
    offered: Option<Instant>,
}

impl Instance<'_> {
    /// Looks after everything until told to leave, or until a successor has taken over.
    pub(super) async fn attend(
        &mut self,
        node: &mut NodeSetup,
        signals: &mut Signals,
        conditions: &ReadinessConditions,
    ) -> Result<StopReason, FatalError> {
        let (mut news, events) = node.monitor();
        for event in &events {
            tell(event, self.context.process);
        }
        self.catch_up(node).await;
        let mut watch = CorefileWatch::new(&self.settings, self.context.flags);
        let mut files = UpstreamFileWatch::default();
        let mut looks = time::interval(LOOK);
        let first = clock::now() + self.context.flags.sync_interval;
        let mut syncs = time::interval_at(first.into(), self.context.flags.sync_interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        syncs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                told = signals.next() => match told {
                    SignalAction::Terminate => return Ok(StopReason::Terminate),
                    SignalAction::Reload => self.reload(&mut watch, true).await,
                },
                Some(notice) = self.notices.recv() => return Err(FatalError::Loop(self.describe(notice))),
                knock = handover::next_knock(&mut self.door) => {
                    if let Some(succession) = self.answer_knock(knock, conditions) {
                        return Ok(StopReason::Superseded(Box::new(succession)));
                    }
                }
                () = handover::ended(&mut self.lease) => self.predecessor_has_left(node).await,
                _ = looks.tick() => {
                    self.look(node, conditions).await?;
                    files.look(self).await;
                }
                () = news.changed() => self.repair(node).await,
                _ = syncs.tick() => self.repair(node).await,
                () = watch.due() => self.reload(&mut watch, false).await,
            }
        }
    }

    /// Closes the endpoints and says what was only counted so far.
    pub(super) async fn close(mut self) {
        if let Some(snapshot_writer) = self.snapshot_writer.take() {
            snapshot_writer.end(if self.context.flags.skip_teardown {
                FinalWrite::Write
            } else {
                FinalWrite::Skip
            });
        }
        self.probes.shutdown().await;
        for line in self.error_log.close() {
            self.context.logger.log(line.level, line.text);
        }
        self.remove_pid_file();
        self.http_server.close().await;
    }

    fn describe(&self, notice: WorkerEvent) -> String {
        let WorkerEvent::Loop(client, route) = notice;
        let zone = self.zones.get(&route).map_or("", String::as_str);
        format!(
            "[FATAL] plugin/loop: Loop ({} -> us) detected for zone \"{zone}\", \
             see https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO\": an upstream of that zone is this \
             cache or sends its questions here; forward to another address",
            client.peer
        )
    }

    fn remove_pid_file(&self) {
        let Some(path) = &self.context.flags.pid_file else { return };
        if let Err(error) = std::fs::remove_file(path) {
            warn!("-pidfile {}: {error}", path.display());
        }
    }
}
