//! Connection pool of one upstream and worker: places queries on connections, queues those that
//! have to wait.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use resolver::action::{AttemptFailure, AttemptId, SendQuery, Transport};

use super::attempt_handler::AttemptHandler;
use super::connection::{ConnectionLimits, UpstreamConnection};
use super::connection_task::{self, ConnectionHandler};
use super::dial;
use super::endpoint::UpstreamEndpoint;
use super::pending::PendingQuery;
use super::placement::{Connections, Placement, SLOW};
use super::queue::{Queue, QueuedQuery};
use super::socket_error::attempt_failure;
use super::tls_error;
use crate::clock;
use crate::logging::Logger;

/// Maximum age of a connection, so that new CoreDNS pods behind the Service get their share. With
/// the jitter (three fifths of it at least) 60 s give or take a quarter.
const MAX_AGE: Duration = Duration::from_secs(75);

/// Idle connections are closed before CoreDNS closes them after 10 s: a query sent on a closing
/// connection has to be retried.
const MAX_IDLE_TIMEOUT: Duration = Duration::from_secs(8);

/// Interval of log lines about a failing TLS handshake.
const TLS_LOG_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Pool {
    endpoint: Arc<UpstreamEndpoint>,
    connections: RefCell<Vec<Rc<UpstreamConnection>>>,
    queue: RefCell<Queue>,
    tls_logged_at: Cell<Option<Instant>>,
    logger: Logger,
}

impl Pool {
    pub(super) fn new(endpoint: Arc<UpstreamEndpoint>, logger: Logger) -> Self {
        Self {
            endpoint,
            connections: RefCell::default(),
            queue: RefCell::default(),
            tls_logged_at: Cell::new(None),
            logger,
        }
    }

    /// Sends a query on an existing or a new connection, or queues it.
    pub(super) fn send(self: &Rc<Self>, handler: &impl AttemptHandler, query: &SendQuery, message: &[u8]) {
        if !self.try_send(handler, query, message) {
            let queued = QueuedQuery { query: *query, message: message.to_vec() };
            self.queue.borrow_mut().of(query.fresh).push_back(queued);
        }
    }

    pub(super) fn cancel(&self, attempt: AttemptId) {
        self.queue.borrow_mut().cancel(attempt);
        for connection in self.connections.borrow().iter() {
            connection.cancel(attempt);
        }
    }

    /// Quarantines the connection that carries the attempt.
    pub(super) fn quarantine(&self, attempt: AttemptId) {
        if let Some(connection) = self.connections.borrow().iter().find(|one| one.carries(attempt)) {
            connection.quarantine(attempt);
        }
    }

    /// Sends queued queries while there is capacity.
    fn send_queued(self: &Rc<Self>, handler: &impl AttemptHandler) {
        for fresh in [true, false] {
            while let Some(queued) = self.pop_queued(fresh) {
                if !self.try_send(handler, &queued.query, &queued.message) {
                    self.queue.borrow_mut().of(fresh).push_front(queued);
                    break;
                }
            }
        }
    }

    fn pop_queued(&self, fresh: bool) -> Option<QueuedQuery> {
        self.queue.borrow_mut().of(fresh).pop_front()
    }

    fn place(&self, now: Instant, fresh: bool) -> Placement {
        Connections { all: &self.connections.borrow(), now }.place(fresh)
    }

    fn try_send(self: &Rc<Self>, handler: &impl AttemptHandler, query: &SendQuery, message: &[u8]) -> bool {
        let now = clock::now();
        match self.place(now, query.fresh) {
            Placement::Existing(connection) => {
                self.endpoint.count(Transport::Tcp, true);
                connection.send(now, query, message);
            }
            Placement::New => self.open(handler, now, query, message),
            Placement::Replace(silent) => {
                silent.close(AttemptFailure::TimedOut);
                self.connections.borrow_mut().retain(|one| !Rc::ptr_eq(one, &silent));
                self.open(handler, now, query, message);
            }
            Placement::Queue => return false,
        }
        true
    }

    fn open(self: &Rc<Self>, handler: &impl AttemptHandler, now: Instant, query: &SendQuery, message: &[u8]) {
        self.endpoint.count(Transport::Tcp, false);
        let max_age = self.endpoint.max_age.unwrap_or(MAX_AGE);
        let retire_at = now + max_age.mul_f64(rand::rng().random_range(0.6..=1.0));
        let idle_timeout = self.endpoint.idle_timeout.min(MAX_IDLE_TIMEOUT);
        let limits = ConnectionLimits { dial_deadline: query.until, retire_at, idle_timeout };
        let connection = Rc::new(UpstreamConnection::new(now, limits));
        connection.send(now, query, message);
        self.connections.borrow_mut().push(Rc::clone(&connection));
        tokio::task::spawn_local(Rc::clone(self).run_connection(handler.clone(), connection));
    }

    /// Dials and runs one connection; then fails the attempts still pending on it.
    async fn run_connection(
        self: Rc<Self>,
        handler: impl AttemptHandler,
        connection: Rc<UpstreamConnection>,
    ) {
        let failure = self.dial_and_run(&handler, &connection).await;
        self.connections.borrow_mut().retain(|one| !Rc::ptr_eq(one, &connection));
        for attempt in connection.take_pending() {
            handler.on_failure(attempt, failure);
        }
        self.send_queued(&handler);
    }

    async fn dial_and_run(
        self: &Rc<Self>,
        handler: &impl AttemptHandler,
        connection: &Rc<UpstreamConnection>,
    ) -> AttemptFailure {
        let dialled = tokio::select! {
            dialled = dial::dial(&self.endpoint, connection.limits.dial_deadline) => dialled,
            failure = connection.wait_for_close() => return failure,
        };
        match dialled {
            Ok(stream) => {
                connection.established();
                self.send_queued(handler);
                let pooled = PooledConnection { pool: self, handler, connection };
                connection_task::run(connection, stream, &pooled).await
            }
            Err(error) => {
                self.log_tls_error(&error);
                attempt_failure(&error)
            }
        }
    }

    /// Logs why the TLS handshake fails, which no response shows. At intervals only: it fails until
    /// an operator acts.
    fn log_tls_error(&self, error: &io::Error) {
        let now = clock::now();
        let is_due = self
            .tls_logged_at
            .get()
            .is_none_or(|last| now.saturating_duration_since(last) > TLS_LOG_INTERVAL);
        if let Some(reason) = tls_error::reason(error).filter(|_| is_due) {
            self.tls_logged_at.set(Some(now));
            let line = format!("plugin/forward: tls://{}: {reason}", self.endpoint.addr);
            self.logger.log(tracing::Level::WARN, line);
        }
    }

    /// True when there are more idle connections than `max_idle_conns`.
    fn has_too_many_idle(&self) -> bool {
        let now = clock::now();
        let is_idle = |one: &&Rc<UpstreamConnection>| one.has_no_pending() && one.accepts_queries(now);
        let idle = self.connections.borrow().iter().filter(is_idle).count();
        self.endpoint.max_idle.is_some_and(|most| idle > most.get())
    }
}

/// A connection with the pool it belongs to.
struct PooledConnection<'a, H> {
    pool: &'a Rc<Pool>,
    handler: &'a H,
    connection: &'a Rc<UpstreamConnection>,
}

impl<H: AttemptHandler> ConnectionHandler for PooledConnection<'_, H> {
    fn on_message(&self, attempt: AttemptId, message: &[u8]) {
        self.handler.on_message(attempt, message);
    }

    fn on_completion(&self, attempt: AttemptId, query: PendingQuery) {
        self.handler.on_completion(attempt);
        if query.fresh {
            let others = self.pool.connections.borrow();
            for other in others.iter().filter(|one| !Rc::ptr_eq(one, self.connection)) {
                other.outrun_by_hedge(query.sent_at, SLOW);
            }
        }
    }

    fn on_unmatched(&self, attempt: Option<AttemptId>, message: &[u8]) {
        match attempt {
            Some(attempt) => self.handler.on_message(attempt, message),
            None => self.pool.endpoint.counters.mismatched_responses.add(1),
        }
    }

    fn on_drained(&self) {
        self.pool.send_queued(self.handler);
        if self.connection.has_no_pending() && self.pool.has_too_many_idle() {
            self.connection.close(self.connection.closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use resolver::policy::UpstreamId;
    use tokio::task::LocalSet;
    use tokio::time;

    use super::super::endpoint;
    use super::*;

    const LATER: Duration = Duration::from_secs(60);

    #[derive(Clone)]
    struct IgnoreAttempts;

    impl AttemptHandler for IgnoreAttempts {
        fn on_message(&self, _: AttemptId, _: &[u8]) {}
        fn on_completion(&self, _: AttemptId) {}
        fn on_failure(&self, _: AttemptId, _: AttemptFailure) {}
    }

    fn query(number: u16, fresh: bool) -> (SendQuery, Vec<u8>) {
        let query = SendQuery {
            attempt: AttemptId(number.into()),
            upstream: UpstreamId(0),
            transport: Transport::Tcp,
            fresh,
            until: clock::now() + LATER,
            message: (0, 0),
        };
        let [high, low] = number.to_be_bytes();
        (query, vec![high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Fills the pool with the maximum number of connections, each at its maximum depth and slow.
    async fn overload(pool: &Pool) {
        let now = clock::now();
        for number in 0..16 {
            let limits =
                ConnectionLimits { dial_deadline: now + LATER, retire_at: now + LATER, idle_timeout: LATER };
            let connection = Rc::new(UpstreamConnection::new(now, limits));
            for index in 0..16 {
                let (query, message) = query(number * 16 + index, false);
                connection.send(now, &query, &message);
            }
            connection.established();
            pool.connections.borrow_mut().push(connection);
        }
        time::sleep(2 * SLOW).await;
    }

    #[tokio::test]
    async fn a_query_waiting_for_a_fresh_connection_delays_no_other() {
        let overloaded = async {
            let logger = Logger::start(io::sink(), 1, Arc::default()).unwrap();
            let pool = Rc::new(Pool::new(endpoint::loopback(53), logger));
            overload(&pool).await;
            for (number, fresh) in [(1000, true), (1001, false)] {
                let (query, message) = query(number, fresh);
                pool.send(&IgnoreAttempts, &query, &message);
            }
            let carries = |number| pool.connections.borrow().iter().any(|one| one.carries(AttemptId(number)));
            assert!(!carries(1000) && !carries(1001), "all connections are at their maximum depth");
            let response = [0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let first = Rc::clone(&pool.connections.borrow()[0]);
            first.deliver(&response, |_| {});
            pool.send_queued(&IgnoreAttempts);
            assert!(!carries(1000), "all connections are slow");
            assert!(carries(1001), "one connection has capacity");
        };
        LocalSet::new().run_until(overloaded).await;
    }
}
