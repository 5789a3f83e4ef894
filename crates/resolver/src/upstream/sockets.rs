//! UDP socket pool: which connected socket a query goes to.
//!
//! A port per query would cost an entry in the node's connection tracking table per query. A few
//! sockets with random ports are used for some seconds each; message IDs are random per query
//! (RFC 5452 section 9.2).

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use super::connection::{Connection, ConnectionUse};
use crate::transport::Transport;

/// Sockets per worker and upstream that take queries.
const MAX_ACTIVE: usize = 2;

/// Sockets per worker and upstream, those included that only wait for their last responses.
const MAX_SOCKETS: usize = 16;

/// How long a socket takes queries; with the jitter 6 to 10 s.
pub(super) const MAX_AGE: Duration = Duration::from_secs(10);

/// Queries per socket.
pub(super) const MAX_QUERIES: u32 = 2000;

/// Where a query goes. Sockets are given by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketPlacement {
    Existing(usize),
    New,
    /// On a new socket in place of this one.
    Replace(usize),
}

/// A random socket in use, or a new one. A fresh query (hedge, retransmission, retry after a
/// mismatch) gets a new one: connection tracking may lead the old ones to a pod that is gone.
pub(super) fn place(
    all: &[Connection],
    usage: ConnectionUse,
    now: Instant,
    random: &mut StdRng,
) -> SocketPlacement {
    let sockets = || all.iter().enumerate().filter(|(_, one)| one.transport == Transport::Udp);
    let is_active = |one: &Connection| one.accepts_queries(now) && one.silent_since(now).is_none();
    let active = || sockets().filter(|(_, one)| is_active(one)).map(|(index, _)| index);
    let can_open = sockets().count() < MAX_SOCKETS;
    let wants_new = usage != ConnectionUse::Shared || active().count() < MAX_ACTIVE;
    if wants_new && can_open {
        return SocketPlacement::New;
    }
    if let Some(index) = active().choose(random) {
        return SocketPlacement::Existing(index);
    }
    // All are in use up: the oldest comes first.
    sockets().next().map_or(SocketPlacement::New, |(index, _)| SocketPlacement::Replace(index))
}
