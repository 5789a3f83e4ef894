//! Fixture of the tests: context and configuration of a worker without zones and upstreams.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::context::{WorkerConfig, WorkerContext};
use super::peer_inbox::peer_inboxes;
use super::tcp_server::ConnectionLimiter;
use super::upstream::UpstreamEndpoints;
use crate::insight::Observer;
use crate::logging::Logger;
use crate::logging::errors::ErrorLog;
use crate::logging::query_log::QueryLog;
use crate::metrics::ProcessCounters;

/// Of a single worker. Its log lines are discarded.
pub(super) fn context() -> WorkerContext {
    let resolver = testkit::fixture::resolver_config(Arc::default());
    let process = Arc::<ProcessCounters>::default();
    let logger = Logger::start(io::sink(), 1, Arc::clone(&process)).unwrap();
    let (peers, mut inboxes) = peer_inboxes(1);
    let inbox = inboxes.pop().unwrap();
    let connection_limiter = Arc::new(ConnectionLimiter::new(64, 64 << 20, Arc::clone(&process)));
    let events = mpsc::channel(1).0;
    let (heartbeat, observer) = (Arc::default(), Observer::new(Arc::default(), None, 0));
    WorkerContext { resolver, logger, process, heartbeat, observer, connection_limiter, events, peers, inbox }
}

pub(super) fn config() -> WorkerConfig {
    WorkerConfig {
        policy: Arc::default(),
        upstreams: UpstreamEndpoints::new(),
        query_log: QueryLog::new(),
        error_log: ErrorLog::new(),
        timeouts: HashMap::new(),
        addresses: HashMap::new(),
    }
}
