//! Two workers, their clients and their upstreams in virtual time, and the laws that are checked at each
//! step.

mod answers;
mod directives;
mod input;
mod messages;
mod policies;
mod totals;
mod upstreams;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use answers::{OpenQuery, Responses, check_upstream_query};
pub(crate) use input::Input;
use messages::Message;
use policies::Policies;
use resolver::action::{
    Action, Client, ConnectionId, Outbox, ShareResult, Transport, UpstreamConnectionId, WorkerId,
};
use resolver::cache::Cache;
use resolver::counters::WorkerCounters;
use resolver::inflight::memory::WaitingMemory;
use resolver::policy::{ListenerId, Policy, ResolverLimits};
use resolver::{Resolver, ResolverConfig};
use totals::Totals;
use wire::Query;
use wire::name::NameBuffer;
use wire::query::Rejection;

const WORKERS: usize = 2;
const QUERY_DEADLINE: Duration = Duration::from_millis(4500);
/// Shared, dedicated and draining connections, and sockets, per worker and upstream.
const MAX_CONNECTIONS: usize = 32 + 32 + 33 + 16;
const MAX_SOCKETS: usize = 16;
const UPSTREAMS: usize = 3;
/// Timers within one wait after which the resolver is taken to loop.
const MAX_TIMERS: usize = 20_000;

/// A worker's connection to an upstream.
type Connection = (usize, UpstreamConnectionId);

/// An open connection and the queries on it that have no response.
struct Open {
    transport: Transport,
    is_established: bool,
    unanswered: BTreeMap<u16, Vec<u8>>,
}

pub(crate) struct Simulation {
    now: Instant,
    workers: Vec<Resolver>,
    worker_counters: Vec<Arc<WorkerCounters>>,
    cache: Arc<Cache>,
    budget: u64,
    memory: Arc<WaitingMemory>,
    memory_limit: usize,
    policies: Policies,
    open: BTreeMap<Connection, Open>,
    shared: Vec<ShareResult>,
    responses: Responses,
    totals: Totals,
    last_id: u16,
}

impl Simulation {
    pub(crate) fn new(input: &mut Input<'_>) -> Self {
        let now = crate::clock::now();
        let mut policies = Policies::new(input);
        let budget = input.choose([1 << 20, 16 << 10, 4 << 10]);
        let memory_limit = input.choose([1 << 20, 32 << 10, 8 << 10]);
        let limits = ResolverLimits {
            waiters_per_query: input.choose([1024, 2]),
            refreshes: input.choose([1024, 1]),
            l1_octets: input.choose([1 << 20, 2 << 10]),
            query_deadline: QUERY_DEADLINE,
            ..ResolverLimits::default()
        };
        let (cache, memory) = (Arc::new(Cache::new(budget, now)), Arc::new(WaitingMemory::new(memory_limit)));
        let (policy, shared_inflight) = (policies.policy(input), Arc::default());
        let worker_counters: Vec<Arc<WorkerCounters>> = (0..WORKERS).map(|_| Arc::default()).collect();
        let worker = |(number, counters): (u16, &Arc<WorkerCounters>)| {
            Resolver::new(ResolverConfig {
                policy: Arc::clone(&policy),
                worker: WorkerId(number),
                cache: Arc::clone(&cache),
                shared_inflight: Arc::clone(&shared_inflight),
                waiting_memory: Arc::clone(&memory),
                counters: Arc::clone(counters),
                limits,
                seed: [number as u8; 32],
            })
        };
        let workers = (0..).zip(&worker_counters).map(worker).collect();
        let (open, shared, totals) = (BTreeMap::new(), Vec::new(), Totals::default());
        let responses = Responses::new(policies.cache.clone(), policies.directives);
        Self {
            now,
            workers,
            worker_counters,
            cache,
            budget,
            memory,
            memory_limit,
            policies,
            open,
            shared,
            responses,
            totals,
            last_id: 0,
        }
    }

    /// An event, chosen by an octet.
    pub(crate) fn play(&mut self, event: u8, input: &mut Input<'_>) {
        match event % 16 {
            0..=3 => self.query(input),
            4 => self.malformed_query(input),
            5..=7 => self.respond(input),
            8 => self.misbehave(input),
            9 => self.disconnect(input),
            10 => self.establish(input),
            11 => self.lose(input),
            12 => self.reload(input),
            13 => self.flush(input),
            14 => self.wait(Duration::from_millis(u64::from(input.octet()))),
            _ => self.wait(Duration::from_secs(input.choose([1, 2, 6, 30, 61, 300]))),
        }
    }

    fn client(input: &mut Input<'_>) -> Client {
        let octet = input.octet();
        let address = Ipv4Addr::new(10, 233, 64, octet % 4);
        let connection = (octet & 0x80 != 0).then_some(ConnectionId(u64::from(octet % 8)));
        let peer = SocketAddr::from((address, 40_000 + u16::from(octet % 8)));
        Client { listener: ListenerId(0), peer, local: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), connection }
    }

    fn query(&mut self, input: &mut Input<'_>) {
        self.last_id += 1;
        let packet = messages::query(self.last_id, input);
        self.receive(&packet, input);
    }

    /// A query with other octets behind its ID.
    fn malformed_query(&mut self, input: &mut Input<'_>) {
        self.last_id += 1;
        let mut packet = messages::query(self.last_id, input);
        for _ in 0..=input.octet() % 4 {
            if let Some(at) = input.index(packet.len() - 2) {
                packet[2 + at] = input.octet();
            }
        }
        if input.octet() & 1 == 1 {
            packet.truncate(input.index(packet.len()).unwrap_or_default().max(2));
        }
        self.receive(&packet, input);
    }

    fn receive(&mut self, packet: &[u8], input: &mut Input<'_>) {
        let (client, worker) = (Self::client(input), usize::from(input.octet()) % WORKERS);
        let mut buffer = NameBuffer::new();
        let query = Query::parse(packet, &mut buffer);
        let is_accepted = query.as_ref().is_ok_and(|query| {
            let keepalive = query.header.edns.and_then(|edns| edns.keepalive_len);
            client.connection.is_none() || keepalive.is_none_or(|len| len == 0)
        });
        let is_dropped = matches!(query, Err(Rejection::Drop));
        self.totals.received(is_accepted, query.as_ref().err().copied(), packet);
        if !is_dropped {
            let query = query.ok().filter(|_| is_accepted);
            self.responses.open(OpenQuery::new(self.now, client, packet, query.as_ref()));
        }
        self.call(worker, |resolver, now, outbox| resolver.on_query(now, client, packet, outbox));
        if !is_accepted && !is_dropped {
            assert!(!self.responses.is_open(self.last_id), "a rejected query has no response");
        }
    }

    fn reload(&mut self, input: &mut Input<'_>) {
        let policy = self.policies.policy(input);
        self.set_policy(&policy);
    }

    fn set_policy(&mut self, policy: &Arc<Policy>) {
        for worker in 0..WORKERS {
            let policy = Arc::clone(policy);
            self.call(worker, |resolver, now, outbox| resolver.set_policy(now, policy, outbox));
        }
    }

    /// An operator removes names from the cache.
    fn flush(&mut self, input: &mut Input<'_>) {
        let len = input.octet();
        let mut from = Some(0);
        while let Some(next) = from {
            from = self.cache.flush(next, |name| name.len() >= usize::from(len)).1;
        }
        self.workers.iter_mut().for_each(Resolver::clear_l1);
    }

    /// Time passes from timer to timer.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MAX_TIMERS {
            self.deliver_shared();
            let timers =
                self.workers.iter().enumerate().filter_map(|(worker, one)| Some((one.next_timer()?, worker)));
            let next = timers.min().filter(|(at, _)| *at <= end);
            let Some((at, worker)) = next else {
                self.now = end;
                return self.responses.check_deadlines(self.now);
            };
            if at > self.now {
                self.responses.check_deadlines(self.now);
                self.now = at;
            }
            self.call(worker, |resolver, now, outbox| resolver.on_timer(now, outbox));
        }
        panic!("{MAX_TIMERS} timers in {time:?}");
    }

    fn deliver_shared(&mut self) {
        while let Some(ShareResult { to, key, result }) = self.shared.pop() {
            self.call(usize::from(to.0), |resolver, now, outbox| {
                resolver.on_shared_result(now, &key, &result, outbox);
            });
        }
    }

    fn call(&mut self, worker: usize, entry: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) {
        let mut outbox = Outbox::default();
        entry(&mut self.workers[worker], self.now, &mut outbox);
        for action in &outbox.actions {
            self.follow(worker, action, &outbox);
        }
        let has_dialled = outbox.actions.iter().any(|action| matches!(action, Action::Dial(_)));
        self.check_caps(has_dialled);
    }

    fn follow(&mut self, worker: usize, action: &Action, outbox: &Outbox) {
        match action {
            Action::Respond(response) => {
                self.totals.responded(response.info.is_some());
                self.responses.check(self.now, response, outbox.octets(response.message));
            }
            Action::Dial(dial) => {
                let is_established = dial.transport == Transport::Udp;
                let open = Open { transport: dial.transport, is_established, unanswered: BTreeMap::new() };
                let old = self.open.insert((worker, dial.connection), open);
                assert!(old.is_none(), "{dial:?} twice");
            }
            Action::SendQuery(sent) => {
                let message = outbox.octets(sent.message);
                let query = Message::read(message);
                check_upstream_query(&query, sent.connection, &self.policies.directives);
                let open =
                    self.open.get_mut(&(worker, sent.connection)).expect("a query on an open connection");
                let old = open.unanswered.insert(query.id, message.to_vec());
                assert!(old.is_none(), "ID {} is in use", query.id);
            }
            Action::Disconnect(id) => {
                assert!(self.open.remove(&(worker, *id)).is_some(), "{id:?} is not open");
            }
            Action::ShareResult(shared) => {
                assert_ne!(usize::from(shared.to.0), worker, "a result for the worker itself");
                self.shared.push(shared.clone());
            }
            Action::CheckAcknowledged(_) | Action::ReportError(_) => {}
            Action::LoopDetected(..) => panic!("no block has loop"),
        }
    }

    fn check_caps(&self, has_dialled: bool) {
        assert!(self.cache.weight() <= self.budget, "{} octets cached", self.cache.weight());
        assert!(self.memory.used() <= self.memory_limit, "{} octets wait", self.memory.used());
        if !has_dialled {
            return;
        }
        let count = |transport| self.open.values().filter(|one| one.transport == transport).count();
        assert!(self.open.len() <= WORKERS * UPSTREAMS * MAX_CONNECTIONS);
        assert!(count(Transport::Udp) <= WORKERS * UPSTREAMS * MAX_SOCKETS);
    }

    /// No event follows: all ends.
    pub(crate) fn finish(mut self) {
        self.wait(QUERY_DEADLINE);
        self.responses.check_all_answered();
        // Health checks end with a reload only, while an upstream does not respond.
        let policy = self.policies.policy(&mut Input::new(&[]));
        self.set_policy(&policy);
        self.wait(Duration::from_secs(100));
        assert!(self.workers.iter().all(|worker| !worker.has_inflight()), "a query is still in flight");
        assert_eq!(self.memory.used(), 0, "octets of waiting queries");
        assert!(self.open.is_empty(), "connections are still open");
        self.totals.check(&self.policies, &self.worker_counters);
        let mut from = Some(0);
        while let Some(next) = from {
            from = self.cache.flush(next, |_| true).1;
        }
        assert_eq!(self.cache.weight(), 0, "octets of an empty cache");
        for block in self.policies.blocks() {
            assert_eq!((block.usage.success(), block.usage.denial()), (0, 0), "entries of an empty cache");
        }
    }
}
