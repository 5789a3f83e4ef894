//! TCP idle timeout, read and write timeouts, and query limit of a client's connection.

use std::num::NonZeroU32;
use std::time::Duration;

use corefile::settings::Timeouts;
use resolver::policy::DEFAULT_IDLE_TIMEOUT;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionTimeouts {
    /// From the accept to the end of the first query, and from the first octet of a later query to
    /// its last.
    pub(super) read: Duration,
    /// For the client to read everything that was in the write buffer at one moment.
    pub(super) write: Duration,
    /// Without any query.
    pub(super) idle: Duration,
    /// Queries after which the connection is closed.
    pub(super) max_queries: Option<NonZeroU32>,
}

/// Read and idle timeout after the listener was closed, by a shutdown, a hand-over or a reload: a
/// query already under way arrives within milliseconds.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

impl ConnectionTimeouts {
    /// Read and idle timeouts cut to [`CLOSING_TIMEOUT`].
    pub(super) fn shortened(self) -> Self {
        Self { read: self.read.min(CLOSING_TIMEOUT), idle: self.idle.min(CLOSING_TIMEOUT), ..self }
    }
}

impl Default for ConnectionTimeouts {
    /// The values of CoreDNS, plus a write timeout.
    fn default() -> Self {
        let (read, write) = (Duration::from_secs(3), Duration::from_secs(5));
        Self { read, write, idle: DEFAULT_IDLE_TIMEOUT, max_queries: None }
    }
}

impl From<Timeouts> for ConnectionTimeouts {
    fn from(configured: Timeouts) -> Self {
        let default = Self::default();
        Self {
            read: configured.read.unwrap_or(default.read),
            write: configured.write.unwrap_or(default.write),
            idle: configured.idle.unwrap_or(default.idle),
            max_queries: configured.max_queries.unwrap_or(default.max_queries),
        }
    }
}
