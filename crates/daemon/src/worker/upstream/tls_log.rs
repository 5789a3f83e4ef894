//! Log of failing TLS handshakes, whose reason no response shows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use resolver::policy::UpstreamId;

use super::tls_error;
use crate::clock;
use crate::logging::Logger;

/// Interval of log lines about one upstream: it fails until an operator acts.
const INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct TlsLog {
    logger: Logger,
    logged_at: RefCell<HashMap<UpstreamId, Instant>>,
}

impl TlsLog {
    pub(super) fn new(logger: Logger) -> Self {
        Self { logger, logged_at: RefCell::default() }
    }

    /// Drops what is known of upstreams for which `is_used` does not hold.
    pub(super) fn retain(&self, is_used: impl Fn(UpstreamId) -> bool) {
        self.logged_at.borrow_mut().retain(|upstream, _| is_used(*upstream));
    }

    /// Logs why an established connection failed if TLS was the reason: with TLS 1.3 a server rejects
    /// our certificate after the handshake.
    pub(super) fn log_alert(&self, upstream: UpstreamId, addr: SocketAddr, error: &io::Error) {
        if error.kind() == io::ErrorKind::InvalidData {
            self.log(upstream, addr, error);
        }
    }

    /// Logs why a dial failed if TLS was the reason, at intervals.
    pub(super) fn log(&self, upstream: UpstreamId, addr: SocketAddr, error: &io::Error) {
        let Some(reason) = tls_error::reason(error) else { return };
        let now = clock::now();
        let mut logged_at = self.logged_at.borrow_mut();
        if logged_at.get(&upstream).is_some_and(|last| now.saturating_duration_since(*last) <= INTERVAL) {
            return;
        }
        logged_at.insert(upstream, now);
        self.logger.log(tracing::Level::WARN, format!("plugin/forward: tls://{addr}: {reason}"));
    }
}
