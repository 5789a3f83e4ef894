//! The worker threads, the sockets they read, and the listeners that the sockets belong to.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use linux::binder::Binder;
use resolver::ResolverConfig;
use resolver::cache::Cache;
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::{ListenerId, ResolverLimits};
use tokio::sync::mpsc;
use tokio::time;
use tracing::error;

use super::context::ProcessContext;
use super::exit::FatalError;
use super::heartbeat::HeartbeatThread;
use super::memory_parts::{self, SharedMemory, octets};
use super::netlink_thread::NetlinkThread;
use super::watchdog::{self, Watchdog};
use crate::insight::Observer;
use crate::worker::config::WorkerConfigBuilder;
use crate::worker::{
    self, ConnectionLimiter, InheritedSockets, L1Handle, ListeningSockets, OpenError, OpenedSockets,
    ReadyWorker, Reconfigure, Reconfigured, RegisteredSockets, Worker, WorkerConfig, WorkerContext,
    WorkerEvent,
};

/// A listener and its addresses.
type Listener = (ListenerId, Vec<SocketAddr>);

/// For a worker to report its exit, after the time in which it has to drain.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Workers {
    threads: Vec<Worker>,
    sockets: ListeningSockets,
    listeners: Vec<ListenerId>,
    watchdog: Watchdog,
    heartbeat: HeartbeatThread,
    /// The addresses that need heartbeats.
    heartbeat_addresses: Vec<SocketAddr>,
    /// Octets for the receive queues of all UDP sockets.
    udp_queues: u64,
    binder: Binder,
    netlink: NetlinkThread,
}

/// Workers that have just responded; a change of listeners or configuration begins with them.
pub(super) struct ReadyWorkers(Vec<ReadyWorker>);

/// Another set of listeners: their sockets are bound, registered with the workers, and not read
/// yet. Dropping it closes them.
pub(super) struct PreparedListeners {
    listeners: Vec<ListenerId>,
    opened: OpenedSockets,
    workers: Vec<(ReadyWorker, Vec<RegisteredSockets>)>,
}

/// A change that the workers make.
pub(super) struct Changed(Vec<Reconfigured>);

impl Changed {
    /// Waits until all workers have made the change.
    pub(super) async fn wait(self) {
        for (index, worker) in self.0.into_iter().enumerate() {
            if !worker.done().await {
                // The watchdog sees to it.
                error!("worker {index} hangs or has ended since it was ready, which is a bug");
            }
        }
    }
}

impl Workers {
    /// Without threads, and with this many octets for the receive queues of all UDP sockets.
    pub(super) fn new(process: ProcessContext<'_>) -> Self {
        let heartbeat = HeartbeatThread::new(Arc::clone(process.heartbeat), process.watchdog_timer.cloned());
        Self {
            threads: Vec::new(),
            sockets: ListeningSockets::default(),
            listeners: Vec::new(),
            watchdog: Watchdog::default(),
            heartbeat,
            heartbeat_addresses: Vec::new(),
            udp_queues: process.memory.udp_queues,
            binder: process.binder.clone(),
            netlink: process.netlink.clone(),
        }
    }

    /// Starts the threads, which read nothing yet.
    pub(super) fn spawn(
        &mut self,
        contexts: Vec<WorkerContext>,
        configs: Vec<WorkerConfig>,
    ) -> Result<(), FatalError> {
        for (index, (context, config)) in contexts.into_iter().zip(configs).enumerate() {
            self.threads.push(Worker::start(index, context, config).map_err(FatalError::System)?);
        }
        Ok(())
    }

    /// First step of a change: checks that every worker executes commands. The other steps do not
    /// wait, so that a socket is bound for a moment only before it is read or closed.
    ///
    /// # Errors
    /// A worker has ended or hangs; nothing has changed.
    pub(super) async fn ready(&self) -> Result<ReadyWorkers, FatalError> {
        let mut ready = Vec::new();
        for (index, worker) in self.threads.iter().enumerate() {
            ready.push(worker.ready().await.map_err(|error| FatalError::Worker(index, error))?);
        }
        Ok(ReadyWorkers(ready))
    }

    /// Second step: binds UDP and TCP sockets on the addresses of listeners that are new, one of
    /// each for every worker, or takes them from `inherited`, and registers them with the workers.
    ///
    /// # Errors
    /// An address cannot be bound, or the process is out of descriptors; nothing has changed.
    pub(super) fn open(
        &self,
        ReadyWorkers(ready): ReadyWorkers,
        listeners: &[Listener],
        inherited: &mut InheritedSockets,
    ) -> Result<PreparedListeners, OpenError> {
        let is_new = |(id, _): &&Listener| !self.listeners.contains(id);
        let new: Vec<Listener> = listeners.iter().filter(is_new).cloned().collect();
        let opened = OpenedSockets::open(&self.binder, &new, ready.len(), inherited)?;
        let duplicates = opened.duplicate(ready.len()).map_err(OpenError::Resources)?;
        let workers = ready.into_iter().zip(duplicates).map(|(worker, sockets)| {
            let registered = worker.register(sockets)?;
            Ok((worker, registered))
        });
        let workers = workers.collect::<io::Result<_>>().map_err(OpenError::Resources)?;
        Ok(PreparedListeners { listeners: listeners.iter().map(|(id, _)| *id).collect(), opened, workers })
    }

    /// Last step: has the workers read exactly the prepared listeners, each with its new
    /// configuration where there is one.
    pub(super) fn commit(
        &mut self,
        prepared: PreparedListeners,
        configs: impl IntoIterator<Item = Option<WorkerConfig>>,
    ) -> Changed {
        let PreparedListeners { listeners, opened, workers } = prepared;
        let closed: Vec<ListenerId> =
            self.listeners.iter().filter(|id| !listeners.contains(id)).copied().collect();
        let changed = workers.into_iter().zip(configs).map(|((worker, opened), config)| {
            worker.reconfigure(Reconfigure { config, opened, closed: closed.clone() })
        });
        let changed = changed.collect();
        self.sockets.add(opened);
        self.sockets.close(&closed);
        self.limit_queues();
        self.listeners = listeners;
        self.start_heartbeat();
        Changed(changed)
    }

    /// Has all workers stop reading; open queries are still answered, and the sockets stay open
    /// here.
    pub(super) async fn stop_reading(&self) {
        self.heartbeat.stop();
        for (index, worker) in self.threads.iter().enumerate() {
            let change = Reconfigure { closed: self.listeners.clone(), ..Reconfigure::default() };
            let stopped = match worker.ready().await {
                Ok(worker) => worker.reconfigure(change).done().await,
                Err(_) => false,
            };
            if !stopped {
                error!("worker {index} does not stop reading: it hangs or has ended");
            }
        }
    }

    /// Has all workers read again after [`stop_reading`](Self::stop_reading).
    pub(super) async fn resume_reading(&mut self) -> Result<(), FatalError> {
        let ReadyWorkers(ready) = self.ready().await?;
        let sockets = self.sockets.duplicate(ready.len()).map_err(FatalError::Descriptors)?;
        let mut opened = Vec::new();
        for (worker, sockets) in ready.iter().zip(sockets) {
            opened.push(worker.register(sockets).map_err(FatalError::Descriptors)?);
        }
        let changed = ready
            .into_iter()
            .zip(opened)
            .map(|(worker, opened)| worker.reconfigure(Reconfigure { opened, ..Reconfigure::default() }));
        Changed(changed.collect()).wait().await;
        self.start_heartbeat();
        Ok(())
    }

    /// Sends heartbeats to those of these addresses that are served, from now on.
    pub(super) fn set_heartbeat_addresses(&mut self, addresses: Vec<SocketAddr>) {
        if self.heartbeat_addresses != addresses {
            self.heartbeat_addresses = addresses;
            self.start_heartbeat();
        }
    }

    fn start_heartbeat(&mut self) {
        let workers = self.threads.iter().map(|worker| worker.progress().clone()).collect();
        let sockets = self.sockets.serving(&self.heartbeat_addresses);
        if let Err(error) = sockets.and_then(|sockets| self.heartbeat.start(sockets, workers)) {
            error!("no heartbeat is sent, so that clients are sent to the fail-open upstream: {error}");
        }
    }

    /// Adds sockets that a successor had bound beside ours.
    pub(super) fn add_sockets(&mut self, sockets: InheritedSockets) {
        self.sockets.extend(sockets, self.threads.len());
        self.limit_queues();
    }

    fn limit_queues(&self) {
        let limits = self.sockets.queue_limits(self.udp_queues);
        self.netlink.post(|_| limits.set());
    }

    /// All sockets, to be duplicated for a successor.
    pub(super) fn sockets(&self) -> &ListeningSockets {
        &self.sockets
    }

    /// Answers open queries in all workers at the same time, and ends the threads. One that hangs
    /// is not waited for: the node must be restored.
    pub(super) async fn drain(&mut self, until: Instant) {
        self.heartbeat.stop();
        // A socket that its worker has closed must not stay open here, unread.
        self.sockets = ListeningSockets::default();
        // All are notified before any is waited for: none reads on while another has stopped.
        let draining: Vec<_> = self.threads.iter().filter_map(|worker| worker.drain(until)).collect();
        let all_drained = async {
            for drained in draining {
                // A worker that has exited has no query left to answer.
                drained.await.ok();
            }
        };
        if time::timeout_at((until + EXIT_TIMEOUT).into(), all_drained).await.is_err() {
            error!("a worker hangs, which is a bug: exiting without waiting for it");
        }
    }

    /// Resolves when a worker has ended without being drained.
    pub(super) async fn failed(&mut self) -> FatalError {
        poll_fn(|context| {
            for (number, worker) in self.threads.iter_mut().enumerate() {
                if let Poll::Ready(failure) = worker.poll_failed(context) {
                    return Poll::Ready(FatalError::WorkerExited(number, failure));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Describes a worker that makes no progress.
    pub(super) fn check_progress(&mut self) -> Option<String> {
        watchdog::stuck_worker(&self.watchdog.check(self.threads.iter().map(Worker::progress)))
    }

    /// The L1 caches of all.
    pub(super) fn l1(&self) -> Vec<L1Handle> {
        self.threads.iter().map(Worker::l1).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.threads.len()
    }
}

/// The context of each worker: state that all share, and the channels between them.
pub(super) fn contexts(
    process: ProcessContext<'_>,
    configs: &[WorkerConfig],
    builder: &WorkerConfigBuilder,
    cache: &Arc<Cache>,
    events: &mpsc::Sender<WorkerEvent>,
) -> Vec<WorkerContext> {
    let shared_inflight = Arc::default();
    let waiting_memory = Arc::new(WaitingMemory::new(octets(process.memory.waiting)));
    let limiter = Arc::new(ConnectionLimiter::new(
        worker::left_descriptors(process.descriptor_limit, configs.len()),
        octets(process.memory.tcp_clients),
        Arc::clone(process.counters),
    ));
    let worker_counters = (0..configs.len()).map(|index| builder.worker_counters(index)).collect();
    let parts = SharedMemory { cache, waiting: &waiting_memory, limiter: &limiter, worker_counters };
    memory_parts::publish(process, parts);
    let l1_octets = octets(process.memory.l1) / configs.len().max(1);
    let (peers, inboxes) = worker::peer_inboxes(configs.len());
    let contexts = configs.iter().zip(inboxes).enumerate().map(|(index, (config, inbox))| {
        let resolver = ResolverConfig {
            policy: Arc::clone(&config.policy),
            worker: worker::worker_id(index),
            cache: Arc::clone(cache),
            shared_inflight: Arc::clone(&shared_inflight),
            waiting_memory: Arc::clone(&waiting_memory),
            counters: builder.worker_counters(index),
            limits: ResolverLimits { l1_octets, ..ResolverLimits::default() },
            seed: rand::random(),
        };
        WorkerContext {
            resolver,
            logger: process.logger.clone(),
            process: Arc::clone(process.counters),
            heartbeat: Arc::clone(process.heartbeat),
            observer: Observer::new(Arc::clone(process.trace), process.statistics.cloned(), rand::random()),
            connection_limiter: Arc::clone(&limiter),
            events: events.clone(),
            peers: peers.clone(),
            inbox,
        }
    });
    contexts.collect()
}
