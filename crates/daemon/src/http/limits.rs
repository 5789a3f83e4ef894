//! Limits of the HTTP endpoints.

use std::time::Duration;

/// What clients may use, and the period of the local health requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Timeout for reading a request, for writing the response, and for an idle connection.
    pub timeout: Duration,
    /// Connections per address; one more closes the oldest.
    pub max_connections: usize,
    /// Time between two local requests to `/health`.
    pub health_request_period: Duration,
}

impl Default for Limits {
    /// As CoreDNS: 5 s, and a health request each second. Scrapers and the kubelet hold fewer than
    /// 64 connections.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_connections: 64,
            health_request_period: Duration::from_secs(1),
        }
    }
}
