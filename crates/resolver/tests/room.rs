//! Who leaves the cache when room is wanted: capacities, the budget, and floods of names asked once.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use resolver::action::{Action, Client, Outbox, SendQuery};
use resolver::cache::{Cache, Usage};
use resolver::counters::BlockCounters;
use resolver::policy::{
    Block, BlockId, CacheOptions, Listener, ListenerId, Policy, Route, RouteId, ServeStale, ServeStaleMode,
};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::name::Name;

const HOT: u32 = 1000;

/// A resolver that learns from an upstream that knows every name.
struct Worker {
    resolver: Resolver,
    outbox: Outbox,
    now: Instant,
    /// Seconds that the upstream gives its answers.
    ttl: u32,
    /// Address records that the upstream sends.
    records: usize,
    /// Names asked for once so far.
    asked_once: u32,
}

impl Worker {
    fn new(policy: Arc<Policy>, cache: &Arc<Cache>) -> Self {
        let seat = ResolverConfig { cache: Arc::clone(cache), ..fixture::resolver_config(policy) };
        let (outbox, now) = (Outbox::default(), testkit::clock::now());
        Self { resolver: Resolver::new(seat), outbox, now, ttl: 3600, records: 1, asked_once: 0 }
    }

    /// Asks for the address of a name; true when that was a hit. A miss is answered.
    fn ask(&mut self, name: &str) -> bool {
        self.outbox.clear();
        self.resolver.on_query(self.now, client(), &query(name), &mut self.outbox);
        match self.outbox.actions[..] {
            [Action::Respond(_)] => true,
            [Action::SendQuery(SendQuery { attempt, message, .. })] => {
                let response = self.response(self.outbox.octets(message));
                self.outbox.clear();
                self.resolver.on_response(self.now, attempt, &response, &mut self.outbox);
                false
            }
            _ => panic!("an answer or a question: {:?}", self.outbox.actions),
        }
    }

    /// The answer to `asked`, which ends with an OPT of 11 octets.
    fn response(&self, asked: &[u8]) -> Vec<u8> {
        let mut packet = asked[..asked.len() - 11].to_vec();
        packet[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
        packet[6..8].copy_from_slice(&u16::try_from(self.records).unwrap().to_be_bytes());
        for number in 0..self.records {
            packet.extend(*b"\xc0\x0c\0\x01\0\x01");
            packet.extend(self.ttl.to_be_bytes());
            packet.extend([0, 4, 10, 233]);
            packet.extend(u16::try_from(number).unwrap().to_be_bytes());
        }
        packet
    }

    /// Which of these names are answered from what all workers share, this one's own copies aside.
    fn kept<'n>(&mut self, policy: &Arc<Policy>, names: &[&'n str]) -> Vec<&'n str> {
        self.resolver.set_policy(Arc::clone(policy), &mut Outbox::default());
        names.iter().copied().filter(|name| self.knows(name)).collect()
    }

    fn knows(&mut self, name: &str) -> bool {
        self.outbox.clear();
        self.resolver.on_query(self.now, client(), &query(name), &mut self.outbox);
        matches!(self.outbox.actions[..], [Action::Respond(_)])
    }

    /// The part of the hot names' queries that were hits, while `crowd` names are asked once each, `each` of them
    /// between two hot ones.
    fn flood(&mut self, crowd: u32, each: u32) -> f64 {
        for number in 0..HOT {
            self.ask(&hot(number));
        }
        let mut hits = 0;
        let turns = crowd / each;
        for turn in 0..turns {
            for _ in 0..each {
                self.ask(&format!("n{}.once.example", self.asked_once));
                self.asked_once += 1;
            }
            hits += u32::from(self.ask(&hot(turn % HOT)));
            self.now += Duration::from_micros(100);
        }
        f64::from(hits) / f64::from(turns)
    }
}

fn client() -> Client {
    let peer = SocketAddr::from(([10, 233, 64, 5], 40_000));
    Client { listener: ListenerId(0), peer, local: None, connection: None }
}

fn hot(number: u32) -> String {
    format!("service-{number:05}.default.svc.cluster.local")
}

fn query(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(Name::parse(name).unwrap().as_wire());
    packet.extend([0, 1, 0, 1]);
    packet
}

/// The root, with so many places in each store.
fn policy(capacity: u32, usage: &Arc<Usage>) -> Arc<Policy> {
    fixture::policy(Block { cache: Some(cache(capacity)), usage: Arc::clone(usage), ..fixture::block() })
}

fn cache(capacity: u32) -> CacheOptions {
    let mut policy = fixture::cache();
    (policy.success.capacity, policy.denial.capacity) = (capacity, capacity);
    policy
}

/// As much as no test here fills.
fn ample() -> Arc<Cache> {
    Arc::new(Cache::new(64 << 20))
}

#[test]
fn hot_names_stay_while_a_hundred_thousand_are_asked_once() {
    let usage = Arc::default();
    let mut worker = Worker::new(policy(9984, &usage), &ample());
    let ratio = worker.flood(100_000, 1);
    assert!(ratio >= 0.99, "hot names were hits {ratio} of the time");
    assert_eq!(usage.success(), 9984);
    assert_eq!(usage.success_evictions(), 101_000 - 9984);
}

#[test]
fn hot_names_stay_where_octets_are_what_is_scarce() {
    let usage = Arc::default();
    let cache = Arc::new(Cache::new(2 << 20));
    let mut worker = Worker::new(policy(1_000_000, &usage), &cache);
    let ratio = worker.flood(30_000, 1);
    assert!(ratio >= 0.99, "hot names were hits {ratio} of the time");
    assert!(cache.weight() <= 2 << 20, "{} octets", cache.weight());
    assert!(cache.weight() > 1_850_000, "{} octets", cache.weight());
}

/// Ten names asked once for each question for one of a thousand hot ones: in between, each hot name sees as many new
/// names as the store has places.
#[test]
fn hot_names_come_back_to_stay_in_a_faster_flood() {
    let usage = Arc::default();
    let mut worker = Worker::new(policy(4096, &usage), &ample());
    worker.flood(30_000, 10);
    let ratio = worker.flood(30_000, 10);
    assert!(ratio >= 0.99, "hot names were hits {ratio} of the time");
}

#[test]
fn capacity_holds_under_parallel_insertions() {
    let (usage, cache) = (Arc::default(), ample());
    thread::scope(|scope| {
        for worker in 0..4_u32 {
            let (usage, cache) = (&usage, &cache);
            scope.spawn(move || {
                let mut resolver = Worker::new(policy(1024, usage), cache);
                for number in 0..5000 {
                    // Every second name is asked for by all.
                    let owner = if number % 2 == 0 { 9 } else { worker };
                    resolver.ask(&format!("n{number}.w{owner}.example"));
                }
            });
        }
    });
    assert_eq!((usage.success(), usage.denial()), (1024, 0));
}

#[test]
fn a_newer_answer_for_a_name_makes_nobody_leave() {
    let usage = Arc::default();
    let policy = policy(3, &usage);
    let mut worker = Worker::new(Arc::clone(&policy), &ample());
    for (name, ttl) in [("a", 5), ("b", 60), ("c", 60)] {
        worker.ttl = ttl;
        assert!(!worker.ask(name));
    }
    worker.now += Duration::from_secs(6);
    assert!(!worker.ask("a"));
    assert_eq!(worker.kept(&policy, &["a", "b", "c"]), ["a", "b", "c"]);
    assert_eq!((usage.success(), usage.success_evictions()), (3, 0));
}

#[test]
fn who_has_ended_leaves_first() {
    let usage = Arc::default();
    let policy = policy(3, &usage);
    let mut worker = Worker::new(Arc::clone(&policy), &ample());
    for (name, ttl) in [("a", 5), ("b", 60), ("c", 60)] {
        worker.ttl = ttl;
        worker.ask(name);
    }
    worker.now += Duration::from_secs(6);
    worker.ask("d");
    assert_eq!(worker.kept(&policy, &["a", "b", "c", "d"]), ["b", "c", "d"]);
    assert_eq!((usage.success(), usage.success_evictions()), (3, 0));
}

#[test]
fn who_may_be_told_stale_has_not_ended() {
    let usage = Arc::default();
    let mut stale = cache(100);
    let (window, ttl, recheck) = (Duration::from_secs(10), 0, Duration::ZERO);
    stale.serve_stale = Some(ServeStale {
        duration: window,
        mode: ServeStaleMode::Immediate,
        ttl,
        failure_recheck: recheck,
        prefer_positive: false,
    });
    let block = Block { cache: Some(stale), usage: Arc::clone(&usage), ..fixture::block() };
    let mut worker = Worker::new(fixture::policy(block), &ample());
    worker.ttl = 5;
    worker.ask("a");
    worker.now += Duration::from_secs(6);
    worker.ask("b");
    assert_eq!(usage.success(), 2);
    worker.now += Duration::from_secs(10);
    for name in ["c", "d"] {
        worker.ask(name);
    }
    assert_eq!((usage.success(), usage.success_evictions()), (3, 0));
}

#[test]
fn who_is_asked_for_again_outlives_who_is_not() {
    let usage = Arc::default();
    let policy = policy(3, &usage);
    let mut worker = Worker::new(Arc::clone(&policy), &ample());
    for name in ["a", "b", "c", "a", "d"] {
        worker.ask(name);
    }
    assert_eq!(worker.kept(&policy, &["a", "b", "c", "d"]), ["a", "c", "d"]);
    assert_eq!(usage.success_evictions(), 1);
}

#[test]
fn a_smaller_capacity_is_reached_with_the_next_insertions() {
    let (usage, cache) = (Arc::default(), ample());
    let mut worker = Worker::new(policy(4096, &usage), &cache);
    for number in 0..4096 {
        worker.ask(&format!("n{number}.example"));
    }
    assert_eq!(usage.success(), 4096);
    worker.resolver.set_policy(policy(1024, &usage), &mut Outbox::default());
    for number in 0..100 {
        worker.ask(&format!("n{number}.other.example"));
    }
    assert_eq!(usage.success(), 1024);
}

#[test]
fn an_answer_too_big_is_passed_on_and_counted() {
    let counters: Arc<BlockCounters> = Arc::default();
    let policy = fixture::policy(Block { counters: Arc::clone(&counters), ..fixture::block() });
    let cache = Arc::new(Cache::new(1 << 20));
    let mut worker = Worker::new(policy, &cache);
    worker.records = 700;
    assert!(!worker.ask("small.example"));
    assert!(worker.ask("small.example"));
    worker.records = 1100;
    assert!(!worker.ask("big.example"));
    assert!(!worker.ask("big.example"));
    assert_eq!(counters.cache_oversized.get(), 2);
}

/// Two blocks: `quiet.` and the root.
fn two_blocks(quiet: &Arc<Usage>, root: &Arc<Usage>) -> Arc<Policy> {
    let route = |number: u16, zone: Name, usage: &Arc<Usage>| {
        let (id, cache) = (BlockId(number), Some(cache(1_000_000)));
        let block = Arc::new(Block { id, cache, usage: Arc::clone(usage), ..fixture::block() });
        Arc::new(Route { id: RouteId(number), zone, block, counters: None, loop_detector: None })
    };
    let routes = vec![route(0, Name::parse("quiet").unwrap(), quiet), route(1, Name::root(), root)];
    let listener = Listener::new(routes, Arc::default(), RouteId(2));
    Arc::new(Policy { listeners: vec![Some(listener)] })
}

#[test]
fn a_flood_in_one_block_does_not_empty_another() {
    let (quiet, root) = (Arc::default(), Arc::default());
    let cache = Arc::new(Cache::new(2 << 20));
    let mut worker = Worker::new(two_blocks(&quiet, &root), &cache);
    for number in 0..500 {
        worker.ask(&format!("n{number}.quiet"));
    }
    for number in 0..20_000 {
        worker.ask(&format!("n{number}.once.example"));
    }
    assert_eq!((quiet.success(), quiet.success_evictions()), (500, 0));
    assert!(root.success_evictions() > 15_000, "{} left", root.success_evictions());
}
