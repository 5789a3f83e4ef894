//! Types between the control thread and a worker: context, configuration, events.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use resolver::ResolverConfig;
use resolver::action::{Client, ShareResult};
use resolver::policy::{ListenerId, Policy, RouteId};
use tokio::sync::mpsc;

use super::heartbeat::Heartbeat;
use super::tcp_server::{ConnectionLimiter, ConnectionTimeouts};
use super::upstream::UpstreamEndpoints;
use crate::insight::Observer;
use crate::logging::Logger;
use crate::logging::errors::ErrorLog;
use crate::logging::query_log::QueryLog;
use crate::metrics::ProcessCounters;

/// The configuration of one worker.
pub(crate) struct WorkerConfig {
    pub(crate) policy: Arc<Policy>,
    pub(crate) upstreams: UpstreamEndpoints,
    pub(crate) query_log: QueryLog,
    pub(crate) error_log: ErrorLog,
    /// Timeouts of client TCP connections, by listener.
    pub(crate) timeouts: HashMap<ListenerId, ConnectionTimeouts>,
    /// The first address of each listener, for the query log.
    pub(crate) addresses: HashMap<ListenerId, IpAddr>,
}

/// Everything a worker keeps until it ends, reconfigured or not.
pub(crate) struct WorkerContext {
    pub(crate) resolver: ResolverConfig,
    pub(crate) logger: Logger,
    pub(crate) process: Arc<ProcessCounters>,
    /// Of all serving sockets.
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) observer: Observer,
    /// Shared by all workers.
    pub(crate) connection_limiter: Arc<ConnectionLimiter>,
    pub(crate) events: mpsc::Sender<WorkerEvent>,
    /// The inbox of every worker, by worker number.
    pub(crate) peers: Vec<mpsc::UnboundedSender<ShareResult>>,
    /// This worker's own inbox.
    pub(crate) inbox: mpsc::UnboundedReceiver<ShareResult>,
}

/// What a worker reports to the control thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkerEvent {
    /// Our own loop detection query came back: forwarding loop.
    Loop(Client, RouteId),
}
