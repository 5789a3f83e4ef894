//! A worker: one thread with sockets, connections to upstreams and a resolver of its own.
//!
//! Workers share the cache, the table of open questions, and the room for clients by TCP. Every way in ends in [`Core::act`]: the resolver is told what
//! happened and what time it is, and what it wants done is done. There is no branch about an answer here.

pub(crate) mod config;
mod sockets;
mod tcp_server;
mod thread;
mod udp_server;
mod upstream;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Action, AttemptFailure, AttemptId, Client, ClientResponse, Outbox, ShareResult};
use resolver::counters::WorkerCounters;
use resolver::inflight::shared::WorkerId;
use resolver::policy::{ListenerId, Policy};
use resolver::{Resolver, ResolverConfig};
use tokio::sync::{Notify, mpsc};
use tokio::time;

use crate::clock;
use crate::logging::Logger;
use crate::logging::errors::ErrorLog;
use crate::logging::query_log::{QueryLog, SentResponse};
use crate::metrics::ProcessCounters;
pub(crate) use sockets::{InheritedSockets, ListeningSockets};
use tcp_server::Clients;
pub(crate) use tcp_server::{ConnectionLimiter, ConnectionTimeouts};
pub(crate) use thread::{Reconfigure, Worker};
use udp_server::Datagrams;
use upstream::Upstreams;
pub(crate) use upstream::{TlsParams, UpstreamEndpoint, UpstreamEndpoints};

/// Looked at again after this long when nothing is due; a wake-up an hour costs nothing.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

/// How often a worker looks at the clock of the world and at what the kernel had to drop; scrapes come no more often.
const LOOK: Duration = Duration::from_secs(5);

/// How often one who leaves looks whether all is answered.
const ANSWER_LOOK: Duration = Duration::from_millis(10);

/// A configuration as one worker obeys it.
pub(crate) struct WorkerConfig {
    pub(crate) policy: Arc<Policy>,
    pub(crate) upstreams: UpstreamEndpoints,
    pub(crate) query_log: QueryLog,
    pub(crate) error_log: ErrorLog,
    /// How clients by TCP are dealt with on each listener.
    pub(crate) timeouts: HashMap<ListenerId, ConnectionTimeouts>,
    /// The first address of each listener, which the query log shows.
    pub(crate) addresses: HashMap<ListenerId, IpAddr>,
}

/// What a worker says to the control thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkerEvent {
    /// Our own question came back: forwarding goes in a circle.
    Loop(Client, resolver::policy::RouteId),
}

/// What a worker is given for life.
pub(crate) struct WorkerContext {
    pub(crate) resolver: ResolverConfig,
    pub(crate) logger: Logger,
    pub(crate) process: Arc<ProcessCounters>,
    /// For the connections of all workers.
    pub(crate) connection_limiter: Arc<ConnectionLimiter>,
    pub(crate) events: mpsc::Sender<WorkerEvent>,
    /// Every worker, by its number.
    pub(crate) peers: Vec<mpsc::UnboundedSender<ShareResult>>,
    /// What the others have to tell.
    pub(crate) inbox: mpsc::UnboundedReceiver<ShareResult>,
}

/// Ways to tell each of `workers` how a question ended that another one asked. They need no bound of their own: each
/// message ends a question that its worker holds open, and those are bounded.
pub(crate) fn peer_inboxes(
    workers: usize,
) -> (Vec<mpsc::UnboundedSender<ShareResult>>, Vec<mpsc::UnboundedReceiver<ShareResult>>) {
    (0..workers).map(|_| mpsc::unbounded_channel()).unzip()
}

/// The number of the worker at `index`; nobody has 65,536.
pub(crate) fn worker_id(index: usize) -> WorkerId {
    WorkerId(u16::try_from(index).unwrap_or(u16::MAX))
}

/// The state of a worker, shared by the tasks of its thread. No borrow of a cell is held across an await.
struct Core {
    resolver: RefCell<Resolver>,
    outbox: RefCell<Outbox>,
    orders: RefCell<WorkerConfig>,
    datagrams: Datagrams,
    clients: Clients,
    upstreams: Upstreams,
    armed: Cell<Option<Instant>>,
    rearmed: Notify,
    counters: Arc<WorkerCounters>,
    logger: Logger,
    process: Arc<ProcessCounters>,
    events: mpsc::Sender<WorkerEvent>,
    peers: Vec<mpsc::UnboundedSender<ShareResult>>,
}

impl Core {
    fn new(context: WorkerContext, orders: WorkerConfig) -> Rc<Self> {
        let upstreams = Upstreams::new(orders.upstreams.clone());
        let core = Rc::new(Self {
            counters: Arc::clone(&context.resolver.counters),
            resolver: RefCell::new(Resolver::new(context.resolver)),
            outbox: RefCell::default(),
            orders: RefCell::new(orders),
            datagrams: Datagrams::default(),
            clients: Clients::new(context.connection_limiter),
            upstreams,
            armed: Cell::new(None),
            rearmed: Notify::new(),
            logger: context.logger,
            process: context.process,
            events: context.events,
            peers: context.peers,
        });
        tokio::task::spawn_local(Rc::clone(&core).keep_time());
        tokio::task::spawn_local(Rc::clone(&core).hear(context.inbox));
        tokio::task::spawn_local(Rc::clone(&core).look_around());
        core
    }

    /// Hears from other workers, for as long as the worker lives.
    async fn hear(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<ShareResult>) {
        while let Some(ShareResult { key, result, .. }) = inbox.recv().await {
            self.act(|resolver, now, outbox| {
                self.guarded(outbox, |outbox| resolver.on_shared_result(now, &key, &result, outbox));
            });
        }
    }

    /// Obeys other orders from the next packet on.
    fn adopt(self: &Rc<Self>, orders: WorkerConfig) {
        self.upstreams.adopt(self, orders.upstreams.clone());
        self.act(|resolver, _, outbox| resolver.set_policy(Arc::clone(&orders.policy), outbox));
        self.clients.adopt(&orders.timeouts);
        self.orders.replace(orders);
    }

    /// Packets of clients that arrived together.
    fn queries<'a>(self: &Rc<Self>, packets: impl Iterator<Item = (Client, &'a [u8])>) {
        self.act(|resolver, now, outbox| {
            for (client, packet) in packets {
                self.query(resolver, (client, packet), outbox, |resolver, outbox| {
                    resolver.on_query(now, client, packet, outbox);
                });
            }
        });
    }

    /// A packet of a client, who hears of it when the work on it panics.
    fn query(
        &self,
        resolver: &mut Resolver,
        (client, packet): (Client, &[u8]),
        outbox: &mut Outbox,
        work: impl FnOnce(&mut Resolver, &mut Outbox),
    ) {
        if !self.guarded(outbox, |outbox| work(resolver, outbox)) {
            self.guarded(outbox, |outbox| resolver.on_panic(client, packet, outbox));
        }
    }

    /// A message of an upstream.
    fn response(self: &Rc<Self>, attempt: AttemptId, message: &[u8]) {
        self.act(|resolver, now, outbox| {
            self.guarded(outbox, |outbox| resolver.on_response(now, attempt, message, outbox));
        });
    }

    /// An attempt that brought nothing.
    fn failure(self: &Rc<Self>, attempt: AttemptId, failure: AttemptFailure) {
        self.act(|resolver, now, outbox| {
            self.guarded(outbox, |outbox| resolver.on_failure(now, attempt, failure, outbox));
        });
    }

    /// Looks at the clock of the world and the kernel's queues, for as long as the worker lives.
    async fn look_around(self: Rc<Self>) {
        loop {
            self.resolver.borrow_mut().set_unix_time(clock::now(), clock::unix_time());
            time::sleep(LOOK).await;
            self.datagrams.count_overflows(&self.process);
        }
    }

    /// Wakes the resolver when something is due, for as long as the worker lives.
    async fn keep_time(self: Rc<Self>) {
        loop {
            let due = self.armed.get().unwrap_or_else(|| clock::now() + NOTHING_DUE);
            tokio::select! {
                () = self.rearmed.notified() => {}
                () = time::sleep_until(due.into()) => {
                    self.act(|resolver, now, outbox| {
                        self.guarded(outbox, |outbox| resolver.on_timer(now, outbox));
                    });
                }
            }
        }
    }

    /// Waits until no client waits for an answer, and not beyond `until`.
    async fn all_answered(&self, until: Instant) {
        while self.resolver.borrow().has_inflight() && clock::now() < until {
            time::sleep(ANSWER_LOOK).await;
        }
    }

    /// Tells the resolver something and does what it wants done.
    fn act(self: &Rc<Self>, tell: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) {
        let mut outbox = self.outbox.take();
        tell(&mut self.resolver.borrow_mut(), clock::now(), &mut outbox);
        self.perform(&outbox);
        outbox.clear();
        self.outbox.replace(outbox);
        self.arm();
    }

    fn perform(self: &Rc<Self>, outbox: &Outbox) {
        for action in &outbox.actions {
            match action {
                Action::Respond(answered) => self.answer(answered, outbox.octets(answered.message)),
                Action::SendQuery(ask) => self.upstreams.ask(self, ask, outbox.octets(ask.message)),
                Action::CancelAttempt(attempt) => self.upstreams.forget(*attempt),
                Action::QuarantineConnection(attempt) => self.upstreams.distrust(*attempt),
                Action::ShareResult(relay) => {
                    if let Some(peer) = self.peers.get(usize::from(relay.to.0)) {
                        // A worker that is gone has nobody left to tell.
                        peer.send(relay.clone()).unwrap_or_default();
                    }
                }
                Action::ReportError(trouble) => {
                    let line = self.orders.borrow().error_log.report(
                        trouble,
                        outbox.octets(trouble.name),
                        clock::now(),
                    );
                    if let Some(line) = line {
                        self.logger.log(line.level, line.text);
                    }
                }
                Action::LoopDetected(client, route) => self.notice(WorkerEvent::Loop(*client, *route)),
            }
        }
        self.datagrams.flush(outbox, &self.process);
    }

    fn answer(&self, answered: &ClientResponse, message: &[u8]) {
        if let Some(connection) = answered.client.connection {
            self.clients.answer(connection, message);
        }
        let orders = self.orders.borrow();
        if orders.query_log.is_empty() {
            return;
        }
        let client = &answered.client;
        let listening = orders.addresses.get(&client.listener).copied();
        let Some(local) = client.local.or(listening) else { return };
        if let Some(line) =
            orders.query_log.line(&SentResponse { response: answered, message, local, now: clock::now() })
        {
            self.logger.log(tracing::Level::INFO, line);
        }
    }

    fn notice(&self, notice: WorkerEvent) {
        if self.events.try_send(notice).is_err() {
            self.logger
                .log(tracing::Level::WARN, "the control thread is too busy to hear of a forwarding loop");
        }
    }

    /// A panic over one packet or timer is a bug, and costs that one only: what it had begun to say is taken back.
    /// Uncaught it would end the task and leave a worker that lives on without its timers. False when it has happened.
    fn guarded(&self, outbox: &mut Outbox, work: impl FnOnce(&mut Outbox)) -> bool {
        let (octets, actions) = (outbox.bytes.len(), outbox.actions.len());
        let is_whole = catch_unwind(AssertUnwindSafe(|| work(outbox))).is_ok();
        if !is_whole {
            outbox.bytes.truncate(octets);
            outbox.actions.truncate(actions);
            self.counters.panics.add(1);
        }
        is_whole
    }

    fn arm(&self) {
        let due = self.resolver.borrow().next_timer();
        if self.armed.replace(due) != due {
            self.rearmed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The core of a worker without zones and upstreams, inside a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn core() -> Rc<Core> {
        let resolver = testkit::fixture::resolver_config(Arc::default());
        let process = Arc::<ProcessCounters>::default();
        let logger = Logger::start(std::io::sink(), 1, Arc::clone(&process)).unwrap();
        let (peers, mut inboxes) = peer_inboxes(1);
        let inbox = inboxes.pop().unwrap();
        let connection_limiter = Arc::new(ConnectionLimiter::new(64, Arc::clone(&process)));
        let context = WorkerContext {
            resolver,
            logger,
            process,
            connection_limiter,
            events: mpsc::channel(1).0,
            peers,
            inbox,
        };
        Core::new(context, orders())
    }

    /// Those of a configuration without zones and upstreams.
    pub(super) fn orders() -> WorkerConfig {
        WorkerConfig {
            policy: Arc::default(),
            upstreams: UpstreamEndpoints::new(),
            query_log: QueryLog::new(),
            error_log: ErrorLog::new(),
            timeouts: HashMap::new(),
            addresses: HashMap::new(),
        }
    }

    #[tokio::test]
    async fn a_panic_over_one_query_is_answered_counted_and_costs_no_other() {
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";
        let client = Client {
            listener: ListenerId(0),
            peer: ([127, 0, 0, 1], 5353).into(),
            local: None,
            connection: None,
        };
        let scene = async {
            let core = core();
            let mut resolver = core.resolver.borrow_mut();
            let mut outbox = Outbox::default();
            for work in ["good", "bad", "good"] {
                core.query(&mut resolver, (client, query), &mut outbox, |resolver, outbox| {
                    resolver.on_panic(client, query, outbox);
                    assert!(work == "good", "as the test wants");
                });
            }
            assert_eq!(core.counters.panics.get(), 1);
            let answers = outbox.actions.iter().map(|action| match action {
                Action::Respond(answered) => outbox.octets(answered.message),
                _ => &[],
            });
            let mut servfail = query.to_vec();
            servfail.splice(2..4, [0x81, 0x82]);
            assert_eq!(answers.collect::<Vec<_>>(), [servfail.as_slice(); 3]);
        };
        tokio::task::LocalSet::new().run_until(scene).await;
    }
}
