//! Event loop of a worker: passes packets and timers to the resolver and executes its actions.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::Resolver;
use resolver::action::{
    Action, AttemptFailure, Client, ClientResponse, Outbox, QueryError, ShareResult, UpstreamConnectionId,
};
use tokio::sync::mpsc;
use wire::frame::FrameDecoder;

use super::context::{WorkerConfig, WorkerContext, WorkerEvent};
use super::handler::{QueryHandler, ResponseHandler};
use super::heartbeat::Heartbeat;
use super::peer_inbox;
use super::tasks::Tasks;
use super::tcp_server::TcpServer;
use super::timer::Timer;
use super::turn;
use super::udp_server::UdpServer;
use super::upstream::UpstreamConnections;
use crate::clock;
use crate::insight::{Observed, Observer};
use crate::logging::Logger;
use crate::logging::query_log::SentResponse;
use crate::metrics::ProcessCounters;

/// The wall clock is set this often.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(5);

/// The state of a worker, shared by the tasks of its thread. No borrow of a cell is held across an
/// await.
pub(super) struct EventLoop {
    pub(super) udp_server: UdpServer,
    pub(super) tcp_server: Rc<TcpServer>,
    pub(super) tasks: Rc<Tasks>,
    upstreams: Rc<UpstreamConnections>,
    resolver: RefCell<Resolver>,
    outbox: RefCell<Outbox>,
    config: RefCell<WorkerConfig>,
    timer: Timer,
    next_housekeeping: Cell<Instant>,
    process: Arc<ProcessCounters>,
    heartbeat: Arc<Heartbeat>,
    observer: Observer,
    logger: Logger,
    events: mpsc::Sender<WorkerEvent>,
    peers: Vec<mpsc::UnboundedSender<ShareResult>>,
}

impl EventLoop {
    /// Spawns the tasks for timers and the peer inbox, which run until the worker ends.
    pub(super) fn start(context: WorkerContext, config: WorkerConfig) -> Rc<Self> {
        let WorkerContext {
            resolver,
            logger,
            process,
            heartbeat,
            observer,
            connection_limiter,
            events,
            peers,
            inbox,
        } = context;
        let counters = Arc::clone(&resolver.counters);
        let tasks = Tasks::new(Arc::clone(&counters));
        let upstreams =
            Rc::new(UpstreamConnections::new(config.upstreams.clone(), logger.clone(), Rc::clone(&tasks)));
        let tcp_server = TcpServer::new(
            connection_limiter,
            config.timeouts.clone(),
            Arc::clone(&counters),
            Arc::clone(&process),
            Rc::clone(&tasks),
        );
        let event_loop = Rc::new(Self {
            udp_server: UdpServer::new(counters, Arc::clone(&process), Rc::clone(&tasks)),
            tcp_server: Rc::new(tcp_server),
            tasks,
            upstreams,
            resolver: RefCell::new(Resolver::new(resolver)),
            outbox: RefCell::default(),
            config: RefCell::new(config),
            timer: Timer::default(),
            next_housekeeping: Cell::new(clock::now()),
            process,
            heartbeat,
            observer,
            logger,
            events,
            peers,
        });
        let tasks = &event_loop.tasks;
        tasks.spawn_permanent("timers", Rc::clone(&event_loop).run_timers());
        tasks.spawn_permanent("TCP turns", Rc::clone(&event_loop.tcp_server).run_turns());
        tasks.spawn_permanent("inbox", Rc::clone(&event_loop).receive_shared_results(inbox));
        event_loop
    }

    /// Applies a new configuration, effective from the next packet on.
    pub(super) fn reconfigure(self: &Rc<Self>, config: WorkerConfig) {
        self.upstreams.reconfigure(config.upstreams.clone());
        let policy = Arc::clone(&config.policy);
        self.dispatch(|resolver, now, outbox| resolver.set_policy(now, policy, outbox));
        self.tcp_server.reconfigure(config.timeouts.clone());
        self.config.replace(config);
    }

    /// Empties the worker's L1 cache.
    pub(super) fn clear_l1(&self) {
        self.resolver.borrow_mut().clear_l1();
    }

    async fn run_timers(self: Rc<Self>) {
        loop {
            self.timer.expired().await;
            self.dispatch(|resolver, now, outbox| {
                self.catch_panic(outbox, |outbox| resolver.on_timer(now, outbox));
            });
            // More timers may be due: the resolver handles a share of them.
            turn::end().await;
        }
    }

    async fn receive_shared_results(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<ShareResult>) {
        let mut results = Vec::new();
        while inbox.recv_many(&mut results, turn::SHARE).await > 0 {
            self.dispatch(|resolver, now, outbox| {
                for ShareResult { key, result, .. } in results.drain(..) {
                    self.catch_panic(outbox, |outbox| resolver.on_shared_result(now, &key, &result, outbox));
                }
            });
            turn::end().await;
        }
    }

    /// Housekeeping, with an event and not by a timer, which would wake an idle worker: wall clock
    /// for RRSIG validity, density of samples.
    fn run_due_housekeeping(&self, now: Instant) {
        if now < self.next_housekeeping.get() {
            return;
        }
        self.next_housekeeping.set(now + HOUSEKEEPING_INTERVAL);
        self.resolver.borrow_mut().set_unix_time(now, clock::unix_time());
        self.observer.adapt(now);
    }

    /// Passes one event to the resolver and executes the resulting actions. What fails in doing so is
    /// the next event.
    fn dispatch(self: &Rc<Self>, event: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) {
        let (now, mut outbox) = (clock::now(), self.outbox.take());
        self.heartbeat.send_if_timed_out(now);
        self.run_due_housekeeping(now);
        event(&mut self.resolver.borrow_mut(), now, &mut outbox);
        loop {
            self.execute(&outbox);
            outbox.clear();
            let (failed, unsent) = (self.upstreams.take_failed(), self.upstreams.take_unsent());
            if failed.is_empty() && unsent.is_empty() {
                break;
            }
            let (now, mut resolver) = (clock::now(), self.resolver.borrow_mut());
            for (id, message_id, failure) in unsent {
                self.count_filtered(failure);
                let unsent = (message_id, failure);
                self.catch_panic(&mut outbox, |outbox| resolver.on_unsent(now, id, unsent, outbox));
            }
            for (id, failure) in failed {
                self.count_filtered(failure);
                self.catch_panic(&mut outbox, |outbox| resolver.on_disconnected(now, id, failure, outbox));
            }
        }
        self.outbox.replace(outbox);
        self.timer.set(self.resolver.borrow().next_timer());
    }

    /// Handles one query; if that panics, responds with SERVFAIL.
    fn handle_query(
        &self,
        resolver: &mut Resolver,
        (client, packet): (Client, &[u8]),
        outbox: &mut Outbox,
        work: impl FnOnce(&mut Resolver, &mut Outbox),
    ) {
        if !self.catch_panic(outbox, |outbox| work(resolver, outbox)) {
            self.catch_panic(outbox, |outbox| resolver.on_panic(client, packet, outbox));
        }
    }

    /// A panic over one packet or timer is a bug. It costs that packet only: the actions it had
    /// produced are removed from the outbox. Uncaught, it would end the task and leave a worker
    /// without its timers. Returns false after a panic.
    fn catch_panic(&self, outbox: &mut Outbox, work: impl FnOnce(&mut Outbox)) -> bool {
        let (octets, actions) = (outbox.bytes.len(), outbox.actions.len());
        let completed = catch_unwind(AssertUnwindSafe(|| work(outbox))).is_ok();
        if !completed {
            outbox.truncate(octets, actions);
            self.tasks.record_panic();
        }
        completed
    }

    fn execute(self: &Rc<Self>, outbox: &Outbox) {
        let is_tracing = self.observer.is_tracing();
        for action in &outbox.actions {
            match action {
                Action::Respond(response) => {
                    let is_sample = self.observer.is_sample(response);
                    if is_tracing || is_sample {
                        self.observe(response, outbox, (is_tracing, is_sample));
                    }
                    self.respond(response, outbox);
                }
                Action::Dial(dial) => self.upstreams.dial(self, *dial),
                Action::SendQuery(query) => {
                    self.upstreams.send(query.connection, outbox.octets(query.message));
                }
                Action::CheckAcknowledged(check) => self.upstreams.check_acknowledged(*check),
                Action::Disconnect(connection) => self.upstreams.disconnect(*connection),
                Action::ShareResult(result) => peer_inbox::share(&self.peers, result),
                Action::ReportError(error) => self.log_error(error, outbox.octets(error.name)),
                Action::LoopDetected(client, route) => {
                    self.report(WorkerEvent::Loop(*client, *route));
                }
            }
        }
        self.udp_server.flush(outbox);
        self.tcp_server.flush();
    }

    /// Buffers a response over TCP (each transport's are flushed together) and logs the query.
    fn respond(&self, response: &ClientResponse, outbox: &Outbox) {
        let message = outbox.octets(response.message);
        if let Some(connection) = response.client.connection {
            self.tcp_server.respond(connection, message);
        }
        let config = self.config.borrow();
        if config.query_log.is_empty() {
            return;
        }
        let client = &response.client;
        let listening = config.addresses.get(&client.listener).copied();
        let Some(local) = client.local.or(listening) else { return };
        let upstream = outbox.upstream_of(response);
        let sent = SentResponse { response, message, local, upstream, now: clock::now() };
        if let Some(line) = config.query_log.line(&sent) {
            self.logger.log(tracing::Level::INFO, line);
        }
    }

    /// Passes a response to the trace subscribers, and to the statistics if it is a sample.
    #[cold]
    fn observe(&self, response: &ClientResponse, outbox: &Outbox, (is_tracing, is_sample): (bool, bool)) {
        let (message, upstream) = (outbox.octets(response.message), outbox.upstream_of(response));
        let observed = Observed { response, message, upstream, now: clock::now() };
        if is_tracing {
            self.observer.trace_response(&observed);
        }
        if is_sample {
            self.observer.sample(&observed);
        }
    }

    fn log_error(&self, error: &QueryError, name: &[u8]) {
        let line = self.config.borrow().error_log.report(error, name, clock::now());
        if let Some(line) = line {
            self.logger.log(line.level, line.text);
        }
    }

    fn count_filtered(&self, failure: AttemptFailure) {
        if failure == AttemptFailure::Filtered {
            self.process.packet_filter_rejects.upstreams.inc();
        }
    }

    fn report(&self, event: WorkerEvent) {
        if self.events.try_send(event).is_err() {
            let text = "the queue of the control thread is full: a forwarding loop is not reported";
            self.logger.log(tracing::Level::WARN, text);
        }
    }
}

impl QueryHandler for EventLoop {
    fn on_queries<'a>(self: &Rc<Self>, packets: impl Iterator<Item = (Client, &'a [u8])>) {
        self.dispatch(|resolver, now, outbox| {
            let is_tracing = self.observer.is_tracing();
            for (client, packet) in packets {
                if is_tracing {
                    self.observer.trace_query(&client, packet, now);
                }
                self.handle_query(resolver, (client, packet), outbox, |resolver, outbox| {
                    resolver.on_query(now, client, packet, outbox);
                });
            }
        });
    }

    fn has_inflight(&self) -> bool {
        self.resolver.borrow().has_inflight()
    }
}

impl ResponseHandler for EventLoop {
    fn on_connected(self: &Rc<Self>, id: UpstreamConnectionId) {
        self.dispatch(|resolver, now, outbox| {
            self.catch_panic(outbox, |outbox| resolver.on_connected(now, id, outbox));
        });
    }

    fn on_unacknowledged(self: &Rc<Self>, id: UpstreamConnectionId) {
        self.dispatch(|resolver, now, outbox| {
            self.catch_panic(outbox, |outbox| resolver.on_unacknowledged(now, id, outbox));
        });
    }

    fn on_response(self: &Rc<Self>, id: UpstreamConnectionId, message: &[u8]) {
        self.dispatch(|resolver, now, outbox| {
            self.catch_panic(outbox, |outbox| resolver.on_response(now, id, message, outbox));
        });
    }

    fn on_responses(self: &Rc<Self>, id: UpstreamConnectionId, frames: &mut FrameDecoder) {
        self.dispatch(|resolver, now, outbox| {
            while let Some(message) = frames.next_frame() {
                self.catch_panic(outbox, |outbox| resolver.on_response(now, id, message, outbox));
            }
            if frames.buffered_len() > 0 {
                self.catch_panic(outbox, |outbox| resolver.on_partial_message(now, id, outbox));
            }
        });
    }

    fn on_disconnected(self: &Rc<Self>, id: UpstreamConnectionId, failure: AttemptFailure) {
        self.count_filtered(failure);
        self.dispatch(|resolver, now, outbox| {
            self.catch_panic(outbox, |outbox| resolver.on_disconnected(now, id, failure, outbox));
        });
    }
}

#[cfg(test)]
mod tests;
