//! Lost queries: those that have to continue elsewhere, and why.

use super::connection::Connection;
use crate::action::AttemptFailure;
use crate::timers::AttemptId;
use crate::transport::Transport;

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

/// The queries of a pool that have to continue elsewhere.
#[derive(Debug, Default)]
pub(super) struct LostQueries(Vec<LostQuery>);

impl LostQueries {
    pub(super) fn take(&mut self) -> Vec<LostQuery> {
        std::mem::take(&mut self.0)
    }

    /// Reports attempts of which none is the reason, or the only query of a connection.
    pub(super) fn report(&mut self, attempts: Vec<AttemptId>, loss: Loss) {
        let attempts = attempts.into_iter();
        self.0.extend(attempts.map(|attempt| LostQuery { attempt, loss, dialled: false }));
    }

    /// Reports the queries of a connection that could not be established or was closed. True for the
    /// former.
    pub(super) fn report_closed(&mut self, connection: &Connection, failure: AttemptFailure) -> bool {
        let may_be_another_query =
            connection.transport == Transport::Tcp && !connection.is_dedicated && !connection.is_dialling();
        let loss = if may_be_another_query { Loss::ConnectionLost(failure) } else { Loss::Failed(failure) };
        let was_alone = connection.pending().len() == 1;
        let dialled = connection.dialled_for().filter(|_| !may_be_another_query || was_alone);
        let lost = connection.pending().attempts().into_iter();
        self.0.extend(lost.map(|attempt| LostQuery { attempt, loss, dialled: dialled == Some(attempt) }));
        connection.is_dialling()
    }
}
