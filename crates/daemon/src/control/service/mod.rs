//! The process in service: workers, endpoints, and what must be looked after while they run.

mod succession;
mod upkeep;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use linux::node::NodeSetup;
use resolver::Seat;
use resolver::cache::Cache;
use resolver::policy::{BlockId, Limits, ListenerId, RouteId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};
use tracing::{error, info, warn};
use wire::name::Name;

use super::reload::{self, Watch};
use super::signals::{Signals, Told};
use super::upstream_files::FileWatch;
use super::{Ending, Fault, Scene, tell};
use crate::admin::{Admin, Endpoints};
use crate::assembly::{Assembled, Assembly, LoopProbe};
use crate::config::Corefile;
use crate::config::settings::Settings;
use crate::handover::{Door, Estate, Lease, Succession};
use crate::snapshot::{Archivist, Last};
use crate::voice::errors::ErrorLog;
use crate::worker::{self, Adoption, Desk, Inherited, Listening, Notice, Orders, Room, Worker};
use crate::{budget, checks, clock};
pub(super) use succession::Standby;
pub(super) use upkeep::Conditions;
use upkeep::Ping;

/// How often the process looks at itself.
const LOOK: Duration = Duration::from_secs(1);
/// Longer than the deadline of any query that is open.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const NOTICES_LEN: usize = 16;

/// Why a service is not attended to any more.
pub(super) enum Parting {
    /// It was told to leave.
    Told,
    /// A successor reads from the sockets.
    Succeeded(Succession),
}

pub(super) struct Service<'a> {
    pub(super) scene: Scene<'a>,
    /// The text that `settings` were read from.
    pub(super) corefile: Corefile,
    pub(super) settings: Settings,
    pub(super) assembly: Assembly,
    pub(super) admin: Admin,
    cache: Arc<Cache>,
    workers: Vec<Worker>,
    pings: Vec<Ping>,
    listening: Listening,
    listeners: Vec<ListenerId>,
    zones: HashMap<RouteId, String>,
    /// The fingerprints of the server blocks.
    blocks: Vec<(String, BlockId)>,
    error_log: ErrorLog,
    probes: JoinSet<()>,
    notices: mpsc::Receiver<Notice>,
    rules_failed: bool,
    /// Where a successor knocks.
    door: Option<Door>,
    /// Writes snapshots of the cache.
    archivist: Option<Archivist>,
    /// The predecessor that stands by.
    lease: Option<Lease>,
    /// Addresses of the predecessor which we do not serve.
    forsaken: Vec<IpAddr>,
    /// When a successor was told what there is that has not taken over yet.
    offered: Option<Instant>,
}

impl<'a> Service<'a> {
    /// Takes over from a predecessor or binds, starts the workers and opens the endpoints. When this returns well,
    /// the workers read, and a predecessor does not any more.
    pub(super) async fn start(
        scene: Scene<'a>,
        (corefile, settings): (Corefile, Settings),
        mut assembly: Assembly,
        admin: Admin,
        estate: Option<Box<Estate>>,
    ) -> Result<Self, Fault> {
        let assembled = assembly.assemble(&settings).map_err(Fault::Numbers)?;
        let (notify, notices) = mpsc::channel(NOTICES_LEN);
        let cache = Arc::new(Cache::new(budget::cache_bytes(scene.flags.cache_bytes)));
        let mut service = Self {
            scene,
            corefile,
            settings,
            assembly,
            admin,
            cache,
            workers: Vec::new(),
            pings: Vec::new(),
            listening: Listening::default(),
            listeners: assembled.listeners.iter().map(|(id, _)| *id).collect(),
            zones: assembled.zones,
            blocks: assembled.blocks,
            error_log: assembled.error_log,
            probes: JoinSet::new(),
            notices,
            rules_failed: false,
            door: None,
            archivist: None,
            lease: None,
            forsaken: Vec::new(),
            offered: None,
        };
        let estate = service.inherit(estate, &assembled.homes).await;
        service.open(&assembled.listeners, assembled.orders, notify, estate).await?;
        service.probes = start_probes(assembled.probes);
        service.assembly.in_force(&service.settings);
        service.write_pid_file();
        service.announce();
        Ok(service)
    }

    /// Opens the sockets and the endpoints, has the workers read, and a predecessor stop.
    async fn open(
        &mut self,
        listeners: &[(ListenerId, Vec<SocketAddr>)],
        orders: Vec<Orders>,
        notify: mpsc::Sender<Notice>,
        estate: Option<Box<Estate>>,
    ) -> Result<(), Fault> {
        let (mut estate, mut inherited) = (estate, Inherited::default());
        if let Some(estate) = &mut estate {
            inherited = std::mem::take(&mut estate.dns);
            self.admin.inherit(std::mem::take(&mut estate.http));
        }
        let workers = orders.len();
        let sockets = self.listening.open(listeners, workers, &mut inherited).map_err(bind_fault)?;
        self.admin.rebind(&endpoints(self.scene, &self.settings)).map_err(Fault::Admin)?;
        self.workers = self.hire(orders, &notify)?;
        for (worker, opened) in self.workers.iter().zip(sockets) {
            worker.adopt(Adoption { opened, ..Adoption::default() }).await.map_err(Fault::Thread)?;
        }
        self.take_over(estate).await;
        Ok(())
    }

    /// Starts the workers, which have no sockets yet.
    fn hire(&self, orders: Vec<Orders>, notify: &mpsc::Sender<Notice>) -> Result<Vec<Worker>, Fault> {
        let questions = Arc::default();
        let room = Arc::new(Room::new(self.scene.descriptors, Arc::clone(self.scene.process)));
        let (peers, inboxes) = worker::inboxes(orders.len());
        let mut workers = Vec::new();
        for (index, (orders, inbox)) in orders.into_iter().zip(inboxes).enumerate() {
            let seat = Seat {
                policy: Arc::clone(&orders.policy),
                worker: worker::number(index),
                cache: Arc::clone(&self.cache),
                questions: Arc::clone(&questions),
                tally: self.assembly.worker_tally(index),
                limits: Limits::default(),
                seed: rand::random(),
            };
            let (voice, process) = (self.scene.voice.clone(), Arc::clone(self.scene.process));
            let (room, notices, peers) = (Arc::clone(&room), notify.clone(), peers.clone());
            let desk = Desk { seat, voice, process, room, notices, peers, inbox };
            workers.push(Worker::start(index, desk, orders).map_err(Fault::Thread)?);
        }
        Ok(workers)
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

    /// Looks after everything until told to leave, or until a successor has taken over.
    pub(super) async fn attend(
        &mut self,
        node: &mut NodeSetup,
        signals: &mut Signals,
        conditions: &Conditions,
    ) -> Result<Parting, Fault> {
        let (mut news, events) = node.watch();
        for event in &events {
            tell(event, self.scene.process);
        }
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
                    Told::Leave => return Ok(Parting::Told),
                    Told::Reload => self.reload(&mut watch, true).await,
                },
                Some(notice) = self.notices.recv() => return Err(Fault::Loop(self.describe(notice))),
                knock = succession::next_knock(&mut self.door) => {
                    if let Some(succession) = self.answer_knock(knock, conditions) {
                        return Ok(Parting::Succeeded(succession));
                    }
                }
                () = succession::ended(&mut self.lease) => self.predecessor_has_left(node).await,
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

    /// Leaves in order. A successor that is about to take over, or a predecessor that stands by, goes on at once; without
    /// them DNS is served for as long as the lameduck lasts. Then what is open is answered.
    pub(super) async fn leave(&mut self, signals: &mut Signals, conditions: &Conditions) -> Ending {
        let courtesies = async {
            if let Some(succession) = self.last_knock(conditions).await
                && self.yield_to(&succession).await
            {
                self.drain().await;
                return Ending::HandedOver;
            }
            let lameduck = self.settings.health.map_or(Duration::ZERO, |health| health.lameduck);
            if !self.give_back().await && !lameduck.is_zero() {
                info!("Going into lameduck mode for {lameduck:?}");
                time::sleep(lameduck).await;
            }
            self.drain().await;
            Ending::Asked
        };
        tokio::select! {
            ending = courtesies => ending,
            () = signals.leave() => Ending::AskedTwice,
        }
    }

    /// Ends what was still open when a successor took over, and us.
    pub(super) async fn retire(&mut self, signals: &mut Signals) -> Ending {
        tokio::select! {
            () = self.drain() => Ending::HandedOver,
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
        if let Some(archivist) = self.archivist.take() {
            archivist.end(if self.scene.flags.skip_teardown { Last::Written } else { Last::Left });
        }
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
        let Assembled { orders, listeners, probes, error_log, zones, blocks, .. } = assembled;
        let is_new = |(id, _): &&(ListenerId, _)| !self.listeners.contains(id);
        let opened: Vec<_> = listeners.iter().filter(is_new).cloned().collect();
        let wanted: Vec<ListenerId> = listeners.into_iter().map(|(id, _)| id).collect();
        let closed: Vec<ListenerId> =
            self.listeners.iter().filter(|id| !wanted.contains(id)).copied().collect();
        let sockets = self
            .listening
            .open(&opened, self.workers.len(), &mut Inherited::default())
            .map_err(bind_fault)?;
        if let Err(error) = self.admin.rebind(&endpoints(self.scene, &settings)) {
            self.listening.close(&opened.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            return Err(Fault::Admin(error));
        }
        for ((worker, orders), opened) in self.workers.iter().zip(orders).zip(sockets) {
            let adoption = Adoption { orders: Some(orders), opened, closed: closed.clone() };
            worker.adopt(adoption).await.map_err(Fault::Thread)?;
        }
        self.listening.close(&closed);
        for line in self.error_log.stop() {
            self.scene.voice.say(line.level, line.text);
        }
        self.probes = start_probes(probes);
        self.assembly.in_force(&settings);
        if let Some(archivist) = &self.archivist {
            archivist.adopt(blocks.clone());
        }
        (self.listeners, self.blocks) = (wanted, blocks);
        (self.error_log, self.zones, self.settings) = (error_log, zones, settings);
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

    /// A node is not left without DNS for the want of a file.
    fn write_pid_file(&self) {
        let Some(path) = &self.scene.flags.pid_file else { return };
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = written.and_then(|()| std::fs::write(path, format!("{}\n", std::process::id()))) {
            error!("-pidfile {}: {error}", path.display());
        }
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

fn bind_fault((address, error): (SocketAddr, std::io::Error)) -> Fault {
    Fault::Bind(address, error)
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
