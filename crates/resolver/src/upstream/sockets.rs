//! UDP socket pool: which connected socket a query goes to.
//!
//! A port per query would cost an entry in the node's connection tracking table per query. A few
//! sockets with random ports are used for some seconds each; message IDs are random per query
//! (RFC 5452 section 9.2).

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use super::connection::{Connection, ConnectionLimits};
use super::connection_use::ConnectionUse;
use crate::transport::Transport;

/// Sockets per worker and upstream that take queries.
const MAX_ACTIVE: usize = 2;

/// Sockets per worker and upstream, those included that only wait for their last responses.
const MAX_SOCKETS: usize = 16;

/// How long a socket takes queries; with the jitter 6 to 10 s.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Queries per socket.
const MAX_QUERIES: u32 = 2000;

/// The limits of a new socket.
pub(super) fn limits(now: Instant, random: &mut StdRng) -> ConnectionLimits {
    let retire_at = now + MAX_AGE.mul_f64(random.random_range(0.6..=1.0));
    ConnectionLimits { retire_at, idle_until: retire_at, max_queries: MAX_QUERIES }
}

/// Where a query goes. Sockets are given by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketPlacement {
    Existing(usize),
    New,
    /// On a new socket in place of this one, on which nothing waits.
    Replace(usize),
    /// On a new socket in place of this one, which has delivered a mismatch.
    ReplaceMismatched(usize),
}

/// The sockets to choose from.
pub(super) struct Sockets<'a> {
    /// Streams included.
    pub(super) all: &'a [Connection],
    pub(super) now: Instant,
    /// False after one could not be opened.
    pub(super) can_open: bool,
}

impl<'a> Sockets<'a> {
    /// A random socket in use, or a new one. A fresh query (hedge, retransmission, retry after a
    /// mismatch) gets a new one: connection tracking may lead the old ones to a pod that is gone.
    pub(super) fn place(&self, usage: ConnectionUse, random: &mut StdRng) -> SocketPlacement {
        let open = self.sockets().count();
        let is_active =
            |one: &Connection| one.accepts_queries(self.now) && one.silent_since(self.now).is_none();
        let active = || self.sockets().filter(|(_, one)| is_active(one)).map(|(index, _)| index);
        let is_fresh = usage != ConnectionUse::Shared && open < MAX_SOCKETS / 2;
        let may_open = self.can_open || open == 0;
        if may_open && (is_fresh || active().count() < MAX_ACTIVE && open < MAX_SOCKETS) {
            return SocketPlacement::New;
        }
        if let Some(index) = active().choose(random) {
            return SocketPlacement::Existing(index);
        }
        self.place_beside_silent()
    }

    /// None responds, or none takes more. One that nothing waits on makes room; else the newest was
    /// opened for that reason.
    fn place_beside_silent(&self) -> SocketPlacement {
        let unused = self.sockets().find(|(_, one)| one.pending().is_empty());
        if let Some((index, _)) = unused.filter(|_| self.can_open) {
            return SocketPlacement::Replace(index);
        }
        let usable = || self.sockets().filter(|(_, one)| !one.is_quarantined());
        let accepting = usable().filter(|(_, one)| one.accepts_queries(self.now)).last();
        if let Some((index, _)) = accepting.or_else(|| usable().last()) {
            return SocketPlacement::Existing(index);
        }
        let oldest = self.sockets().next();
        oldest.map_or(SocketPlacement::New, |(index, _)| SocketPlacement::ReplaceMismatched(index))
    }

    fn sockets(&self) -> impl Iterator<Item = (usize, &'a Connection)> + use<'a> {
        self.all.iter().enumerate().filter(|(_, one)| one.transport == Transport::Udp)
    }
}
