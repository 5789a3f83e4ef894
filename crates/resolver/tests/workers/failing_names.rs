//! Names beside others for which the upstream breaks connections or sends mismatches, in virtual
//! time: they are all answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use resolver::action::UpstreamConnectionId;
use resolver::policy::TransportPreference;
use testkit::fixture;

use crate::exchange::{SentQuery, response};
use crate::worker::{Worker, policy};

/// Time until the upstream responds to the names of each kind.
const SLOW: Duration = Duration::from_secs(1);
const PROMPT: Duration = Duration::from_millis(5);
/// Time for which the loops run.
const RUN_TIME: Duration = Duration::from_secs(5);

/// What the upstream does with a failing name.
#[derive(Clone, Copy, Debug)]
enum Reaction {
    Reset,
    ElevenOctets,
    WrongId,
    Garbage,
    Truncated,
}

/// An upstream that responds to `slow-*` and `fast-*` and fails `bad-*`, and the clients' loops.
struct Simulation {
    worker: Worker,
    reaction: Reaction,
    over_udp: bool,
    start: Instant,
    /// What the upstream will do, by time.
    events: BTreeMap<(Instant, usize), SentQuery>,
    sequence: usize,
    closed: BTreeSet<UpstreamConnectionId>,
    /// Responses other than answers to slow and fast names.
    failed: Vec<String>,
    answered: usize,
}

impl Simulation {
    fn new(reaction: Reaction, transport: TransportPreference) -> Self {
        let mut forward = fixture::forward(fixture::upstream());
        forward.options.transport = transport;
        let worker = Worker::with(fixture::resolver_config(policy(&forward)));
        Self {
            reaction,
            over_udp: transport == TransportPreference::PreferUdp,
            start: worker.now,
            worker,
            events: BTreeMap::new(),
            sequence: 0,
            closed: BTreeSet::new(),
            failed: Vec::new(),
            answered: 0,
        }
    }

    fn run(&mut self) {
        for (kind, loops) in [("bad", 10), ("slow", 10), ("fast", 3)] {
            for _ in 0..loops {
                self.query(kind);
            }
        }
        while self.worker.now < self.start + RUN_TIME {
            let next = self.events.keys().next().map_or(self.start + RUN_TIME, |(at, _)| *at);
            if self.worker.advance_to_timer(next) {
                self.collect();
            } else if let Some((_, sent)) = self.events.pop_first() {
                self.react(&sent);
            }
        }
    }

    fn query(&mut self, kind: &str) {
        self.sequence += 1;
        self.worker.query(&format!("{kind}-{}.example.test", self.sequence));
        self.collect();
    }

    /// Schedules what the upstream does with the queries sent, and lets clients go on that have a
    /// response.
    fn collect(&mut self) {
        self.closed.extend(self.worker.actions.closed.drain(..));
        for sent in std::mem::take(&mut self.worker.actions.queries) {
            let delay = if sent.1.windows(5).any(|octets| octets == b"slow-") { SLOW } else { PROMPT };
            self.sequence += 1;
            self.events.insert((self.worker.now + delay, self.sequence), sent);
        }
        for answer in std::mem::take(&mut self.worker.actions.responses) {
            let kind = ["bad", "slow", "fast"].into_iter().find(|kind| answer.contains(&format!("{kind}-")));
            let kind = kind.expect("a question");
            if answer.contains("192.0.2.7") {
                self.answered += 1;
            } else if kind != "bad" {
                self.failed.push(format!("{:?} {answer}", self.worker.now - self.start));
            }
            // A client's next name follows after its stub resolver has taken the response.
            self.query_later(kind);
        }
    }

    fn query_later(&mut self, kind: &str) {
        self.worker.now += Duration::from_micros(100);
        self.query(kind);
    }

    fn react(&mut self, sent: &SentQuery) {
        let connection = sent.0.connection;
        if self.closed.contains(&connection) {
            return;
        }
        let is_bad = sent.1.windows(4).any(|octets| octets == b"bad-");
        let is_health_check = sent.1.get(12) == Some(&0);
        let good = ["192.0.2.7"];
        let answer = |words: &[&str]| response(&sent.1, words);
        let name = String::from_utf8_lossy(&sent.1[13..13 + usize::from(sent.1[12])]).into_owned();
        let address = [format!("{name}.example.test"), "30".into(), "A".into(), good[0].into()];
        let address = address.each_ref().map(String::as_str);
        match self.reaction {
            _ if is_health_check => self.worker.deliver(&sent.0, &answer(&["NXDOMAIN"])),
            _ if !is_bad => self.worker.deliver(&sent.0, &answer(&address)),
            Reaction::Reset if self.over_udp => {}
            Reaction::Reset => {
                self.closed.insert(connection);
                self.worker.reset(sent);
            }
            Reaction::ElevenOctets => self.worker.deliver(&sent.0, &answer(&["NXDOMAIN"])[..11]),
            Reaction::WrongId => {
                let mut wrong = answer(&address);
                wrong[1] = wrong[1].wrapping_add(1);
                self.worker.deliver(&sent.0, &wrong);
            }
            Reaction::Garbage => self.worker.deliver(&sent.0, &[0xff; 40]),
            Reaction::Truncated => self.worker.deliver(&sent.0, &answer(&["tc", "NOERROR"])),
        }
        self.collect();
    }
}

fn assert_others_are_answered(transport: TransportPreference) {
    use Reaction::{ElevenOctets, Garbage, Reset, Truncated, WrongId};
    for reaction in [Reset, ElevenOctets, WrongId, Garbage, Truncated] {
        let mut simulation = Simulation::new(reaction, transport);
        simulation.run();
        assert!(simulation.failed.is_empty(), "{reaction:?}, {transport:?}: {:#?}", simulation.failed);
        assert!(simulation.answered > 50, "{reaction:?}, {transport:?}: {}", simulation.answered);
    }
}

#[test]
fn names_beside_failing_ones_over_tcp_are_answered() {
    assert_others_are_answered(TransportPreference::ForceTcp);
}

#[test]
fn names_beside_failing_ones_over_udp_are_answered() {
    assert_others_are_answered(TransportPreference::PreferUdp);
}
