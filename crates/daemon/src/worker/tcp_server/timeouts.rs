//! How long a connection may ask for, wait for and take what.

use std::num::NonZeroU32;
use std::time::Duration;

use resolver::policy::DEFAULT_IDLE_TIMEOUT;

use corefile::settings::Timeouts;

/// What a connection may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionTimeouts {
    /// From connecting to the end of the first question, and from the first octet of another to its last.
    pub(super) read: Duration,
    /// For all that is owed at one moment to be taken by the client.
    pub(super) write: Duration,
    /// Without any question.
    pub(super) idle: Duration,
    /// Questions after which it ends.
    pub(super) max_queries: Option<NonZeroU32>,
}

/// For a client that is connected to a process which is about to leave: a question that is on its way comes within
/// milliseconds.
const HURRY: Duration = Duration::from_secs(1);

impl ConnectionTimeouts {
    /// No more than a moment for a question to come.
    pub(super) fn hurried(self) -> Self {
        Self { read: self.read.min(HURRY), idle: self.idle.min(HURRY), ..self }
    }
}

impl Default for ConnectionTimeouts {
    /// CoreDNS's, with a write timeout of our own.
    fn default() -> Self {
        let (read, write) = (Duration::from_secs(3), Duration::from_secs(5));
        Self { read, write, idle: DEFAULT_IDLE_TIMEOUT, max_queries: None }
    }
}

impl From<Timeouts> for ConnectionTimeouts {
    fn from(said: Timeouts) -> Self {
        let default = Self::default();
        Self {
            read: said.read.unwrap_or(default.read),
            write: said.write.unwrap_or(default.write),
            idle: said.idle.unwrap_or(default.idle),
            max_queries: said.max_queries.unwrap_or(default.max_queries),
        }
    }
}
