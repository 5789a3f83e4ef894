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
    /// A timeout of 5 s, as CoreDNS. A health request every 4 s, where CoreDNS has one each second: a
    /// third of the CPU time of an idle process was for them; the connection is kept in between.
    /// Scrapers and the kubelet hold fewer than 64 connections.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_connections: 64,
            health_request_period: Duration::from_secs(4),
        }
    }
}
