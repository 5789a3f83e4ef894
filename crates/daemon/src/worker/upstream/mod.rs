//! Upstream I/O of a worker: sends queries over pooled TCP and TLS connections or UDP sockets,
//! passes on messages and failures. It decides nothing about a response.

mod attempt_handler;
mod connection;
mod connection_task;
mod dial;
mod endpoint;
mod pending;
mod placement;
mod pool;
mod queue;
mod socket_error;
mod stream;
mod tls_error;
mod udp;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use resolver::action::{AttemptFailure, AttemptId, SendQuery, Transport};
use resolver::policy::UpstreamId;
use tokio::task::AbortHandle;
use tokio::time;

use super::handler::ResponseHandler;
use crate::logging::Logger;
use attempt_handler::AttemptHandler;
pub(crate) use endpoint::{TlsParams, UpstreamEndpoint, UpstreamEndpoints};
use pool::Pool;

/// Longer than the deadline of any query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The upstreams of a worker and the attempts in flight to them.
pub(super) struct Upstreams {
    /// Those of the present configuration.
    configured: RefCell<UpstreamEndpoints>,
    /// Those of the present configuration, and of earlier ones while queries are in flight.
    endpoints: RefCell<UpstreamEndpoints>,
    pools: RefCell<HashMap<UpstreamId, Rc<Pool>>>,
    tcp_attempts: RefCell<HashMap<AttemptId, Rc<Pool>>>,
    udp_attempts: RefCell<HashMap<AttemptId, AbortHandle>>,
    logger: Logger,
}

impl Upstreams {
    pub(super) fn new(endpoints: UpstreamEndpoints, logger: Logger) -> Self {
        Self {
            configured: RefCell::new(endpoints.clone()),
            endpoints: RefCell::new(endpoints),
            pools: RefCell::default(),
            tcp_attempts: RefCell::default(),
            udp_attempts: RefCell::default(),
            logger,
        }
    }

    /// Adds the upstreams of a new configuration. Those removed by it are dropped when the queries
    /// in flight are done; connections to them end by their idle timeout.
    pub(super) fn reconfigure(self: &Rc<Self>, endpoints: UpstreamEndpoints) {
        self.endpoints.borrow_mut().extend(endpoints.clone());
        self.configured.replace(endpoints);
        let upstreams = Rc::clone(self);
        tokio::task::spawn_local(async move {
            time::sleep(QUERY_TIMEOUT).await;
            let configured = upstreams.configured.borrow();
            upstreams.endpoints.borrow_mut().retain(|id, _| configured.contains_key(id));
            upstreams.pools.borrow_mut().retain(|id, _| configured.contains_key(id));
        });
    }

    pub(super) fn send(
        self: &Rc<Self>,
        handler: &Rc<impl ResponseHandler>,
        query: &SendQuery,
        message: &[u8],
    ) {
        let Some(endpoint) = self.endpoints.borrow().get(&query.upstream).map(Arc::clone) else { return };
        let attempts = Attempts { upstreams: Rc::clone(self), handler: Rc::clone(handler) };
        match query.transport {
            Transport::Udp if endpoint.tls.is_none() => {
                endpoint.count(Transport::Udp, false);
                let exchange = udp::exchange(attempts, query.attempt, endpoint, message.to_vec());
                let task = tokio::task::spawn_local(exchange);
                self.udp_attempts.borrow_mut().insert(query.attempt, task.abort_handle());
            }
            Transport::Udp | Transport::Tcp => {
                let pool = self.pool(query.upstream, endpoint);
                self.tcp_attempts.borrow_mut().insert(query.attempt, Rc::clone(&pool));
                pool.send(&attempts, query, message);
            }
        }
    }

    /// Cancels an attempt: closes its UDP socket or removes it from its pool.
    pub(super) fn cancel(&self, attempt: AttemptId) {
        if let Some(task) = self.udp_attempts.borrow_mut().remove(&attempt) {
            task.abort();
        }
        if let Some(pool) = self.tcp_attempts.borrow_mut().remove(&attempt) {
            pool.cancel(attempt);
        }
    }

    /// Quarantines the connection of an attempt after a mismatch: it gets no more queries, stays
    /// open for those in flight, this attempt included until it is cancelled, and is then closed.
    pub(super) fn quarantine(&self, attempt: AttemptId) {
        let pool = self.tcp_attempts.borrow().get(&attempt).map(Rc::clone);
        if let Some(pool) = pool {
            pool.quarantine(attempt);
        }
    }

    fn pool(&self, upstream: UpstreamId, endpoint: Arc<UpstreamEndpoint>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let pool = pools.entry(upstream);
        Rc::clone(pool.or_insert_with(|| Rc::new(Pool::new(endpoint, self.logger.clone()))))
    }
}

/// Removes attempts that are done from [`Upstreams`], and passes on messages and failures.
struct Attempts<H> {
    upstreams: Rc<Upstreams>,
    handler: Rc<H>,
}

impl<H> Clone for Attempts<H> {
    fn clone(&self) -> Self {
        Self { upstreams: Rc::clone(&self.upstreams), handler: Rc::clone(&self.handler) }
    }
}

impl<H: ResponseHandler> AttemptHandler for Attempts<H> {
    fn on_message(&self, attempt: AttemptId, message: &[u8]) {
        self.handler.on_response(attempt, message);
    }

    fn on_completion(&self, attempt: AttemptId) {
        self.upstreams.tcp_attempts.borrow_mut().remove(&attempt);
        self.upstreams.udp_attempts.borrow_mut().remove(&attempt);
    }

    fn on_failure(&self, attempt: AttemptId, failure: AttemptFailure) {
        self.on_completion(attempt);
        self.handler.on_failure(attempt, failure);
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_removed_upstream_is_kept_until_its_queries_in_flight_are_done() {
        let reconfigured = async {
            let (removed, kept) = (UpstreamId(0), UpstreamId(1));
            let both: UpstreamEndpoints =
                [removed, kept].map(|id| (id, endpoint::loopback(id.0))).into_iter().collect();
            let logger = Logger::start(std::io::sink(), 1, Arc::default()).unwrap();
            let upstreams = Rc::new(Upstreams::new(both.clone(), logger));
            for (id, endpoint) in &both {
                upstreams.pool(*id, Arc::clone(endpoint));
            }
            upstreams.reconfigure(both.into_iter().filter(|(id, _)| *id == kept).collect());
            let is_known = |id| {
                let endpoints = upstreams.endpoints.borrow();
                (endpoints.contains_key(&id), upstreams.pools.borrow().contains_key(&id))
            };
            time::sleep(QUERY_TIMEOUT / 2).await;
            assert_eq!((is_known(removed), is_known(kept)), ((true, true), (true, true)));
            time::sleep(QUERY_TIMEOUT).await;
            assert_eq!((is_known(removed), is_known(kept)), ((false, false), (true, true)));
        };
        LocalSet::new().run_until(reconfigured).await;
    }
}
