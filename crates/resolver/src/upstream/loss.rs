//! Lost queries: those that have to continue elsewhere, and why.

use crate::action::AttemptFailure;
use crate::timers::AttemptId;

/// A query that has to continue elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostQuery {
    pub(crate) attempt: AttemptId,
    pub(crate) loss: Loss,
    /// Its connection was opened for it, and no other query can have broken it.
    pub(crate) dialled: bool,
}

/// Why a query has to continue elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The dial, its dedicated connection or its socket failed: the attempt has failed.
    Failed(AttemptFailure),
    /// A connection with other queries was lost: any of them may be the reason.
    ConnectionLost(AttemptFailure),
    /// A mismatch, and no matching response in time. The attempt still waits on its connection.
    Mismatched {
        /// The connection was its own.
        is_dedicated: bool,
        /// Its socket has been closed.
        is_closed: bool,
    },
    /// Its octets, or the SYN of its connection, were not acknowledged. The attempt still waits.
    Unacknowledged,
    /// Its connection is suspect, and another one responds. The attempt still waits.
    Suspect {
        /// Its connection has carried no other query.
        is_alone: bool,
    },
}

/// The query that a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchedQuery {
    /// It has the ID of this attempt.
    Attempt(AttemptId),
    /// A late response to an abandoned query, or a connection that is closed by now.
    Abandoned {
        /// It is open, and a stream.
        is_stream: bool,
    },
    /// None has its ID.
    Unknown,
}
