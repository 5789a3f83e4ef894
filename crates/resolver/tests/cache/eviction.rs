//! Eviction: capacities, the byte budget, and floods of names queried once.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use resolver::action::{Action, Outbox, SendQuery};
use resolver::cache::{Cache, Usage};
use resolver::counters::BlockCounters;
use resolver::policy::{
    Block, BlockId, CacheOptions, Listener, Policy, Route, RouteId, ServeStale, ServeStaleMode,
};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::name::Name;

use crate::message::{Query, UpstreamResponse, client};

/// Names queried again and again.
const HOT_NAMES: u32 = 1000;

/// A worker with an upstream that answers every name.
struct Worker {
    resolver: Resolver,
    outbox: Outbox,
    now: Instant,
    /// TTL of the upstream's answers in seconds.
    ttl: u32,
    /// A records in each of them.
    records: usize,
    /// Names queried once so far.
    one_hit_names: u32,
}

impl Worker {
    fn new(policy: Arc<Policy>, cache: &Arc<Cache>) -> Self {
        let config = ResolverConfig { cache: Arc::clone(cache), ..fixture::resolver_config(policy) };
        let (outbox, now) = (Outbox::default(), testkit::clock::now());
        Self { resolver: Resolver::new(config), outbox, now, ttl: 3600, records: 1, one_hit_names: 0 }
    }

    /// Queries a name; true for a hit. On a miss the upstream responds.
    fn query(&mut self, name: &str) -> bool {
        self.outbox.clear();
        self.resolver.on_query(self.now, client(), &Query::plain(name).packet(), &mut self.outbox);
        match self.outbox.actions[..] {
            [Action::Respond(_)] => true,
            [.., Action::SendQuery(SendQuery { connection, message })] => {
                let response = UpstreamResponse::Addresses(self.records, self.ttl);
                let response = response.packet(self.outbox.octets(message));
                self.outbox.clear();
                self.resolver.on_response(self.now, connection, &response, &mut self.outbox);
                false
            }
            _ => panic!("one response or one upstream query: {:?}", self.outbox.actions),
        }
    }

    /// The names that are in the shared cache, the L1 cache of this worker aside.
    fn cached<'n>(&mut self, policy: &Arc<Policy>, names: &[&'n str]) -> Vec<&'n str> {
        self.resolver.set_policy(self.now, Arc::clone(policy), &mut Outbox::default());
        names.iter().copied().filter(|name| self.is_hit(name)).collect()
    }

    fn is_hit(&mut self, name: &str) -> bool {
        self.outbox.clear();
        self.resolver.on_query(self.now, client(), &Query::plain(name).packet(), &mut self.outbox);
        matches!(self.outbox.actions[..], [Action::Respond(_)])
    }

    /// Hit ratio of the hot names while `total` other names are queried once, `between` of them
    /// between two hot ones.
    fn flood(&mut self, total: u32, between: u32) -> f64 {
        for number in 0..HOT_NAMES {
            self.query(&hot(number));
        }
        let mut hits = 0;
        let turns = total / between;
        for turn in 0..turns {
            for _ in 0..between {
                self.query(&format!("n{}.once.example", self.one_hit_names));
                self.one_hit_names += 1;
            }
            hits += u32::from(self.query(&hot(turn % HOT_NAMES)));
            self.now += Duration::from_micros(100);
        }
        f64::from(hits) / f64::from(turns)
    }
}

fn hot(number: u32) -> String {
    format!("service-{number:05}.default.svc.cluster.local")
}

/// The root zone, with this capacity of each store.
fn policy(capacity: u32, usage: &Arc<Usage>) -> Arc<Policy> {
    fixture::policy(Block { cache: Some(cache(capacity)), usage: Arc::clone(usage), ..fixture::block() })
}

fn cache(capacity: u32) -> CacheOptions {
    let mut options = fixture::cache();
    (options.success.capacity, options.denial.capacity) = (capacity, capacity);
    options
}

/// A budget that no test here reaches.
fn ample_cache() -> Arc<Cache> {
    Arc::new(Cache::new(64 << 20, testkit::clock::now()))
}

#[test]
fn hot_names_survive_a_hundred_thousand_one_hit_names() {
    let usage = Arc::default();
    let mut worker = Worker::new(policy(9984, &usage), &ample_cache());
    let ratio = worker.flood(100_000, 1);
    assert!(ratio >= 0.99, "hit ratio of hot names: {ratio}");
    assert_eq!(usage.success(), 9984);
    assert_eq!(usage.success_evictions(), 101_000 - 9984);
}

#[test]
fn hot_names_survive_at_the_byte_budget() {
    let usage = Arc::default();
    let cache = Arc::new(Cache::new(2 << 20, testkit::clock::now()));
    let mut worker = Worker::new(policy(1_000_000, &usage), &cache);
    let ratio = worker.flood(30_000, 1);
    assert!(ratio >= 0.99, "hit ratio of hot names: {ratio}");
    assert!(cache.weight() <= 2 << 20, "{} octets", cache.weight());
    assert!(cache.weight() > 1_850_000, "{} octets", cache.weight());
}

/// Ten names are queried once per query for one of a thousand hot ones: between two queries for a
/// hot name come more new names than the store holds.
#[test]
fn ghost_hits_keep_hot_names_in_a_faster_flood() {
    let usage = Arc::default();
    let mut worker = Worker::new(policy(4096, &usage), &ample_cache());
    worker.flood(30_000, 10);
    let ratio = worker.flood(30_000, 10);
    assert!(ratio >= 0.99, "hit ratio of hot names: {ratio}");
}

#[test]
fn capacity_holds_under_parallel_insertions() {
    let (usage, cache) = (Arc::default(), ample_cache());
    thread::scope(|scope| {
        for worker in 0..4_u32 {
            let (usage, cache) = (&usage, &cache);
            scope.spawn(move || {
                let mut resolver = Worker::new(policy(1024, usage), cache);
                for number in 0..5000 {
                    // Every second name is queried by all workers.
                    let suffix = if number % 2 == 0 { 9 } else { worker };
                    resolver.query(&format!("n{number}.w{suffix}.example"));
                }
            });
        }
    });
    assert_eq!((usage.success(), usage.denial()), (1024, 0));
}

#[test]
fn replacing_an_entry_evicts_nothing() {
    let usage = Arc::default();
    let policy = policy(3, &usage);
    let mut worker = Worker::new(Arc::clone(&policy), &ample_cache());
    for (name, ttl) in [("a", 5), ("b", 60), ("c", 60)] {
        worker.ttl = ttl;
        assert!(!worker.query(name));
    }
    worker.now += Duration::from_secs(6);
    assert!(!worker.query("a"));
    assert_eq!(worker.cached(&policy, &["a", "b", "c"]), ["a", "b", "c"]);
    assert_eq!((usage.success(), usage.success_evictions()), (3, 0));
}

#[test]
fn expired_entries_are_removed_first() {
    let usage = Arc::default();
    let policy = policy(3, &usage);
    let mut worker = Worker::new(Arc::clone(&policy), &ample_cache());
    for (name, ttl) in [("a", 5), ("b", 60), ("c", 60)] {
        worker.ttl = ttl;
        worker.query(name);
    }
    worker.now += Duration::from_secs(6);
    worker.query("d");
    assert_eq!(worker.cached(&policy, &["a", "b", "c", "d"]), ["b", "c", "d"]);
    assert_eq!((usage.success(), usage.success_evictions()), (3, 0));
}

#[test]
fn stale_entries_are_kept_for_their_window() {
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
    let mut worker = Worker::new(fixture::policy(block), &ample_cache());
    worker.ttl = 5;
    worker.query("a");
    worker.now += Duration::from_secs(6);
    worker.query("b");
    assert_eq!(usage.success(), 2);
    worker.now += Duration::from_secs(10);
    for name in ["c", "d"] {
        worker.query(name);
    }
    assert_eq!((usage.success(), usage.success_evictions()), (3, 0));
}

#[test]
fn expired_entries_are_kept_for_an_outage() {
    let usage = Arc::default();
    let mut worker = Worker::new(policy(100, &usage), &ample_cache());
    worker.ttl = 5;
    worker.query("a");
    worker.ttl = 60;
    worker.now += Duration::from_secs(34);
    worker.query("b");
    assert_eq!(usage.success(), 2);
    worker.now += Duration::from_secs(1);
    for name in ["c", "d"] {
        worker.query(name);
    }
    assert_eq!((usage.success(), usage.success_evictions()), (3, 0));
}

#[test]
fn entries_kept_for_an_outage_make_way_in_a_full_store() {
    let usage = Arc::default();
    let mut worker = Worker::new(policy(100, &usage), &ample_cache());
    for (prefix, ttl) in [("live", 60), ("expired", 5)] {
        worker.ttl = ttl;
        for number in 0..50 {
            worker.query(&format!("{prefix}-{number}.example"));
        }
    }
    worker.now += Duration::from_secs(6);
    worker.ttl = 60;
    for number in 0..50 {
        worker.query(&format!("new-{number}.example"));
    }
    // The sweep passes the live entries first, two per insertion.
    assert!(usage.success_evictions() <= 26, "{} live entries evicted", usage.success_evictions());
}

#[test]
fn visited_entries_outlive_unvisited_ones() {
    let usage = Arc::default();
    let policy = policy(3, &usage);
    let mut worker = Worker::new(Arc::clone(&policy), &ample_cache());
    for name in ["a", "b", "c", "a", "d"] {
        worker.query(name);
    }
    assert_eq!(worker.cached(&policy, &["a", "b", "c", "d"]), ["a", "c", "d"]);
    assert_eq!(usage.success_evictions(), 1);
}

#[test]
fn a_lowered_capacity_is_reached_by_the_next_insertions() {
    let (usage, cache) = (Arc::default(), ample_cache());
    let mut worker = Worker::new(policy(4096, &usage), &cache);
    for number in 0..4096 {
        worker.query(&format!("n{number}.example"));
    }
    assert_eq!(usage.success(), 4096);
    worker.resolver.set_policy(worker.now, policy(1024, &usage), &mut Outbox::default());
    for number in 0..100 {
        worker.query(&format!("n{number}.other.example"));
    }
    assert_eq!(usage.success(), 1024);
}

#[test]
fn an_oversized_answer_is_relayed_and_counted() {
    let counters: Arc<BlockCounters> = Arc::default();
    let policy = fixture::policy(Block { counters: Arc::clone(&counters), ..fixture::block() });
    let cache = Arc::new(Cache::new(1 << 20, testkit::clock::now()));
    let mut worker = Worker::new(policy, &cache);
    worker.records = 700;
    assert!(!worker.query("small.example"));
    assert!(worker.query("small.example"));
    worker.records = 1100;
    assert!(!worker.query("big.example"));
    assert!(!worker.query("big.example"));
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
    let cache = Arc::new(Cache::new(1 << 20, testkit::clock::now()));
    let mut worker = Worker::new(two_blocks(&quiet, &root), &cache);
    for number in 0..500 {
        worker.query(&format!("n{number}.quiet"));
    }
    for number in 0..21_000 {
        worker.query(&format!("n{number}.once.example"));
    }
    assert_eq!((quiet.success(), quiet.success_evictions()), (500, 0));
    assert!(root.success_evictions() > 15_000, "{} evictions", root.success_evictions());
}

#[test]
fn entries_of_other_blocks_are_removed() {
    let (quiet, root): (Arc<Usage>, Arc<Usage>) = (Arc::default(), Arc::default());
    let policy = two_blocks(&quiet, &root);
    let cache = Arc::new(Cache::new(8 << 20, testkit::clock::now()));
    let mut worker = Worker::new(Arc::clone(&policy), &cache);
    for number in 0..1000 {
        worker.query(&format!("n{number}.quiet"));
        worker.query(&format!("n{number}.other"));
    }
    let weight = cache.weight();
    let calls = (0..100).take_while(|_| cache.remove_other_blocks(&[Arc::clone(&root)])).count();
    assert!((4..100).contains(&calls), "{calls} calls");
    assert_eq!((quiet.success(), quiet.success_evictions(), root.success()), (0, 0, 1000));
    assert_eq!(cache.weight(), weight / 2);
    assert_eq!(worker.cached(&policy, &["n7.quiet", "n7.other"]), ["n7.other"]);
    worker.query("n8.quiet");
    assert_eq!(worker.cached(&policy, &["n8.quiet"]), ["n8.quiet"], "its block may be used again");
    assert!(!cache.remove_other_blocks(&[quiet, root]));
}
