//! The worker's side towards upstreams: questions out, answers and failures back in.
//!
//! Nothing is decided here about an answer. A pool chooses a connection, a datagram exchange opens a socket;
//! what they bring goes to [`Core::response`] or [`Core::failure`].

mod connection;
mod connection_task;
mod dial;
mod placement;
mod pool;
mod stream;
mod udp;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use resolver::action::{AttemptFailure, AttemptId, SendQuery, Transport};
use resolver::counters::UpstreamCounters;
use resolver::policy::UpstreamId;
use tokio::task::AbortHandle;
use tokio::time;

use super::Core;
pub(crate) use dial::TlsParams;
use pool::Pool;

/// Longer than the deadline of any question that is open.
const QUESTION_TIME: Duration = Duration::from_secs(10);

/// How an upstream is reached.
pub(crate) struct UpstreamEndpoint {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The address we ask from; the kernel's choice if not given.
    pub(crate) source: Option<IpAddr>,
    /// TLS.
    pub(crate) tls: Option<TlsParams>,
    /// How long an idle connection is kept.
    pub(crate) idle_timeout: Duration,
    /// How long a connection may be used; about a minute if not given.
    pub(crate) max_age: Option<Duration>,
    /// Idle connections that are kept at most.
    pub(crate) max_idle: Option<NonZeroUsize>,
    /// What is counted for it.
    pub(crate) counters: Arc<UpstreamCounters>,
}

/// Every upstream in the configuration.
pub(crate) type UpstreamEndpoints = HashMap<UpstreamId, Arc<UpstreamEndpoint>>;

/// All that is under way to upstreams.
#[derive(Default)]
pub(super) struct Upstreams {
    carriers: RefCell<UpstreamEndpoints>,
    pools: RefCell<HashMap<UpstreamId, Rc<Pool>>>,
    streams: RefCell<HashMap<AttemptId, Rc<Pool>>>,
    datagrams: RefCell<HashMap<AttemptId, AbortHandle>>,
}

impl Upstreams {
    /// Those of the first configuration.
    pub(super) fn new(carriers: UpstreamEndpoints) -> Self {
        Self { carriers: RefCell::new(carriers), ..Self::default() }
    }

    /// Knows the upstreams of a new configuration from now on. Those of the old one stay known to the questions that
    /// are open, and are let go when these have ended.
    pub(super) fn adopt(&self, core: &Rc<Core>, carriers: UpstreamEndpoints) {
        self.carriers.borrow_mut().extend(carriers);
        let core = Rc::clone(core);
        tokio::task::spawn_local(async move {
            time::sleep(QUESTION_TIME).await;
            core.upstreams.keep_only(&core.orders.borrow().upstreams);
        });
    }

    /// Lets go of the upstreams that are not `wanted`; connections to them end by idleness.
    fn keep_only(&self, wanted: &UpstreamEndpoints) {
        self.carriers.borrow_mut().retain(|id, _| wanted.contains_key(id));
        self.pools.borrow_mut().retain(|id, _| wanted.contains_key(id));
    }

    /// Sends a question.
    pub(super) fn ask(&self, core: &Rc<Core>, ask: &SendQuery, message: &[u8]) {
        let Some(carrier) = self.carriers.borrow().get(&ask.upstream).map(Arc::clone) else { return };
        match ask.transport {
            Transport::Udp if carrier.tls.is_none() => {
                carrier.count(Transport::Udp, false);
                let exchange = udp::exchange(Rc::clone(core), ask.attempt, carrier, message.to_vec());
                let task = tokio::task::spawn_local(exchange);
                self.datagrams.borrow_mut().insert(ask.attempt, task.abort_handle());
            }
            Transport::Udp | Transport::Tcp => {
                let pool = self.pool(ask.upstream, carrier);
                self.streams.borrow_mut().insert(ask.attempt, Rc::clone(&pool));
                pool.ask(core, ask, message);
            }
        }
    }

    /// The attempt is over: what it holds is let go.
    pub(super) fn forget(&self, attempt: AttemptId) {
        if let Some(task) = self.datagrams.borrow_mut().remove(&attempt) {
            task.abort();
        }
        if let Some(pool) = self.streams.borrow_mut().remove(&attempt) {
            pool.forget(attempt);
        }
    }

    /// The connection that carries the attempt is out of step: it takes no more questions, stays open for those who
    /// wait on it, this attempt included until it is forgotten, and is closed when nobody does.
    pub(super) fn distrust(&self, attempt: AttemptId) {
        let pool = self.streams.borrow().get(&attempt).map(Rc::clone);
        if let Some(pool) = pool {
            pool.distrust(attempt);
        }
    }

    /// The attempt has ended by an answer or a failure.
    fn ended(&self, attempt: AttemptId) {
        self.streams.borrow_mut().remove(&attempt);
        self.datagrams.borrow_mut().remove(&attempt);
    }

    fn pool(&self, upstream: UpstreamId, carrier: Arc<UpstreamEndpoint>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        Rc::clone(pools.entry(upstream).or_insert_with(|| Rc::new(Pool::new(carrier))))
    }
}

impl UpstreamEndpoint {
    /// Counts a question by whether it found an open connection.
    fn count(&self, transport: Transport, open_already: bool) {
        let counters = &self.counters;
        let counters = if open_already { &counters.connection_hits } else { &counters.connection_misses };
        let [udp, tcp, tls] = counters;
        match transport {
            Transport::Udp => udp.add(1),
            Transport::Tcp if self.tls.is_some() => tls.add(1),
            Transport::Tcp => tcp.add(1),
        }
    }
}

/// What an error of a socket says of the upstream.
fn failure_of(error: &io::Error) -> AttemptFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => AttemptFailure::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => AttemptFailure::Unreachable,
        io::ErrorKind::TimedOut => AttemptFailure::DialTimedOut,
        io::ErrorKind::InvalidData => AttemptFailure::Handshake,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => AttemptFailure::Closed { reused: false },
        _ => AttemptFailure::Local,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::task::LocalSet;

    use super::super::WorkerConfig;
    use super::*;
    use crate::worker::tests::{core, orders};

    /// A plain one at `port` of loopback, where nobody has to listen.
    pub(super) fn carrier(port: u16) -> Arc<UpstreamEndpoint> {
        Arc::new(UpstreamEndpoint {
            addr: (Ipv4Addr::LOCALHOST, port).into(),
            source: None,
            tls: None,
            idle_timeout: Duration::from_secs(10),
            max_age: None,
            max_idle: None,
            counters: Arc::default(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_is_gone_is_known_until_its_questions_have_ended() {
        let adopted = async {
            let core = core();
            let (gone, kept) = (UpstreamId(0), UpstreamId(1));
            let carriers: UpstreamEndpoints =
                [gone, kept].map(|id| (id, carrier(id.0))).into_iter().collect();
            core.adopt(WorkerConfig { upstreams: carriers.clone(), ..orders() });
            for (id, carrier) in &carriers {
                core.upstreams.pool(*id, Arc::clone(carrier));
            }
            let upstreams = carriers.into_iter().filter(|(id, _)| *id == kept).collect();
            core.adopt(WorkerConfig { upstreams, ..orders() });
            let known = |id| {
                let upstreams = &core.upstreams;
                (upstreams.carriers.borrow().contains_key(&id), upstreams.pools.borrow().contains_key(&id))
            };
            time::sleep(QUESTION_TIME / 2).await;
            assert_eq!((known(gone), known(kept)), ((true, true), (true, true)));
            time::sleep(QUESTION_TIME).await;
            assert_eq!((known(gone), known(kept)), ((false, false), (true, true)));
        };
        LocalSet::new().run_until(adopted).await;
    }
}
