//! Connection placement: which connection of the pool a query goes to.
//!
//! CoreDNS responds to the queries of one connection in order, so a deep pipeline delays all of
//! them behind the slowest, and one connection per query makes hundreds. In between: least pending
//! first, few queries per connection while another can be had, one more connection when the oldest
//! query waits too long.
//!
//! A silent connection may lead to a pod that is gone. It gets nothing while another can be had and
//! does not count against [`MAX_USEFUL`]. A fresh query (hedge) gets a new connection even when all
//! are in use and none responds, up to [`MAX_SHARED`]. Else it goes to a connection that responds, which is not the one it waits on already; if there is none, a new connection replaces the
//! one that has been silent longest, provided its queries have been retried elsewhere.
//!
//! A query that has lost a connection gets one for itself, up to [`MAX_DEDICATED`]. Above that it
//! waits: its upstream breaks connections, and those of other queries are to be spared.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::connection_use::ConnectionUse;
use crate::transport::Transport;

/// Shared connections per worker and upstream that respond.
const MAX_USEFUL: usize = 8;

/// Shared connections per worker and upstream, silent ones included.
const MAX_SHARED: usize = 2 * MAX_USEFUL;

/// The same for queries whose packets may have been lost: many connections wait for a
/// retransmission then.
const MAX_LOSS_SHARED: usize = 2 * MAX_SHARED;

/// Dedicated connections per worker and upstream.
const MAX_DEDICATED: usize = 32;

/// Connections that only wait for their last responses; above this number, the oldest is closed and
/// its queries are retried.
pub(super) const MAX_DRAINING: usize = 32;

/// Connections being dialled at once, above which queries wait for one of them.
const MAX_DIALS: usize = 4;

/// The same for fresh queries.
const MAX_FRESH_DIALS: usize = 2 * MAX_DIALS;

/// The same for queries whose packets may have been lost.
const MAX_LOSS_DIALS: usize = 2 * MAX_FRESH_DIALS;

/// Fresh queries may share a connection being dialled up to this age. It is shorter than the delay
/// of any hedge or retry, so that it cannot be the connection that the fresh query is to avoid.
const YOUNG: Duration = Duration::from_millis(10);

/// Maximum pending queries on one connection.
const DEPTH: usize = 16;

/// Pending queries on one connection while another can be had: A and AAAA that a client sends at
/// once share one, a burst is spread.
const SHARED_DEPTH: usize = 2;

/// A connection whose oldest query is pending longer gets no more while another can be had.
pub(super) const SLOW: Duration = Duration::from_millis(30);

/// A connection that has delivered a response within this time responds.
pub(super) const RESPONSIVE: Duration = Duration::from_millis(150);

/// A connection that has been silent for longer may be replaced: after this time, the read timeout
/// of CoreDNS, its queries have been retried elsewhere.
const REPLACEABLE: Duration = Duration::from_secs(2);

/// Where a query goes. Connections are given by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    Existing(usize),
    New,
    /// On a new connection in place of this one.
    Replace(usize),
    /// The query has to wait.
    Queue,
}

/// The streams to choose from.
pub(super) struct Streams<'a> {
    pub(super) all: &'a [Connection],
    pub(super) now: Instant,
}

impl<'a> Streams<'a> {
    pub(super) fn place(&self, usage: ConnectionUse) -> Placement {
        match usage {
            ConnectionUse::Shared => self.place_shared(),
            ConnectionUse::Fresh => self.place_fresh(),
            ConnectionUse::Unoccupied => self.place_unoccupied(),
            ConnectionUse::Dedicated if self.dedicated() < MAX_DEDICATED => Placement::New,
            ConnectionUse::Dedicated => Placement::Queue,
            ConnectionUse::Proven => self.place_proven(),
        }
    }

    /// A connection that has responded and has room for the query of a suspect one.
    pub(super) fn proven(&self) -> Option<usize> {
        let is_proven = |one: &Connection| one.has_responded() && one.silent_since(self.now).is_none();
        self.least_pending(is_proven)
    }

    /// Connections that only wait for their last responses, oldest first; dedicated ones have a bound
    /// of their own.
    pub(super) fn draining(&self) -> impl Iterator<Item = usize> {
        let draining = self.streams().filter(|(_, one)| one.is_draining() && !one.is_dedicated);
        draining.map(|(index, _)| index)
    }

    /// Idle connections that accept queries.
    pub(super) fn idle(&self) -> impl Iterator<Item = (usize, &'a Connection)> + use<'a> {
        let now = self.now;
        self.streams().filter(move |(_, one)| one.is_idle() && one.accepts_queries(now))
    }

    /// For the query of a suspect connection: on one that responds, or in its queue.
    fn place_proven(&self) -> Placement {
        let responds = |one: &Connection| one.has_responded() && one.accepts_queries(self.now);
        match self.proven() {
            Some(index) => Placement::Existing(index),
            None if self.streams().any(|(_, one)| responds(one)) => Placement::Queue,
            None => self.place_shared(),
        }
    }

    /// For the first attempt of a query.
    fn place_shared(&self) -> Placement {
        let is_fast = |one: &Connection| !one.waits_longer_than(SLOW, self.now);
        let is_silent = |one: &Connection| one.silent_since(self.now).is_some();
        let fast = self.least_pending(is_fast);
        if let Some(index) = fast.filter(|index| self.pending_len(*index) < SHARED_DEPTH) {
            return Placement::Existing(index);
        }
        if self.useful() < MAX_USEFUL && self.shared() < MAX_SHARED && self.dials() < MAX_DIALS {
            return Placement::New;
        }
        let not_silent = || self.least_pending(|one| !is_silent(one));
        existing_or_queue(fast.or_else(not_silent).or_else(|| self.least_pending(|_| true)))
    }

    /// For a hedge: on a connection that has carried nothing yet.
    fn place_fresh(&self) -> Placement {
        let young = self.least_pending(|one| one.is_younger_than(YOUNG, self.now));
        if let Some(index) = young.filter(|index| self.pending_len(*index) < SHARED_DEPTH) {
            return Placement::Existing(index);
        }
        if self.dials() >= MAX_FRESH_DIALS {
            return existing_or_queue(young);
        }
        let is_fast = |one: &Connection| !one.is_dialling() && !one.waits_longer_than(SLOW, self.now);
        if self.useful() >= MAX_USEFUL && self.streams().any(|(_, one)| self.is_responsive(one)) {
            return existing_or_queue(self.least_pending(|one| is_fast(one) || self.is_responsive(one)));
        }
        if self.shared() < MAX_SHARED {
            return Placement::New;
        }
        if let Some(index) = self.least_pending(is_fast) {
            return Placement::Existing(index);
        }
        let shared = self.streams().filter(|(_, one)| !one.is_dedicated && !one.is_draining());
        let silent = shared.filter_map(|(index, one)| Some((one.silent_since(self.now)?, index)));
        let longest = silent.min_by_key(|(since, _)| *since);
        let longest = longest.filter(|(since, _)| self.now.saturating_duration_since(*since) > REPLACEABLE);
        longest.map_or(Placement::Queue, |(_, index)| Placement::Replace(index))
    }

    /// For a query whose packets may have been lost.
    fn place_unoccupied(&self) -> Placement {
        let idle = self.idle().filter(|(_, one)| one.has_responded());
        if let Some((index, _)) = idle.max_by_key(|(_, one)| one.last_used()) {
            return Placement::Existing(index);
        }
        let young = self.least_pending(|one| one.is_younger_than(YOUNG, self.now));
        match young.filter(|index| self.pending_len(*index) < SHARED_DEPTH) {
            Some(index) => Placement::Existing(index),
            None if self.dials() < MAX_LOSS_DIALS && self.shared() < MAX_LOSS_SHARED => Placement::New,
            None => Placement::Queue,
        }
    }

    fn streams(&self) -> impl Iterator<Item = (usize, &'a Connection)> + use<'a> {
        self.all.iter().enumerate().filter(|(_, one)| one.transport == Transport::Tcp)
    }

    /// The connection with the fewest pending queries among those with room for one more.
    fn least_pending(&self, is_wanted: impl Fn(&Connection) -> bool) -> Option<usize> {
        let has_room = |one: &Connection| one.accepts_queries(self.now) && one.pending().len() < DEPTH;
        let wanted = self.streams().filter(|(_, one)| has_room(one) && is_wanted(one));
        wanted.min_by_key(|(_, one)| one.pending().len()).map(|(index, _)| index)
    }

    fn pending_len(&self, index: usize) -> usize {
        self.all.get(index).map_or(0, |one| one.pending().len())
    }

    /// Shared connections that may respond.
    fn useful(&self) -> usize {
        let is_useful =
            |one: &Connection| one.accepts_queries(self.now) && one.silent_since(self.now).is_none();
        self.streams().filter(|(_, one)| is_useful(one)).count()
    }

    /// True for a connection that delivers responses, or has none to deliver.
    fn is_responsive(&self, one: &Connection) -> bool {
        one.has_responded() && !one.is_unanswered_for(RESPONSIVE, self.now)
    }

    /// Connections that take queries of any client, silent ones included.
    fn shared(&self) -> usize {
        self.streams().filter(|(_, one)| !one.is_dedicated && !one.is_draining()).count()
    }

    fn dedicated(&self) -> usize {
        self.streams().filter(|(_, one)| one.is_dedicated).count()
    }

    /// Shared connections being dialled that may still be established.
    fn dials(&self) -> usize {
        let may_be_established = |one: &Connection| one.silent_since(self.now).is_none();
        let dials = self.streams().filter(|(_, one)| one.is_dialling() && !one.is_dedicated);
        dials.filter(|(_, one)| may_be_established(one)).count()
    }
}

fn existing_or_queue(index: Option<usize>) -> Placement {
    index.map_or(Placement::Queue, Placement::Existing)
}

#[cfg(test)]
mod tests;
