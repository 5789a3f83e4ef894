//! The worker threads, the sockets they read, and the listeners that the sockets belong to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::ResolverConfig;
use resolver::cache::Cache;
use resolver::policy::{ListenerId, ResolverLimits};
use tokio::sync::mpsc;
use tokio::time;
use tracing::error;

use super::context::ProcessContext;
use super::exit::FatalError;
use super::watchdog::Watchdog;
use crate::worker::config::WorkerConfigBuilder;
use crate::worker::{
    self, ConnectionLimiter, InheritedSockets, ListeningSockets, Reconfigure, Worker, WorkerConfig,
    WorkerContext, WorkerEvent,
};

/// A listener and its addresses.
type Listener = (ListenerId, Vec<SocketAddr>);

/// For a worker to report its exit, after the time in which it has to drain.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Workers {
    threads: Vec<Worker>,
    sockets: ListeningSockets,
    listeners: Vec<ListenerId>,
    watchdog: Watchdog,
}

/// Another set of listeners, bound and not yet read.
pub(super) struct ListenerChange {
    listeners: Vec<ListenerId>,
    opened: Vec<ListenerId>,
    closed: Vec<ListenerId>,
    /// For each worker, with the sockets of the opened listeners.
    by_worker: Vec<Reconfigure>,
}

impl Workers {
    /// Binds UDP and TCP sockets on the addresses of listeners that are new, `count` of each, or
    /// takes them from `inherited`. Nothing is read from them until [`apply`](Self::apply).
    ///
    /// # Errors
    /// An address that cannot be bound; then nothing has changed.
    pub(super) fn prepare(
        &mut self,
        listeners: &[Listener],
        count: usize,
        inherited: &mut InheritedSockets,
    ) -> Result<ListenerChange, FatalError> {
        let is_new = |(id, _): &&Listener| !self.listeners.contains(id);
        let new: Vec<Listener> = listeners.iter().filter(is_new).cloned().collect();
        let listeners: Vec<ListenerId> = listeners.iter().map(|(id, _)| *id).collect();
        let opened: Vec<ListenerId> = new.iter().map(|(id, _)| *id).collect();
        let closed: Vec<ListenerId> =
            self.listeners.iter().filter(|id| !listeners.contains(id)).copied().collect();
        let sockets = self
            .sockets
            .open(&new, count, inherited)
            .map_err(|(address, error)| FatalError::Bind(address, error))?;
        let by_worker = sockets
            .into_iter()
            .map(|opened| Reconfigure { config: None, opened, closed: closed.clone() })
            .collect();
        Ok(ListenerChange { listeners, opened, closed, by_worker })
    }

    /// Closes what was bound for a change that is not made.
    pub(super) fn discard(&mut self, change: &ListenerChange) {
        self.sockets.close(&change.opened);
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

    /// Has the workers read the sockets of a change, each with its new configuration where there is
    /// one.
    pub(super) async fn apply(
        &mut self,
        change: ListenerChange,
        configs: impl IntoIterator<Item = Option<WorkerConfig>>,
    ) -> Result<(), FatalError> {
        for ((worker, config), reconfigure) in self.threads.iter().zip(configs).zip(change.by_worker) {
            worker.reconfigure(Reconfigure { config, ..reconfigure }).await.map_err(FatalError::System)?;
        }
        self.sockets.close(&change.closed);
        self.listeners = change.listeners;
        Ok(())
    }

    /// Has all workers stop reading; open queries are still answered, and the sockets stay open
    /// here.
    pub(super) async fn stop_reading(&self) {
        for worker in &self.threads {
            let closed = self.listeners.clone();
            if let Err(error) = worker.reconfigure(Reconfigure { closed, ..Reconfigure::default() }).await {
                error!("a worker does not stop reading: {error}");
            }
        }
    }

    /// Has all workers read again after [`stop_reading`](Self::stop_reading).
    pub(super) async fn resume_reading(&self) -> Result<(), FatalError> {
        if self.any_exited() {
            return Err(FatalError::WorkerExited);
        }
        let sockets = self.sockets.duplicate(self.threads.len()).map_err(FatalError::System)?;
        for (worker, opened) in self.threads.iter().zip(sockets) {
            let change = Reconfigure { opened, ..Reconfigure::default() };
            worker.reconfigure(change).await.map_err(FatalError::System)?;
        }
        Ok(())
    }

    /// Adds sockets that a successor had bound beside ours.
    pub(super) fn add_sockets(&mut self, sockets: InheritedSockets) {
        self.sockets.extend(sockets, self.threads.len());
    }

    /// All sockets, to be duplicated for a successor.
    pub(super) fn sockets(&self) -> &ListeningSockets {
        &self.sockets
    }

    /// Answers open queries in all workers at the same time, and ends the threads. One that hangs
    /// is not waited for: the node must be restored.
    pub(super) async fn drain(&mut self, until: Instant) {
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

    pub(super) fn any_exited(&self) -> bool {
        self.threads.iter().any(Worker::has_ended)
    }

    /// Describes a worker that makes no progress.
    pub(super) fn check_progress(&mut self) -> Option<String> {
        self.watchdog.check(&self.threads)
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
    let (shared_inflight, waiting_memory) = (Arc::default(), Arc::default());
    let limiter = Arc::new(ConnectionLimiter::new(process.descriptor_limit, Arc::clone(process.counters)));
    let (peers, inboxes) = worker::peer_inboxes(configs.len());
    let contexts = configs.iter().zip(inboxes).enumerate().map(|(index, (config, inbox))| {
        let resolver = ResolverConfig {
            policy: Arc::clone(&config.policy),
            worker: worker::worker_id(index),
            cache: Arc::clone(cache),
            shared_inflight: Arc::clone(&shared_inflight),
            waiting_memory: Arc::clone(&waiting_memory),
            counters: builder.worker_counters(index),
            limits: ResolverLimits::default(),
            seed: rand::random(),
        };
        WorkerContext {
            resolver,
            logger: process.logger.clone(),
            process: Arc::clone(process.counters),
            connection_limiter: Arc::clone(&limiter),
            events: events.clone(),
            peers: peers.clone(),
            inbox,
        }
    });
    contexts.collect()
}
