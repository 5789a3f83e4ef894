//! Names that the upstream answers at once with names for which it breaks connections, sends
//! mismatches or nothing, in virtual time and at random: the former are answered, however late the
//! upstream is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use resolver::action::{Transport, UpstreamConnectionId};
use resolver::policy::{Forward, TransportPreference, Upstream, UpstreamId};
use testkit::fixture;

use crate::exchange::{SentQuery, response};
use crate::worker::{Worker, policy};

/// Kinds of names that the upstream answers, at once, after 20 ms, and in parts for 300 ms.
const ANSWERED: [&str; 3] = ["prompt", "slow", "drip"];

/// Kinds that it does not answer.
const FAILING: [&str; 7] = ["wrongid", "wrongq", "garbage", "eleven", "reset", "fin", "silent"];

/// Names of each kind.
const ROUNDS: usize = 10;

/// Time within which each name has a response.
const RUN_TIME: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug)]
struct Conditions {
    seed: u64,
    transport: TransportPreference,
    upstreams: u16,
    /// The upstream responds to the queries of a stream one by one.
    in_order: bool,
    /// By how much it and the network may be late, and how often, in milliseconds and per cent.
    max_delay: u64,
    late: u32,
    /// Time over which the names are queried, in milliseconds.
    spread: u64,
    /// How often octets are taken for lost, in per cent of the connections.
    unacknowledged: u32,
}

enum Event {
    Query(String),
    Established(UpstreamConnectionId),
    Partial(UpstreamConnectionId),
    Unacknowledged(UpstreamConnectionId),
    Respond(SentQuery),
}

struct Simulation {
    worker: Worker,
    random: StdRng,
    conditions: Conditions,
    start: Instant,
    events: BTreeMap<(Instant, usize), Event>,
    scheduled: usize,
    /// Streams, and when the upstream is done with the earlier queries on each.
    streams: BTreeMap<UpstreamConnectionId, Instant>,
    closed: BTreeSet<UpstreamConnectionId>,
    responses: Vec<String>,
}

impl Simulation {
    fn new(conditions: Conditions) -> Self {
        let upstreams = (0..conditions.upstreams)
            .map(|number| Upstream { id: UpstreamId(number), ..fixture::upstream() });
        let mut forward = Forward { upstreams: upstreams.collect(), ..fixture::forward(fixture::upstream()) };
        forward.options.transport = conditions.transport;
        let worker = Worker::with(fixture::resolver_config(policy(&forward)));
        Self {
            start: worker.now,
            worker,
            random: StdRng::seed_from_u64(conditions.seed),
            conditions,
            events: BTreeMap::new(),
            scheduled: 0,
            streams: BTreeMap::new(),
            closed: BTreeSet::new(),
            responses: Vec::new(),
        }
    }

    fn run(&mut self) {
        let mut names: Vec<String> = names_of(&ANSWERED).chain(names_of(&FAILING)).collect();
        names.shuffle(&mut self.random);
        for name in names {
            let after = self.random.random_range(0..=self.conditions.spread);
            self.schedule(self.start + Duration::from_millis(after), Event::Query(name));
        }
        let end = self.start + RUN_TIME;
        while self.worker.now < end {
            let next = self.events.keys().next().map_or(end, |(at, _)| *at);
            if self.worker.advance_to_timer(next) {
                self.collect();
            } else if let Some((_, event)) = self.events.pop_first() {
                self.play(event);
            }
        }
    }

    /// Follows the actions of the last call.
    fn collect(&mut self) {
        let actions = std::mem::take(&mut self.worker.actions);
        self.responses.extend(actions.responses);
        for dial in actions.dials.into_iter().filter(|dial| dial.transport == Transport::Tcp) {
            let established_at = self.worker.now + self.delay();
            self.streams.insert(dial.connection, established_at);
            self.schedule(established_at, Event::Established(dial.connection));
            if self.random.random_ratio(self.conditions.unacknowledged, 100) {
                let at = self.worker.now + self.delay() + self.delay();
                self.schedule(at, Event::Unacknowledged(dial.connection));
            }
        }
        for sent in actions.queries {
            self.receive(sent);
        }
        self.closed.extend(actions.closed);
    }

    /// The upstream gets a query.
    fn receive(&mut self, sent: SentQuery) {
        let id = sent.0.connection;
        let service_time = match kind(&sent.1) {
            "slow" => Duration::from_millis(20),
            "drip" => Duration::from_millis(300),
            _ => Duration::ZERO,
        };
        let free_at = self.streams.get(&id).copied();
        let begin = free_at.unwrap_or(self.worker.now).max(self.worker.now) + self.delay();
        if kind(&sent.1) == "drip" && free_at.is_some() {
            self.schedule(begin, Event::Partial(id));
        }
        if free_at.is_some() && self.conditions.in_order {
            self.streams.insert(id, begin + service_time);
        }
        self.schedule(begin + service_time, Event::Respond(sent));
    }

    fn delay(&mut self) -> Duration {
        let is_late = self.random.random_ratio(self.conditions.late, 100);
        let limit = if is_late { self.conditions.max_delay * 1000 } else { 500 };
        Duration::from_micros(self.random.random_range(0..=limit))
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Query(name) => self.worker.query(&name),
            Event::Respond(sent) => self.respond(&sent),
            Event::Established(id) if self.is_open(id) => {
                self.worker.call(|resolver, now, outbox| resolver.on_connected(now, id, outbox));
            }
            Event::Partial(id) if self.is_open(id) => {
                self.worker.call(|resolver, now, outbox| resolver.on_partial_message(now, id, outbox));
            }
            Event::Unacknowledged(id) if self.is_open(id) => {
                self.worker.call(|resolver, now, outbox| resolver.on_unacknowledged(now, id, outbox));
            }
            Event::Established(_) | Event::Partial(_) | Event::Unacknowledged(_) => {}
        }
        self.collect();
    }

    fn respond(&mut self, sent: &SentQuery) {
        let connection = sent.0;
        if !self.is_open(connection.connection) {
            return;
        }
        let is_stream = self.streams.contains_key(&connection.connection);
        let mut query = sent.1.clone();
        let address = |query: &[u8]| response(query, &[&name(query), "30", "A", "192.0.2.7"]);
        match kind(&query) {
            "" => self.worker.deliver(&connection, &response(&query, &["NXDOMAIN"])),
            "wrongid" => {
                query[1] = query[1].wrapping_add(1);
                self.worker.deliver(&connection, &address(&query));
            }
            "wrongq" => {
                query[14] = b'x';
                self.worker.deliver(&connection, &address(&query));
            }
            "garbage" => self.worker.deliver(&connection, &[0xff; 40]),
            "eleven" => self.worker.deliver(&connection, &address(&query)[..11]),
            "reset" | "fin" if is_stream => {
                self.closed.insert(connection.connection);
                self.worker.reset(sent);
            }
            "reset" | "fin" | "silent" => {}
            _ => self.worker.deliver(&connection, &address(&query)),
        }
    }

    fn is_open(&self, id: UpstreamConnectionId) -> bool {
        !self.closed.contains(&id)
    }

    fn has_answer(&self, name: &str) -> bool {
        self.responses.iter().any(|response| response.contains(name) && response.contains("192.0.2.7"))
    }
}

fn names_of(kinds: &'static [&str]) -> impl Iterator<Item = String> {
    kinds.iter().flat_map(|kind| (0..ROUNDS).map(move |round| format!("{kind}-{round}.example.test")))
}

/// The first label of a query up to its `-`; empty for the root, the name of health checks.
fn kind(query: &[u8]) -> &'static str {
    let label = &query[13..13 + usize::from(query[12])];
    let is_kind = |kind: &&&str| label.strip_prefix(kind.as_bytes()).is_some_and(|rest| rest[0] == b'-');
    ANSWERED.iter().chain(&FAILING).find(is_kind).copied().unwrap_or_default()
}

fn name(query: &[u8]) -> String {
    let label = &query[13..13 + usize::from(query[12])];
    format!("{}.example.test", String::from_utf8_lossy(label))
}

fn conditions(transport: TransportPreference) -> impl Strategy<Value = Conditions> {
    let upstream = (1..=2_u16, any::<bool>(), 1..=500_u64, 0..=30_u32);
    let clients = (prop_oneof![Just(0), 0..=2000_u64], prop_oneof![Just(0), 0..=50_u32]);
    (any::<u64>(), upstream, clients).prop_map(move |(seed, upstream, clients)| {
        let (upstreams, in_order, max_delay, late) = upstream;
        let (spread, unacknowledged) = clients;
        Conditions { seed, transport, upstreams, in_order, max_delay, late, spread, unacknowledged }
    })
}

fn assert_answered(conditions: Conditions) {
    let mut simulation = Simulation::new(conditions);
    simulation.run();
    let unanswered: Vec<String> = names_of(&ANSWERED).filter(|name| !simulation.has_answer(name)).collect();
    assert_eq!(unanswered, Vec::<String>::new());
}

/// The upstream takes longer for a name than the sockets on which it is queried are in use beside
/// names with mismatches.
#[test]
fn a_name_whose_sockets_are_replaced_is_answered() {
    assert_answered(Conditions {
        seed: 11_779_881_068_273_031_924,
        transport: TransportPreference::PreferUdp,
        upstreams: 1,
        in_order: false,
        max_delay: 402,
        late: 15,
        spread: 1258,
        unacknowledged: 49,
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_beside_failing_ones_over_tcp_are_answered_at_random(
        conditions in conditions(TransportPreference::ForceTcp),
    ) {
        assert_answered(conditions);
    }

    #[test]
    fn names_beside_failing_ones_over_udp_are_answered_at_random(
        conditions in conditions(TransportPreference::PreferUdp),
    ) {
        assert_answered(conditions);
    }
}
