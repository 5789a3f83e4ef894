//! Models of what workers share, in the modules `models` of `cache` and `inflight`: loom runs each in every
//! order of its locks and atomics, with a few preemptions (`scripts/sanitizers models`).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread::{Builder as ThreadBuilder, JoinHandle};
use wire::name::Name;

use crate::action::{Action, Client, Outbox, ShareResult, WorkerId};
use crate::cache::Cache;
use crate::policy::{
    Block, BlockId, CacheOptions, Forward, ForwardOptions, Listener, ListenerId, MessageChanges, Policy,
    PoolOptions, ResolverLimits, Route, RouteId, TransportPreference, Upstream, UpstreamId,
};
use crate::{Resolver, ResolverConfig};

/// Preemptions of an execution, beside the switches where a thread waits or ends. Nearly all known bugs of
/// concurrency need one or two (Musuvathi and Qadeer, PLDI 2007).
const PREEMPTIONS: usize = 3;

/// Locks and atomics used in one execution: the budget of a cache takes many insertions.
const MAX_OPERATIONS: usize = 20_000;

/// Octets of the stack of a thread: a resolver needs more than loom's default.
const STACK_LEN: usize = 1 << 20;

/// A client's query for an address.
const QUERY: [u8; 19] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];

/// Runs a model, and prints in how many orders.
pub(crate) fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = MAX_OPERATIONS;
    let executions = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&executions);
    builder.check(move || {
        counter.fetch_add(1, SeqCst);
        model();
    });
    println!("{} executions", executions.load(SeqCst));
}

/// Starts a thread of a model.
pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    ThreadBuilder::new().stack_size(STACK_LEN).spawn(body).unwrap()
}

/// Results of the other worker, and its inbox.
type Mailbox = (Receiver<ShareResult>, Sender<ShareResult>);

/// A worker of two: its resolver, and results from the other one.
struct Worker {
    resolver: Resolver,
    now: Instant,
    inbox: Receiver<ShareResult>,
    other: Sender<ShareResult>,
    /// Upstream queries of both.
    sent: Arc<AtomicUsize>,
}

impl Worker {
    fn new(config: ResolverConfig, (inbox, other): Mailbox, sent: Arc<AtomicUsize>) -> Self {
        Self { resolver: Resolver::new(config), now: testkit::clock::now(), inbox, other, sent }
    }

    /// A client queries. Returns the response, after the upstream's or the other worker's result.
    fn ask(&mut self) -> Vec<u8> {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
        let client = Client { listener: ListenerId(0), peer, local: None, connection: None };
        let mut outbox = Outbox::default();
        self.resolver.on_query(self.now, client, &QUERY, &mut outbox);
        let mut responses = self.carry_out(&outbox);
        if responses.is_empty() {
            let ShareResult { key, result, .. } = self.inbox.recv().unwrap();
            outbox.clear();
            self.resolver.on_shared_result(self.now, &key, &result, &mut outbox);
            responses = self.carry_out(&outbox);
        }
        assert_eq!(responses.len(), 1);
        assert!(!self.resolver.has_inflight());
        responses.remove(0)
    }

    /// Carries out actions, and what follows from the upstream's responses. Returns the responses to clients.
    fn carry_out(&mut self, outbox: &Outbox) -> Vec<Vec<u8>> {
        let mut responses = Vec::new();
        for action in &outbox.actions {
            match action {
                Action::Respond(response) => responses.push(outbox.octets(response.message).to_vec()),
                Action::ShareResult(result) => self.other.send(result.clone()).unwrap(),
                Action::SendQuery(query) => {
                    self.sent.fetch_add(1, SeqCst);
                    let mut more = Outbox::default();
                    let response = response_to(outbox.octets(query.message));
                    self.resolver.on_connected(self.now, query.connection, &mut more);
                    self.resolver.on_response(self.now, query.connection, &response, &mut more);
                    responses.extend(self.carry_out(&more));
                }
                _ => {}
            }
        }
        responses
    }
}

/// Of two workers that share a cache and in-flight queries.
fn configs() -> [ResolverConfig; 2] {
    let (cache, shared_inflight) = (Arc::new(Cache::new(1 << 16, testkit::clock::now())), Arc::default());
    let (policy, waiting_memory) = (policy(), Arc::default());
    [0, 1].map(|worker| ResolverConfig {
        policy: Arc::clone(&policy),
        worker: WorkerId(worker),
        cache: Arc::clone(&cache),
        shared_inflight: Arc::clone(&shared_inflight),
        waiting_memory: Arc::clone(&waiting_memory),
        counters: Arc::default(),
        limits: ResolverLimits::default(),
        seed: [7; 32],
    })
}

/// A server block with one upstream.
fn policy() -> Arc<Policy> {
    let (id, addr) = (UpstreamId(0), ([10, 233, 0, 3], 53).into());
    let (pool, counters, state) = (PoolOptions::default(), Arc::default(), Arc::default());
    let upstream = Upstream { id, addr, encrypted: false, pool, counters, state };
    let options =
        ForwardOptions { transport: TransportPreference::ForceTcp, ..ForwardOptions::new(Name::root()) };
    let block = Block {
        id: BlockId(0),
        last_directive: Some("forward"),
        udp_size: wire::edns::DEFAULT_UDP_SIZE,
        dns64: None,
        cache: Some(CacheOptions::new(vec![Name::root()])),
        forwards: vec![Forward { options, upstreams: vec![upstream], state: Arc::default() }],
        front: Vec::new(),
        nsid: None,
        load_balance: None,
        rewrites: Arc::new([]),
        message_changes: MessageChanges::default(),
        plugins: Vec::new(),
        counters: Arc::default(),
        usage: Arc::default(),
    };
    let (zone, block, counters) = (Name::root(), Arc::new(block), Some(Arc::default()));
    let route = Route { id: RouteId(0), zone, block, counters, loop_detector: None };
    let listener = Listener::new(vec![Arc::new(route)], Arc::default(), RouteId(1));
    Arc::new(Policy { listeners: vec![Some(listener)] })
}

/// The upstream's response to `query`: one address.
fn response_to(query: &[u8]) -> Vec<u8> {
    let mut response = query.get(..2).unwrap().to_vec();
    response.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    response.extend(QUERY.get(12..).unwrap());
    response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 0, 0, 1]);
    response
}

#[test]
fn two_workers_that_miss_a_name_send_one_query() {
    explore(|| {
        let sent = Arc::new(AtomicUsize::new(0));
        let [(first, of_first), (second, of_second)] = [(); 2].map(|()| channel());
        let [config, other_config] = configs();
        let workers = [(config, (of_first, second)), (other_config, (of_second, first))];
        let threads = workers.map(|(config, mailbox)| {
            let sent = Arc::clone(&sent);
            spawn(move || {
                let mut worker = Worker::new(config, mailbox, sent);
                (worker.ask(), worker.inbox)
            })
        });
        let (answers, inboxes): (Vec<_>, Vec<_>) =
            threads.into_iter().map(|thread| thread.join().unwrap()).unzip();
        assert_eq!(sent.load(SeqCst), 1);
        assert_eq!(answers.first(), answers.last());
        assert!(answers.iter().all(|answer| answer.ends_with(&[10, 0, 0, 1])));
        assert!(inboxes.iter().all(|inbox| inbox.try_recv().is_err()), "a result was shared twice");
    });
}
