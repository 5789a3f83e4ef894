//! Retry state of an in-flight query: the connections, dials and packets that it has lost, and what
//! they leave of its attempts, on a connection of its own, over TCP, or not at all at an upstream.

use crate::upstream::connection_use::ConnectionUse;

/// Dials for one query at one upstream, not counted those on which another query may be the reason
/// that they were lost.
const MAX_DIALS: usize = 2;

/// Retransmissions of one query whose octets were not acknowledged.
const MAX_RETRANSMISSIONS: u8 = 16;

/// What a query has lost at the upstreams of its `forward`, which are given by their indices.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// A connection that it shared with other queries was lost: further ones are its own.
    has_lost_connection: bool,
    /// It was retried on a connection of its own for that reason.
    has_retried_alone: bool,
    /// Upstreams of the connections that were opened for it and lost.
    lost_dials: Vec<usize>,
    /// Upstreams on which it has lost a connection of its own: not tried again.
    failed_upstreams: Vec<usize>,
    /// A socket delivered a mismatch, and no matching response in time.
    has_mismatched: bool,
    /// The octets of an attempt, or its SYN, were not acknowledged: its packets are lost.
    is_unacknowledged: bool,
    /// Its retransmissions because packets are lost.
    retransmissions: u8,
}

impl Losses {
    /// What the connection of its next attempt must be like, if it would be `usage` without a loss.
    pub(crate) fn connection_use(&self, usage: ConnectionUse) -> ConnectionUse {
        if self.has_lost_connection { ConnectionUse::Dedicated } else { usage }
    }

    pub(crate) fn has_lost_connection(&self) -> bool {
        self.has_lost_connection
    }

    /// A connection was lost, and another query on it may be the reason: further ones are its own.
    pub(crate) fn record_lost_connection(&mut self) {
        self.has_lost_connection = true;
    }

    /// A connection that was opened for it was lost.
    pub(crate) fn record_lost_dial(&mut self, upstream: usize) {
        self.lost_dials.push(upstream);
    }

    /// Takes its only retry on a connection of its own after a lost one; false when it was taken, or
    /// no dial at the upstream is left.
    pub(crate) fn take_retry_alone(&mut self, upstream: usize) -> bool {
        let is_taken = std::mem::replace(&mut self.has_retried_alone, true);
        let may_retry = !is_taken && self.has_dial_left(upstream);
        self.has_lost_connection |= may_retry;
        may_retry
    }

    /// Takes the same retry after a mismatch on a stream; one that goes on beside it (`has_sibling`)
    /// takes its place.
    pub(crate) fn take_retry_after_mismatch(&mut self, has_sibling: bool) -> bool {
        if self.has_retried_alone && !has_sibling {
            return false;
        }
        self.has_lost_connection = true;
        self.has_retried_alone |= !has_sibling;
        true
    }

    /// True when nothing is left to try at an upstream after a failed attempt, whose connection
    /// `is_lost` or not.
    pub(crate) fn is_exhausted(&self, upstream: usize, is_lost: bool) -> bool {
        self.has_retried_alone && (is_lost || !self.has_dial_left(upstream))
    }

    /// The upstream is not tried again.
    pub(crate) fn exclude(&mut self, upstream: usize) {
        self.failed_upstreams.push(upstream);
    }

    pub(crate) fn excludes(&self, upstream: usize) -> bool {
        self.failed_upstreams.contains(&upstream)
    }

    /// A socket has delivered a mismatch, and no matching response in time. True from the second on.
    pub(crate) fn record_mismatch(&mut self) -> bool {
        std::mem::replace(&mut self.has_mismatched, true)
    }

    /// Octets of an attempt, or its SYN, were not acknowledged.
    pub(crate) fn record_unacknowledged(&mut self) {
        self.is_unacknowledged = true;
    }

    pub(crate) fn is_unacknowledged(&self) -> bool {
        self.is_unacknowledged
    }

    /// Takes one of its retransmissions; false when none is left.
    pub(crate) fn take_retransmission(&mut self) -> bool {
        let is_left = self.retransmissions < MAX_RETRANSMISSIONS;
        self.retransmissions += u8::from(is_left);
        is_left
    }

    fn has_dial_left(&self, upstream: usize) -> bool {
        self.lost_dials.iter().filter(|lost| **lost == upstream).count() < MAX_DIALS
    }
}
