//! The process in service: workers, endpoints, and what must be looked after while they run.

mod upkeep;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use linux::node::NodeSetup;
use resolver::Seat;
use resolver::cache::Cache;
use resolver::policy::{Limits, ListenerId, RouteId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};
use tracing::{error, info, warn};
use wire::name::Name;

use super::reload::{self, Watch};
use super::signals::{Signals, Told};
use super::upstream_files::FileWatch;
use super::{Ending, Fault, Scene};
use crate::admin::{Admin, Endpoints};
use crate::assembly::{Assembled, Assembly, LoopProbe};
use crate::config::Corefile;
use crate::config::settings::Settings;
use crate::readiness::Readiness;
use crate::voice::errors::ErrorLog;
use crate::worker::{self, Desk, Notice, Room, Sockets, Worker};
use crate::{budget, checks, clock};
use upkeep::Conditions;

/// How often the process looks at itself.
const LOOK: Duration = Duration::from_secs(1);
/// Longer than the deadline of any query that is open.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const NOTICES_LEN: usize = 16;

pub(super) struct Service<'a> {
    pub(super) scene: Scene<'a>,
    /// The text that `settings` were read from.
    pub(super) corefile: Corefile,
    pub(super) settings: Settings,
    pub(super) assembly: Assembly,
    pub(super) admin: Admin,
    workers: Vec<Worker>,
    listeners: Vec<ListenerId>,
    zones: HashMap<RouteId, String>,
    error_log: ErrorLog,
    probes: JoinSet<()>,
    notices: mpsc::Receiver<Notice>,
    rules_failed: bool,
}

impl<'a> Service<'a> {
    /// Binds, starts the workers and opens the endpoints.
    pub(super) fn start(
        scene: Scene<'a>,
        (corefile, settings): (Corefile, Settings),
        mut assembly: Assembly,
        mut admin: Admin,
    ) -> Result<Self, Fault> {
        let assembled = assembly.assemble(&settings).map_err(Fault::Numbers)?;
        let Assembled { orders, listeners, probes, error_log, zones } = assembled;
        let (notify, notices) = mpsc::channel(NOTICES_LEN);
        let cache = Arc::new(Cache::new(budget::cache_bytes(scene.flags.cache_bytes)));
        let sockets: Vec<Vec<Sockets>> = orders.iter().map(|_| bind(&listeners)).collect::<Result<_, _>>()?;
        admin.rebind(&endpoints(scene, &settings)).map_err(Fault::Admin)?;
        let questions = Arc::default();
        let room = Arc::new(Room::new(scene.descriptors, Arc::clone(scene.process)));
        let (peers, inboxes) = worker::inboxes(orders.len());
        let mut workers = Vec::new();
        for (index, ((orders, sockets), inbox)) in orders.into_iter().zip(sockets).zip(inboxes).enumerate() {
            let seat = Seat {
                policy: Arc::clone(&orders.policy),
                worker: worker::number(index),
                cache: Arc::clone(&cache),
                questions: Arc::clone(&questions),
                tally: assembly.worker_tally(index),
                limits: Limits::default(),
                seed: rand::random(),
            };
            let (voice, process) = (scene.voice.clone(), Arc::clone(scene.process));
            let (room, notices, peers) = (Arc::clone(&room), notify.clone(), peers.clone());
            let desk = Desk { seat, voice, process, room, notices, peers, inbox };
            workers.push(Worker::start(index, desk, orders, sockets).map_err(Fault::Thread)?);
        }
        let listeners = listeners.into_iter().map(|(id, _)| id).collect();
        let probes = start_probes(probes);
        let rules_failed = false;
        let service = Self {
            scene,
            corefile,
            settings,
            assembly,
            admin,
            workers,
            listeners,
            zones,
            error_log,
            probes,
            notices,
            rules_failed,
        };
        service.assembly.in_force(&service.settings);
        service.write_pid_file()?;
        service.announce();
        Ok(service)
    }

    fn announce(&self) {
        if !self.scene.flags.quiet {
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

    /// Looks after everything until told to leave.
    pub(super) async fn attend(
        &mut self,
        node: &mut NodeSetup,
        signals: &mut Signals,
        readiness: &Readiness,
    ) -> Result<(), Fault> {
        let conditions = Conditions::of(readiness);
        let mut watch = Watch::new(&self.settings, self.scene.flags);
        let mut files = FileWatch::default();
        let mut looks = time::interval(LOOK);
        let first = clock::now() + self.scene.flags.sync_interval;
        let mut syncs = time::interval_at(first.into(), self.scene.flags.sync_interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        syncs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                told = signals.next() => match told {
                    Told::Leave => return Ok(()),
                    Told::Reload => self.reload(&mut watch, true).await,
                },
                Some(notice) = self.notices.recv() => return Err(Fault::Loop(self.describe(notice))),
                _ = looks.tick() => {
                    self.look(node, &conditions).await?;
                    files.look(self).await;
                }
                _ = syncs.tick() => self.repair(node).await,
                () = watch.due() => self.reload(&mut watch, false).await,
            }
        }
    }

    /// Leaves in order: DNS is served for as long as the lameduck lasts, then what is open is answered.
    pub(super) async fn leave(&mut self, signals: &mut Signals) -> Ending {
        let lameduck = self.settings.health.map_or(Duration::ZERO, |health| health.lameduck);
        let courtesies = async {
            if !lameduck.is_zero() {
                info!("Going into lameduck mode for {lameduck:?}");
                time::sleep(lameduck).await;
            }
            self.drain().await;
        };
        tokio::select! {
            () = courtesies => Ending::Asked,
            () = signals.leave() => Ending::AskedTwice,
        }
    }

    /// Has all workers answer what is open, at the same time. One that hangs is not waited for: the node must be
    /// given back.
    async fn drain(&self) {
        let until = clock::now() + DRAIN_TIME;
        // All are told before any is waited for: none reads on while another has stopped.
        let mut draining = Vec::new();
        for worker in &self.workers {
            draining.push(worker.drain(until).await);
        }
        let all_drained = async {
            for drained in draining.into_iter().flatten() {
                // A worker that has ended has nothing left to answer.
                drained.await.unwrap_or_default();
            }
        };
        if time::timeout_at((until + LOOK).into(), all_drained).await.is_err() {
            error!("a worker hangs, which is a bug: leaving without it");
        }
    }

    /// Closes the endpoints and says what was only counted so far.
    pub(super) async fn close(mut self) {
        self.probes.shutdown().await;
        for line in self.error_log.stop() {
            self.scene.voice.say(line.level, line.text);
        }
        self.remove_pid_file();
        self.admin.close().await;
    }

    /// Takes `settings` into use. On failure everything is as before.
    pub(super) async fn adopt(&mut self, settings: Settings) -> Result<(), Fault> {
        let assembled = self.assembly.assemble(&settings).map_err(Fault::Numbers)?;
        let Assembled { orders, listeners, probes, error_log, zones } = assembled;
        let is_new = |(id, _): &&(ListenerId, _)| !self.listeners.contains(id);
        let opened: Vec<_> = listeners.iter().filter(is_new).cloned().collect();
        let wanted: Vec<ListenerId> = listeners.into_iter().map(|(id, _)| id).collect();
        let closed: Vec<ListenerId> =
            self.listeners.iter().filter(|id| !wanted.contains(id)).copied().collect();
        let sockets: Vec<Vec<Sockets>> =
            self.workers.iter().map(|_| bind(&opened)).collect::<Result<_, _>>()?;
        self.admin.rebind(&endpoints(self.scene, &settings)).map_err(Fault::Admin)?;
        for ((worker, orders), sockets) in self.workers.iter().zip(orders).zip(sockets) {
            worker.adopt(orders, sockets, closed.clone()).await.map_err(Fault::Thread)?;
        }
        for line in self.error_log.stop() {
            self.scene.voice.say(line.level, line.text);
        }
        self.probes = start_probes(probes);
        self.assembly.in_force(&settings);
        (self.listeners, self.error_log, self.zones, self.settings) = (wanted, error_log, zones, settings);
        Ok(())
    }

    fn describe(&self, notice: Notice) -> String {
        let Notice::Loop(client, route) = notice;
        let zone = self.zones.get(&route).map_or("", String::as_str);
        format!(
            "[FATAL] plugin/loop: Loop ({} -> us) detected for zone \"{zone}\", \
             see https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO\": an upstream of that zone is this \
             cache or sends its questions here; forward to another address",
            client.peer
        )
    }

    fn write_pid_file(&self) -> Result<(), Fault> {
        let Some(path) = &self.scene.flags.pid_file else { return Ok(()) };
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| Fault::PidFile(path.display().to_string(), error))
    }

    fn remove_pid_file(&self) {
        let Some(path) = &self.scene.flags.pid_file else { return };
        if let Err(error) = std::fs::remove_file(path) {
            warn!("-pidfile {}: {error}", path.display());
        }
    }

    async fn reload(&mut self, watch: &mut Watch, asked: bool) {
        let Some((corefile, settings)) = watch.look(self.scene, asked) else { return };
        let told = self.settings.warnings.clone();
        match self.adopt(settings).await {
            Ok(()) => {
                self.corefile = corefile;
                for warning in self.settings.warnings.iter().filter(|warning| !told.contains(warning)) {
                    warn!("{warning}");
                }
                info!("Reloading complete");
            }
            Err(fault) => reload::failed(self.scene, &fault),
        }
        watch.settle(&self.settings, self.scene.flags);
        self.scene.process.reloads.attempted(&self.settings.hash);
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

fn bind(listeners: &[(ListenerId, Vec<std::net::SocketAddr>)]) -> Result<Vec<Sockets>, Fault> {
    let bound = listeners.iter().map(|(id, addresses)| worker::bind(*id, addresses));
    bound.collect::<Result<_, _>>().map_err(|(address, error)| Fault::Bind(address, error))
}

fn endpoints(scene: Scene<'_>, settings: &Settings) -> Endpoints {
    Endpoints {
        health: settings.health.iter().map(|health| health.address).collect(),
        ready: settings.ready.into_iter().collect(),
        metrics: settings.prometheus.clone(),
        process_metrics: scene.flags.metrics_listen_address,
    }
}

fn start_probes(probes: Vec<LoopProbe>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for probe in probes {
        tasks.spawn_local(checks::check_loop(probe));
    }
    tasks
}
