//! Memory use of the cache: no allocation on a hit, and entries weighed with what they allocate.
#![expect(unsafe_code, reason = "counting allocations needs an allocator, whose trait is unsafe")]
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails; it may read the clock"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Action, Client, ConnectionId, Outbox, SendQuery};
use resolver::cache::Cache;
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::{Block, ListenerId, TransportPreference, Upstream, UpstreamId};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::name::Name;

thread_local! {
    /// Calls to the allocator.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// Octets allocated and not freed, as [`chunk`] counts them.
    static ALLOCATED: Cell<i64> = const { Cell::new(0) };
}

/// Octets for the cache: enough for 20,000 answers.
const BUDGET: u64 = 8 << 20;

/// The system's allocator with counters per thread.
struct Counting;

/// Octets of an allocation in a heap such as glibc's: a size field, multiples of 16, at least 32.
fn chunk(size: usize) -> i64 {
    i64::try_from((size + 8).next_multiple_of(16).max(32)).unwrap_or(i64::MAX)
}

fn count(octets: i64) {
    CALLS.with(|calls| calls.set(calls.get() + 1));
    ALLOCATED.with(|allocated| allocated.set(allocated.get() + octets));
}

// SAFETY: every call is forwarded unchanged to the system's allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(chunk(layout.size()));
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-chunk(layout.size()));
        // SAFETY: `block` was allocated above with this layout, so by the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(chunk(size) - chunk(layout.size()));
        // SAFETY: as for `dealloc`; the caller guarantees `size`.
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
        let cache = Arc::new(Cache::new(BUDGET, testkit::clock::now()));
        let mut options = fixture::cache();
        options.success.capacity = 1_000_000;
        let block = Block { cache: Some(options), ..fixture::block() };
        let config =
            ResolverConfig { cache: Arc::clone(&cache), ..fixture::resolver_config(fixture::policy(block)) };
        Self { resolver: Resolver::new(config), cache, outbox: Outbox::default() }
    }

    /// Queries, lets the upstream respond, and caches the answer.
    fn fill(&mut self, now: Instant, query: &[u8]) {
        self.fill_records(now, query, 1);
    }

    /// The same with an answer of about 60 kB.
    fn fill_large(&mut self, now: Instant, query: &[u8]) {
        self.fill_records(now, query, 3700);
    }

    fn fill_records(&mut self, now: Instant, query: &[u8], records: u16) {
        self.resolver.on_query(now, client(None), query, &mut self.outbox);
        let [.., Action::SendQuery(SendQuery { connection, message })] = self.outbox.actions[..] else {
            panic!("one upstream query: {:?}", self.outbox.actions)
        };
        let response = response(self.outbox.octets(message), records);
        self.resolver.on_response(now, connection, &response, &mut self.outbox);
        self.outbox.clear();
    }

    /// Queries a cached name.
    fn hit(&mut self, now: Instant, client: Client, query: &[u8]) {
        self.resolver.on_query(now, client, query, &mut self.outbox);
        assert!(matches!(self.outbox.actions[..], [Action::Respond(_)]), "a hit is one response");
        self.outbox.clear();
    }
}

fn client(connection: Option<ConnectionId>) -> Client {
    let peer = SocketAddr::from(([10, 233, 64, 5], 40_000));
    Client { listener: ListenerId(0), peer, local: None, connection }
}

/// A query for the address of a Service, with or without OPT.
fn query(number: usize, with_opt: bool) -> Vec<u8> {
    let mut packet = named_query(&format!("service-{number:05}.default.svc.cluster.local"));
    if with_opt {
        packet[11] = 1;
        packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    packet
}

/// A query for the address of a name.
fn named_query(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(Name::parse(name).unwrap().as_wire());
    packet.extend([0, 1, 0, 1]);
    packet
}

/// A records with a TTL of one hour in response to `query`, which ends with an OPT record of 11
/// octets.
fn response(query: &[u8], records: u16) -> Vec<u8> {
    let mut packet = query[..query.len() - 11].to_vec();
    packet[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    packet[6..8].copy_from_slice(&records.to_be_bytes());
    for number in 0..records {
        packet.extend(*b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x0a\xe9");
        packet.extend(number.to_be_bytes());
    }
    packet
}

#[test]
fn a_hit_does_not_allocate() {
    let mut worker = Worker::new();
    let start = Instant::now();
    let mut queries = Vec::new();
    for number in 0..50 {
        worker.fill(start, &query(number, false));
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
fn entry_weight_matches_allocated_octets() {
    let mut worker = Worker::new();
    let start = Instant::now();
    worker.fill(start, &query(0, false));
    let (before, weight_before) = (ALLOCATED.with(Cell::get), worker.cache.weight());
    let entries = 20_000;
    for number in 1..=entries {
        worker.fill(start, &query(number, false));
    }
    let entries = i64::try_from(entries).unwrap();
    let allocated = (ALLOCATED.with(Cell::get) - before) / entries;
    let weight = i64::try_from(worker.cache.weight() - weight_before).unwrap() / entries;
    println!("an entry allocates {allocated} octets and weighs {weight}");
    assert!((allocated - weight).abs() <= allocated / 20, "allocated {allocated} octets, weight {weight}");
}

/// Removed entries are freed: by the table at once, by the L1 cache at its limit.
#[test]
fn a_flood_stays_within_budget_and_l1() {
    let mut worker = Worker::new();
    let before = ALLOCATED.with(Cell::get);
    let start = Instant::now();
    for number in 0..100_000 {
        worker.fill(start, &query(number, false));
    }
    let allocated = ALLOCATED.with(Cell::get) - before;
    println!("a budget of {BUDGET} octets and a flood of 100,000 names take {allocated} octets");
    assert!(allocated <= i64::try_from(BUDGET).unwrap() + (5 << 20), "{allocated} octets are allocated");
    assert!(worker.cache.weight() > BUDGET / 10 * 9);
}

/// Answers of the largest size, each queried once.
#[test]
fn a_flood_of_large_answers_stays_within_budget() {
    let mut worker = Worker::new();
    let before = ALLOCATED.with(Cell::get);
    let (start, mut most) = (Instant::now(), 0);
    for number in 0..1000 {
        worker.fill_large(start, &query(number, false));
        most = most.max(ALLOCATED.with(Cell::get) - before);
    }
    println!("a budget of {BUDGET} octets and a flood of large answers take {most} octets at most");
    assert!(most <= i64::try_from(BUDGET).unwrap() + (9 << 20), "{most} octets are allocated");
    assert!(worker.cache.weight() > BUDGET / 10 * 9);
}

#[test]
fn the_allocator_counts_calls_and_octets() {
    let (calls, allocated) = (CALLS.with(Cell::get), ALLOCATED.with(Cell::get));
    let block = vec![1_u8; 100];
    assert_eq!((CALLS.with(Cell::get) - calls, ALLOCATED.with(Cell::get) - allocated), (1, 112));
    drop(block);
    assert_eq!((CALLS.with(Cell::get) - calls, ALLOCATED.with(Cell::get) - allocated), (2, 0));
}

/// Waiting queries take no more memory than they reserve, however far they get.
#[test]
fn waiting_queries_reserve_what_they_allocate() {
    // The tables have just been doubled with the first number, and are full with the second.
    for queries in [1800, 3500] {
        for (transport, upstreams) in [
            (TransportPreference::ForceTcp, 1),
            (TransportPreference::PreferUdp, 1),
            (TransportPreference::PreferUdp, 3),
            (TransportPreference::ForceTcp, 3),
            (TransportPreference::PreferUdp, 8),
        ] {
            for label in ["", "a-name-of-sixty-three-octets-is-as-long-as-a-label-may-ever-be."] {
                let suffix = label.repeat(3);
                let (allocated, reserved) = waiting_memory(queries, (transport, upstreams), &suffix);
                println!(
                    "{queries} queries, {transport:?}, {upstreams} upstreams, names longer by {}: {allocated} octets each, {reserved} reserved",
                    suffix.len()
                );
                assert!(allocated <= reserved, "more than reserved");
            }
        }
    }
}

/// Octets that a waiting query takes at most until it ends, and that it reserves.
fn waiting_memory(
    queries: usize,
    (transport, upstreams): (TransportPreference, u16),
    suffix: &str,
) -> (usize, usize) {
    let mut block = Block { cache: None, ..fixture::block() };
    block.forwards[0].options.transport = transport;
    block.forwards[0].upstreams =
        (0..upstreams).map(|number| Upstream { id: UpstreamId(number), ..fixture::upstream() }).collect();
    let config = fixture::resolver_config(fixture::policy(block));
    let memory = Arc::new(WaitingMemory::new(1 << 30));
    let mut resolver = Resolver::new(ResolverConfig { waiting_memory: Arc::clone(&memory), ..config });
    let (mut outbox, start) = (Outbox::default(), Instant::now());
    resolver.on_query(start, client(None), &query(0, false), &mut outbox);
    outbox = Outbox::default();
    let (before, used_before) = (ALLOCATED.with(Cell::get), memory.used());
    for number in 1..=queries {
        let packet = named_query(&format!("service-{number:05}.{suffix}default.svc.cluster.local"));
        resolver.on_query(start, client(None), &packet, &mut outbox);
        outbox.clear();
    }
    let reserved = memory.used() - used_before;
    let mut most = 0;
    for milliseconds in (0..4500).step_by(100) {
        resolver.on_timer(start + Duration::from_millis(milliseconds), &mut outbox);
        outbox.clear();
        let octets = i64::try_from(outbox.bytes.capacity() + 112 * outbox.actions.capacity()).unwrap();
        most = most.max(ALLOCATED.with(Cell::get) - before - octets);
    }
    (usize::try_from(most).unwrap() / queries, reserved / queries)
}

#[test]
fn waiters_reserve_what_they_allocate() {
    let memory = Arc::new(WaitingMemory::new(1 << 30));
    let config = fixture::resolver_config(fixture::policy(fixture::block()));
    let mut resolver = Resolver::new(ResolverConfig { waiting_memory: Arc::clone(&memory), ..config });
    let (mut outbox, start) = (Outbox::default(), Instant::now());
    resolver.on_query(start, client(None), &query(0, true), &mut outbox);
    let (before, used_before) = (ALLOCATED.with(Cell::get), memory.used());
    // The list of waiters has just been doubled.
    for number in 0..520_u16 {
        let peer = ([10, 233, 65, 0], 40_000 + number).into();
        resolver.on_query(start, Client { peer, ..client(None) }, &query(0, true), &mut outbox);
    }
    let allocated = usize::try_from(ALLOCATED.with(Cell::get) - before).unwrap();
    let reserved = memory.used() - used_before;
    println!("a waiter takes {} octets and reserves {}", allocated / 520, reserved / 520);
    assert!(allocated <= reserved);
}
