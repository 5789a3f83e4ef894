//! What the cache costs in memory: nothing for a hit, and as many octets for an entry as it is weighed with.
#![expect(unsafe_code, reason = "counting allocations needs an allocator, whose trait is unsafe")]
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has a clock, and stops at the first surprise"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use resolver::action::{Action, Client, ConnectionId, Outbox, SendQuery};
use resolver::cache::Cache;
use resolver::policy::{Block, ListenerId};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::name::Name;

thread_local! {
    /// Calls to the allocator of any kind.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// Octets handed out and not yet taken back, as [`chunk`] counts them.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// Octets for the cache: room for 20,000 answers, and so few that moka begins to watch their popularity.
const BUDGET: u64 = 16 << 20;

/// The tests take turns: moka's garbage belongs to the process, and either test may come to free it.
static TURN: Mutex<()> = Mutex::new(());

/// The system's allocator, counting per thread.
struct Counting;

/// What an allocation takes from a heap such as glibc's: a size field, multiples of 16, 32 at least.
fn chunk(size: usize) -> i64 {
    i64::try_from((size + 8).next_multiple_of(16).max(32)).unwrap_or(i64::MAX)
}

fn count(octets: i64) {
    CALLS.with(|calls| calls.set(calls.get() + 1));
    HELD.with(|held| held.set(held.get() + octets));
}

// SAFETY: every call is passed on as it came to the system's allocator, which keeps the contract of the trait.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(chunk(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc` towards us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-chunk(layout.size()));
        // SAFETY: `block` came from `alloc` above with this layout, so from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(chunk(size) - chunk(layout.size()));
        // SAFETY: as for `dealloc`, and the caller vouches for `size`.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A resolver, its cache, and the outbox of its worker.
struct Worker {
    resolver: Resolver,
    cache: Arc<Cache>,
    outbox: Outbox,
}

impl Worker {
    fn new() -> Self {
        let cache = Arc::new(Cache::new(BUDGET));
        let mut policy = fixture::cache();
        policy.success.capacity = 1_000_000;
        let block = Block { cache: Some(policy), ..fixture::block() };
        let seat =
            ResolverConfig { cache: Arc::clone(&cache), ..fixture::resolver_config(fixture::policy(block)) };
        Self { resolver: Resolver::new(seat), cache, outbox: Outbox::default() }
    }

    /// Has a question asked upstream, answered, and the answer kept.
    fn learn(&mut self, now: Instant, query: &[u8]) {
        self.learn_records(now, query, 1);
    }

    /// The same with an answer of about 60 KB.
    fn learn_big(&mut self, now: Instant, query: &[u8]) {
        self.learn_records(now, query, 3700);
    }

    fn learn_records(&mut self, now: Instant, query: &[u8], records: u16) {
        self.resolver.on_query(now, client(None), query, &mut self.outbox);
        let [Action::SendQuery(SendQuery { attempt, message, .. })] = self.outbox.actions[..] else {
            panic!("one question for the upstream: {:?}", self.outbox.actions)
        };
        let response = response(self.outbox.octets(message), records);
        self.resolver.on_response(now, attempt, &response, &mut self.outbox);
        self.outbox.clear();
    }

    /// Asks for what is kept.
    fn hit(&mut self, now: Instant, client: Client, query: &[u8]) {
        self.resolver.on_query(now, client, query, &mut self.outbox);
        assert!(matches!(self.outbox.actions[..], [Action::Respond(_)]), "a hit is one answer");
        self.outbox.clear();
    }
}

fn client(connection: Option<ConnectionId>) -> Client {
    let peer = SocketAddr::from(([10, 233, 64, 5], 40_000));
    Client { listener: ListenerId(0), peer, local: None, connection }
}

/// A question for the address of a Service, with OPT if wanted.
fn query(number: usize, with_opt: bool) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(with_opt)];
    packet.extend(Name::parse(&format!("service-{number:05}.default.svc.cluster.local")).unwrap().as_wire());
    packet.extend([0, 1, 0, 1]);
    if with_opt {
        packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    packet
}

/// Addresses with an hour to live as the answer to `asked`, which ends with an OPT of 11 octets.
fn response(asked: &[u8], records: u16) -> Vec<u8> {
    let mut packet = asked[..asked.len() - 11].to_vec();
    packet[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    packet[6..8].copy_from_slice(&records.to_be_bytes());
    for number in 0..records {
        packet.extend(*b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x0a\xe9");
        packet.extend(number.to_be_bytes());
    }
    packet
}

#[test]
fn a_hit_allocates_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut worker = Worker::new();
    let start = Instant::now();
    let mut queries = Vec::new();
    for number in 0..50 {
        worker.learn(start, &query(number, false));
        queries.extend([query(number, false), query(number, true)]);
    }
    let clients = [client(None), client(Some(ConnectionId(1)))];
    for client in clients {
        worker.hit(start, client, &queries[1]);
    }

    let before = CALLS.with(Cell::get);
    for (number, query) in queries.iter().cycle().take(20_000).enumerate() {
        let now = start + Duration::from_millis(u64::try_from(number).unwrap());
        worker.hit(now, clients[number / 7 % 2], query);
    }
    assert_eq!(CALLS.with(Cell::get) - before, 0);
}

#[test]
fn an_entry_weighs_what_it_takes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut worker = Worker::new();
    let start = Instant::now();
    worker.learn(start, &query(0, false));
    worker.cache.run_pending_tasks();
    let (before, weighed_before) = (HELD.with(Cell::get), worker.cache.weight());
    let entries = 20_000;
    for number in 1..=entries {
        worker.learn(start, &query(number, false));
    }
    worker.cache.run_pending_tasks();
    let entries = i64::try_from(entries).unwrap();
    let taken = (HELD.with(Cell::get) - before) / entries;
    let weighed = i64::try_from(worker.cache.weight() - weighed_before).unwrap() / entries;
    println!("an entry takes {taken} octets and is weighed with {weighed}");
    assert!((taken - weighed).abs() <= taken / 20, "an entry takes {taken} octets and weighs {weighed}");
}

/// What has left is let go of: by the table at once or within a few dozen insertions, by a worker's own places when
/// they hold too much.
#[test]
fn a_flood_takes_no_more_than_the_budget_and_the_own_places() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut worker = Worker::new();
    let before = HELD.with(Cell::get);
    let start = Instant::now();
    for number in 0..100_000 {
        worker.learn(start, &query(number, false));
    }
    let taken = HELD.with(Cell::get) - before;
    println!("a budget of {BUDGET} octets and a flood of 100,000 names take {taken} octets");
    assert!(taken <= i64::try_from(BUDGET).unwrap() + (5 << 20), "{taken} octets are held");
    assert!(worker.cache.weight() > BUDGET / 10 * 9);
}

/// The largest answers there are, each asked for once.
#[test]
fn a_flood_of_big_answers_takes_no_more_either() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut worker = Worker::new();
    let before = HELD.with(Cell::get);
    let (start, mut most) = (Instant::now(), 0);
    for number in 0..1000 {
        worker.learn_big(start, &query(number, false));
        most = most.max(HELD.with(Cell::get) - before);
    }
    println!("a budget of {BUDGET} octets and a flood of big answers take {most} octets at most");
    assert!(most <= i64::try_from(BUDGET).unwrap() + (9 << 20), "{most} octets are held");
    assert!(worker.cache.weight() > BUDGET / 10 * 9);
}

#[test]
fn the_counter_counts() {
    let (calls, held) = (CALLS.with(Cell::get), HELD.with(Cell::get));
    let block = vec![1_u8; 100];
    assert_eq!((CALLS.with(Cell::get) - calls, HELD.with(Cell::get) - held), (1, 112));
    drop(block);
    assert_eq!((CALLS.with(Cell::get) - calls, HELD.with(Cell::get) - held), (2, 0));
}
