//! Connection placement: which connection of the pool a query goes to.
//!
//! CoreDNS responds to the queries of one connection in order, so a deep pipeline delays all of
//! them behind the slowest, and one connection per query makes hundreds. In between: least pending
//! first, few queries per connection while another can be had, one more connection when the oldest
//! query waits too long.
//!
//! A silent connection may lead to a pod that is gone. It gets nothing while another can be had and
//! does not count against [`MAX_USEFUL`]. A fresh query (hedge or retry) gets a new connection even
//! when all are in use, up to [`MAX_CONNECTIONS`]. Above that it goes to a connection that responds
//! without delay, which is not the one it waits on already; if there is none, a new connection
//! replaces the one that has been silent longest, provided its queries have been retried elsewhere.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::UpstreamConnection;

/// Connections per worker and upstream that respond.
const MAX_USEFUL: usize = 8;

/// Connections per worker and upstream, silent and retired ones included.
const MAX_CONNECTIONS: usize = 2 * MAX_USEFUL;

/// Connections being dialled at once, above which queries wait for one of them.
const MAX_DIALS: usize = 4;

/// The same for fresh queries.
const MAX_FRESH_DIALS: usize = 2 * MAX_DIALS;

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

/// A connection that has been silent for longer may be replaced: after this time, the read timeout
/// of CoreDNS, its queries have been retried elsewhere.
const REPLACEABLE: Duration = Duration::from_secs(2);

pub(super) enum Placement {
    Existing(Rc<UpstreamConnection>),
    New,
    /// On a new connection in place of this one.
    Replace(Rc<UpstreamConnection>),
    /// The query has to wait.
    Queue,
}

/// The connections to choose from.
pub(super) struct Connections<'a> {
    pub(super) all: &'a [Rc<UpstreamConnection>],
    pub(super) now: Instant,
}

impl<'a> Connections<'a> {
    pub(super) fn place(&self, fresh: bool) -> Placement {
        if fresh { self.place_fresh() } else { self.place_first() }
    }

    /// For the first attempt of a query.
    fn place_first(&self) -> Placement {
        let is_fast = |one: &&Rc<UpstreamConnection>| !one.waits_longer_than(SLOW, self.now);
        let is_silent = |one: &&Rc<UpstreamConnection>| one.silent_since(self.now).is_some();
        let fast = least_pending(self.with_capacity().filter(is_fast));
        if let Some(one) = fast.filter(|one| one.pending() < SHARED_DEPTH) {
            return Placement::Existing(Rc::clone(one));
        }
        let useful = self.all.iter().filter(|one| one.accepts_queries(self.now) && !is_silent(one)).count();
        if useful < MAX_USEFUL && self.all.len() < MAX_CONNECTIONS && self.dials() < MAX_DIALS {
            return Placement::New;
        }
        let not_silent = || least_pending(self.with_capacity().filter(|one| !is_silent(one)));
        let any = || least_pending(self.with_capacity());
        existing_or_queue(fast.or_else(not_silent).or_else(any))
    }

    /// For a hedge or retry: on a connection that has carried nothing yet.
    fn place_fresh(&self) -> Placement {
        let young = least_pending(self.with_capacity().filter(|one| one.is_younger_than(YOUNG, self.now)));
        if let Some(one) = young.filter(|one| one.pending() < SHARED_DEPTH) {
            return Placement::Existing(Rc::clone(one));
        }
        if self.dials() >= MAX_FRESH_DIALS {
            return existing_or_queue(young);
        }
        if self.all.len() < MAX_CONNECTIONS {
            return Placement::New;
        }
        let is_fast =
            |one: &&Rc<UpstreamConnection>| !one.is_dialling() && !one.waits_longer_than(SLOW, self.now);
        if let Some(one) = least_pending(self.with_capacity().filter(is_fast)) {
            return Placement::Existing(Rc::clone(one));
        }
        let silent = self.all.iter().filter_map(|one| Some((one.silent_since(self.now)?, one)));
        let longest = silent.min_by_key(|(since, _)| *since);
        let longest = longest.filter(|(since, _)| self.now.saturating_duration_since(*since) > REPLACEABLE);
        longest.map_or(Placement::Queue, |(_, one)| Placement::Replace(Rc::clone(one)))
    }

    fn with_capacity(&self) -> impl Iterator<Item = &'a Rc<UpstreamConnection>> {
        self.all.iter().filter(|one| one.accepts_queries(self.now) && one.pending() < DEPTH)
    }

    /// Connections being dialled that may still be established.
    fn dials(&self) -> usize {
        self.all.iter().filter(|one| one.is_dialling() && one.silent_since(self.now).is_none()).count()
    }
}

fn existing_or_queue(connection: Option<&Rc<UpstreamConnection>>) -> Placement {
    connection.map_or(Placement::Queue, |one| Placement::Existing(Rc::clone(one)))
}

fn least_pending<'a>(
    connections: impl Iterator<Item = &'a Rc<UpstreamConnection>>,
) -> Option<&'a Rc<UpstreamConnection>> {
    connections.min_by_key(|one| one.pending())
}

#[cfg(test)]
mod tests {
    use resolver::action::{AttemptId, SendQuery, Transport};
    use resolver::policy::UpstreamId;

    use super::super::connection::ConnectionLimits;
    use super::*;
    use crate::clock;

    /// Connections that are never dialled, in virtual time.
    struct Fixture {
        all: Vec<Rc<UpstreamConnection>>,
        sent: u16,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Self { all: Vec::new(), sent: 0, start: clock::now() }
        }

        /// Places a query `elapsed` after the start; returns the index of its connection.
        fn send(&mut self, elapsed: Duration, fresh: bool) -> Option<usize> {
            let now = self.start + elapsed;
            let connections = Connections { all: &self.all, now };
            let placement = connections.place(fresh);
            let later = now + Duration::from_secs(60);
            let new = || {
                let idle_timeout = later - now;
                let limits = ConnectionLimits { dial_deadline: later, retire_at: later, idle_timeout };
                Rc::new(UpstreamConnection::new(now, limits))
            };
            let index = match placement {
                Placement::Existing(one) => self.all.iter().position(|known| Rc::ptr_eq(known, &one))?,
                Placement::New => {
                    self.all.push(new());
                    self.all.len() - 1
                }
                Placement::Replace(silent) => {
                    let index = self.all.iter().position(|known| Rc::ptr_eq(known, &silent))?;
                    self.all[index] = new();
                    index
                }
                Placement::Queue => return None,
            };
            self.sent += 1;
            let query = SendQuery {
                attempt: AttemptId(self.sent.into()),
                upstream: UpstreamId(0),
                transport: Transport::Tcp,
                fresh,
                until: later,
                message: (0, 0),
            };
            let [high, low] = self.sent.to_be_bytes();
            self.all[index].send(now, &query, &[high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            Some(index)
        }

        fn establish(&self) {
            self.all.iter().for_each(|one| one.established());
        }

        /// All useful connections are established, at their shared depth.
        fn busy() -> Self {
            let mut fixture = Self::new();
            while fixture.all.len() < MAX_USEFUL {
                fixture.send(Duration::ZERO, false).unwrap();
                fixture.establish();
            }
            fixture.send(Duration::ZERO, false).unwrap();
            fixture
        }
    }

    #[test]
    fn a_pair_shares_a_connection_and_a_burst_is_spread() {
        let mut fixture = Fixture::new();
        let mut indices = Vec::new();
        for _ in 0..8 {
            indices.push(fixture.send(Duration::ZERO, false).unwrap());
        }
        assert_eq!(indices, [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn dials_are_limited_and_queries_wait_for_them() {
        let mut fixture = Fixture::new();
        let placed = (0..100).filter(|_| fixture.send(Duration::ZERO, false).is_some()).count();
        assert_eq!((fixture.all.len(), placed), (MAX_DIALS, MAX_DIALS * DEPTH));
        let placed = (0..100).filter(|_| fixture.send(Duration::from_millis(1), true).is_some()).count();
        assert!(fixture.all.len() <= MAX_FRESH_DIALS, "{}", fixture.all.len());
        assert_eq!(placed, (fixture.all.len() - MAX_DIALS) * DEPTH);
    }

    #[test]
    fn a_fresh_query_avoids_the_connection_that_was_too_slow() {
        let mut fixture = Fixture::new();
        fixture.send(Duration::ZERO, false).unwrap();
        assert_eq!(fixture.send(Duration::from_millis(20), true), Some(1), "that dial hangs");
        let mut fixture = Fixture::busy();
        let known = fixture.all.len();
        assert_eq!(fixture.send(Duration::from_millis(20), true), Some(known), "above the useful number");
    }

    /// The maximum number of connections, all established and silent.
    fn all_silent() -> Fixture {
        let mut fixture = Fixture::busy();
        while fixture.all.len() < MAX_CONNECTIONS {
            fixture.send(Duration::from_millis(500), true).unwrap();
            fixture.establish();
        }
        fixture
    }

    #[test]
    fn a_silent_connection_is_replaced_for_a_fresh_query() {
        let mut fixture = all_silent();
        let early = Duration::from_millis(1500);
        assert_eq!(fixture.send(early, true), None, "its queries may still get their responses");
        let late = Duration::from_secs(3);
        let index = fixture.send(late, true).unwrap();
        assert!(fixture.all[index].is_younger_than(YOUNG, fixture.start + late), "a new one");
        assert_eq!(fixture.all.len(), MAX_CONNECTIONS);
    }

    #[test]
    fn at_the_limit_a_fresh_query_goes_to_a_connection_that_responds() {
        let mut fixture = all_silent();
        let attempt = AttemptId(fixture.sent.into());
        let last = fixture.all.last().unwrap();
        let [high, low] = fixture.sent.to_be_bytes();
        let response = [high, low, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        last.deliver(&response, |delivered| assert_eq!(delivered, attempt));
        assert_eq!(fixture.send(Duration::from_millis(600), true), Some(MAX_CONNECTIONS - 1));
    }

    #[test]
    fn a_silent_connection_gets_nothing_while_another_can_be_had() {
        let mut fixture = Fixture::busy();
        let known = fixture.all.len();
        let late = Duration::from_secs(2);
        let indices: Vec<usize> = (0..4).map(|_| fixture.send(late, false).unwrap()).collect();
        assert_eq!(indices, [known, known, known + 1, known + 1]);
    }

    #[test]
    fn a_slow_connection_gets_nothing_while_another_can_be_had() {
        let mut fixture = Fixture::new();
        fixture.send(Duration::ZERO, false).unwrap();
        fixture.establish();
        assert_eq!(fixture.send(Duration::from_millis(40), false), Some(1));
    }

    #[test]
    fn a_connection_outrun_by_a_hedge_or_quarantined_gets_no_more_queries() {
        let mut fixture = Fixture::new();
        fixture.send(Duration::ZERO, false).unwrap();
        fixture.establish();
        let hedged_at = fixture.start + Duration::from_millis(200);
        fixture.all[0].outrun_by_hedge(fixture.start + Duration::from_millis(20), SLOW);
        assert!(fixture.all[0].accepts_queries(hedged_at), "not silent for long when the hedge was sent");
        fixture.all[0].outrun_by_hedge(hedged_at, SLOW);
        assert!(!fixture.all[0].accepts_queries(hedged_at));
        assert!(fixture.all[0].close_due(hedged_at).is_none(), "a query is pending");
        fixture.send(Duration::ZERO, false).unwrap();
        fixture.all[1].quarantine(AttemptId(2));
        assert!(!fixture.all[1].accepts_queries(fixture.start));
        assert!(fixture.all[1].close_due(fixture.start).is_none(), "a query is pending");
        fixture.all[1].cancel(AttemptId(2));
        assert!(fixture.all[1].close_due(fixture.start).is_some());
    }
}
