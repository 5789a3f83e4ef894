//! Placement of queries on connections in virtual time.

use super::super::connection::ConnectionLimits;
use super::super::pending::PendingQuery;
use super::*;
use crate::action::UpstreamConnectionId;
use crate::policy::UpstreamId;
use crate::timers::AttemptId;

const LATER: Duration = Duration::from_secs(60);

/// Connections in virtual time.
struct Fixture {
    all: Vec<Connection>,
    sent: u16,
    start: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self { all: Vec::new(), sent: 0, start: testkit::clock::now() }
    }

    /// All useful connections are established, at their shared depth.
    fn busy() -> Self {
        let mut fixture = Self::new();
        while fixture.all.len() < MAX_USEFUL {
            fixture.send(0, ConnectionUse::Shared).unwrap();
            fixture.establish();
        }
        fixture.send(0, ConnectionUse::Shared).unwrap();
        fixture
    }

    /// The maximum number of connections, all established and silent.
    fn all_silent() -> Self {
        let mut fixture = Self::busy();
        while fixture.all.len() < MAX_SHARED {
            fixture.send(500, ConnectionUse::Fresh).unwrap();
            fixture.establish();
        }
        fixture
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    /// Places a query; returns the index of its connection, none for the queue.
    fn send(&mut self, milliseconds: u64, usage: ConnectionUse) -> Option<usize> {
        let now = self.at(milliseconds);
        let index = match (Streams { all: &self.all, now }).place(usage) {
            Placement::Existing(index) => index,
            Placement::New => {
                self.all.push(self.dial(now, usage));
                self.all.len() - 1
            }
            Placement::Replace(index) => {
                self.all[index] = self.dial(now, usage);
                index
            }
            Placement::Queue => return None,
        };
        self.sent += 1;
        let query = PendingQuery { attempt: Some(AttemptId(self.sent.into())), sent_at: now, usage };
        self.all[index].send(now, self.sent, query);
        Some(index)
    }

    fn dial(&self, now: Instant, usage: ConnectionUse) -> Connection {
        let id = UpstreamConnectionId { upstream: UpstreamId(0), number: self.sent.into() };
        let retire_at = self.start + LATER;
        let limits = ConnectionLimits { retire_at, idle_until: retire_at, max_queries: u32::MAX };
        let mut connection = Connection::new(now, id, Transport::Tcp, limits);
        connection.is_dedicated = usage == ConnectionUse::Dedicated;
        connection
    }

    fn establish(&mut self) {
        let start = self.start;
        self.all.iter_mut().filter(|one| one.is_dialling()).for_each(|one| one.established(start));
    }

    /// A response arrives to the query that was sent last.
    fn respond_to_last(&mut self, index: usize, milliseconds: u64) {
        let (now, id) = (self.at(milliseconds), self.sent);
        self.all[index].received(now);
        self.all[index].responded(now, id);
    }
}

#[test]
fn a_pair_shares_a_connection_and_a_burst_is_spread() {
    let mut fixture = Fixture::new();
    let indices = [(); 8].map(|()| fixture.send(0, ConnectionUse::Shared).unwrap());
    assert_eq!(indices, [0, 0, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn dials_and_their_depth_are_limited() {
    let mut fixture = Fixture::new();
    let placed = (0..100).filter(|_| fixture.send(0, ConnectionUse::Shared).is_some()).count();
    assert_eq!((fixture.all.len(), placed), (MAX_DIALS, MAX_DIALS * DEPTH));
    let placed = (0..100).filter(|_| fixture.send(1, ConnectionUse::Fresh).is_some()).count();
    assert_eq!(fixture.all.len(), MAX_FRESH_DIALS);
    assert_eq!(placed, (MAX_FRESH_DIALS - MAX_DIALS) * DEPTH);
}

#[test]
fn useful_connections_and_their_depth_are_limited() {
    let mut fixture = Fixture::busy();
    let placed = (0..200).filter(|_| fixture.send(0, ConnectionUse::Shared).is_some()).count();
    assert_eq!(fixture.all.len(), MAX_USEFUL);
    assert_eq!(placed, MAX_USEFUL * (DEPTH - SHARED_DEPTH));
}

#[test]
fn a_query_goes_to_the_connection_with_the_fewest_pending() {
    let mut fixture = Fixture::busy();
    fixture.respond_to_last(MAX_USEFUL - 1, 1);
    assert_eq!(fixture.send(1, ConnectionUse::Shared), Some(MAX_USEFUL - 1));
}

#[test]
fn a_fresh_query_avoids_the_connection_that_was_too_slow() {
    let mut fixture = Fixture::new();
    fixture.send(0, ConnectionUse::Shared).unwrap();
    assert_eq!(fixture.send(20, ConnectionUse::Fresh), Some(1), "that dial hangs");
    let mut fixture = Fixture::busy();
    let known = fixture.all.len();
    assert_eq!(fixture.send(20, ConnectionUse::Fresh), Some(known), "above the useful number");
}

#[test]
fn a_silent_connection_is_replaced_for_a_fresh_query() {
    let mut fixture = Fixture::all_silent();
    assert_eq!(fixture.send(1500, ConnectionUse::Fresh), None, "its queries may still get their responses");
    let index = fixture.send(3000, ConnectionUse::Fresh).unwrap();
    assert!(fixture.all[index].is_younger_than(YOUNG, fixture.at(3000)), "a new one");
    assert_eq!(fixture.all.len(), MAX_SHARED);
}

#[test]
fn at_the_limit_a_fresh_query_goes_to_a_connection_that_responds() {
    let mut fixture = Fixture::all_silent();
    let last = MAX_SHARED - 1;
    fixture.respond_to_last(last, 550);
    assert_eq!(fixture.send(600, ConnectionUse::Fresh), Some(last));
}

#[test]
fn beside_connections_that_respond_a_fresh_query_opens_no_further_one() {
    let mut fixture = Fixture::busy();
    let known = fixture.all.len();
    for index in 0..known {
        fixture.respond_to_last(index, 100);
    }
    assert_eq!(fixture.send(120, ConnectionUse::Fresh).filter(|index| *index >= known), None);
    assert_eq!(fixture.send(400, ConnectionUse::Fresh), Some(known), "none has responded for long");
}

#[test]
fn a_fresh_query_waits_where_another_is_sent() {
    let mut fixture = Fixture::all_silent();
    while fixture.send(510, ConnectionUse::Shared).is_some() {}
    assert_eq!(fixture.send(600, ConnectionUse::Fresh), None, "all are at their maximum depth");
    let last = fixture.all.iter().position(|one| one.pending().get(fixture.sent).is_some()).unwrap();
    fixture.respond_to_last(last, 600);
    assert_eq!(fixture.send(600, ConnectionUse::Fresh), Some(last), "it responds");
    assert_eq!(fixture.send(600, ConnectionUse::Shared), None);
}

#[test]
fn a_silent_connection_gets_nothing_while_another_can_be_had() {
    let mut fixture = Fixture::busy();
    let known = fixture.all.len();
    let indices = [(); 4].map(|()| fixture.send(2000, ConnectionUse::Shared).unwrap());
    assert_eq!(indices, [known, known, known + 1, known + 1]);
}

#[test]
fn a_slow_connection_gets_nothing_while_another_can_be_had() {
    let mut fixture = Fixture::new();
    fixture.send(0, ConnectionUse::Shared).unwrap();
    fixture.establish();
    assert_eq!(fixture.send(40, ConnectionUse::Shared), Some(1));
}

#[test]
fn slow_connections_are_used_when_no_other_can_be_had() {
    let mut fixture = Fixture::busy();
    let index = fixture.send(40, ConnectionUse::Shared).unwrap();
    assert_eq!((index, fixture.all.len()), (0, MAX_USEFUL));
}

#[test]
fn dedicated_connections_are_limited_and_do_not_count_as_shared() {
    let mut fixture = Fixture::new();
    let placed = (0..100).filter(|_| fixture.send(0, ConnectionUse::Dedicated).is_some()).count();
    assert_eq!((fixture.all.len(), placed), (MAX_DEDICATED, MAX_DEDICATED));
    assert_eq!(fixture.send(0, ConnectionUse::Shared), Some(MAX_DEDICATED), "a new connection");
    assert_eq!(fixture.send(0, ConnectionUse::Fresh), Some(MAX_DEDICATED));
}

#[test]
fn the_query_of_a_suspect_connection_goes_to_one_that_has_responded() {
    let mut fixture = Fixture::new();
    fixture.send(0, ConnectionUse::Shared).unwrap();
    fixture.send(40, ConnectionUse::Shared).unwrap();
    fixture.establish();
    assert_eq!(fixture.send(50, ConnectionUse::Proven), Some(1), "none has responded: as any other query");
    fixture.respond_to_last(1, 60);
    assert_eq!(fixture.send(70, ConnectionUse::Proven), Some(1));
    assert_eq!(fixture.send(1500, ConnectionUse::Proven), None, "silent since");
    fixture.all[1].retire();
    assert_eq!(fixture.send(1500, ConnectionUse::Proven), Some(2), "it gets no more queries: a new one");
}

#[test]
fn a_connection_outrun_by_a_hedge_or_quarantined_gets_no_more_queries() {
    let mut fixture = Fixture::new();
    fixture.send(0, ConnectionUse::Shared).unwrap();
    fixture.establish();
    let (early, hedged_at) = (fixture.at(20), fixture.at(200));
    fixture.all[0].outrun_by_hedge(early, SLOW);
    assert!(fixture.all[0].accepts_queries(hedged_at), "not silent for long when the hedge was sent");
    fixture.all[0].outrun_by_hedge(hedged_at, SLOW);
    assert!(!fixture.all[0].accepts_queries(hedged_at));
    assert!(!fixture.all[0].is_done(), "a query is pending");
    assert_eq!(fixture.send(0, ConnectionUse::Shared), Some(1));
    fixture.all[1].quarantine(hedged_at);
    assert!(!fixture.all[1].accepts_queries(hedged_at));
    assert!(!fixture.all[1].is_done(), "a query is pending");
    fixture.all[1].abandon(hedged_at, fixture.sent);
    assert!(fixture.all[1].is_done());
}

#[test]
fn a_connection_with_an_abandoned_query_gets_no_more_queries() {
    let mut fixture = Fixture::new();
    fixture.send(0, ConnectionUse::Shared).unwrap();
    fixture.send(0, ConnectionUse::Shared).unwrap();
    assert!(fixture.all[0].accepts_queries(fixture.start));
    fixture.all[0].abandon(fixture.start, 1);
    assert!(!fixture.all[0].accepts_queries(fixture.start), "a late response would delay theirs");
    assert!(!fixture.all[0].is_done(), "the other query is pending");
}

#[test]
fn a_connection_past_its_age_gets_no_more_queries() {
    let mut fixture = Fixture::new();
    fixture.send(0, ConnectionUse::Shared).unwrap();
    assert!(!fixture.all[0].accepts_queries(fixture.start + LATER));
}
