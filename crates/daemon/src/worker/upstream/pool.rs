//! A few connections to one upstream, shared by all questions of a worker.
//!
//! CoreDNS answers the questions of one connection one after another, so a deep pipeline makes everything wait
//! for its slowest question, and one connection per question makes hundreds. In between: the connection with
//! the fewest questions open, a few on each while another can be had, and another one as soon as the oldest
//! question waits too long.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use resolver::action::{Ask, AttemptId, Transport};

use super::connection::{self, Connection, Terms};
use super::{Carrier, Core, failure_of};
use crate::clock;

/// Connections per worker and upstream.
pub(super) const MOST_CONNECTIONS: usize = 8;

/// Questions open on one connection.
const DEPTH: usize = 16;

/// Questions open on one connection while another can be had: the pair of A and AAAA that a client sends at once
/// shares one, a burst is spread.
const SHARED: usize = 2;

/// A connection whose oldest question waits longer than this gets no more while another can be had.
const SLOW: Duration = Duration::from_millis(30);

/// A connection is used this long, give or take a quarter, so that new CoreDNS pods behind the Service get
/// their share and not all at once.
const LIFETIME: Duration = Duration::from_secs(60);

/// An idle connection is closed before the 10 s after which CoreDNS closes it: a question that meets a closing
/// connection has to be asked again.
const IDLE_LIMIT: Duration = Duration::from_secs(8);

/// The connections to one upstream and the questions that wait for a place on one.
pub(super) struct Pool {
    carrier: Arc<Carrier>,
    connections: RefCell<Vec<Rc<Connection>>>,
    backlog: RefCell<VecDeque<Queued>>,
}

struct Queued {
    ask: Ask,
    message: Vec<u8>,
}

impl Pool {
    pub(super) fn new(carrier: Arc<Carrier>) -> Self {
        Self { carrier, connections: RefCell::default(), backlog: RefCell::default() }
    }

    /// Sends a question on one of the connections, on a new one, or when there is a place.
    pub(super) fn ask(self: &Rc<Self>, core: &Rc<Core>, ask: &Ask, message: &[u8]) {
        let now = clock::now();
        let chosen = self.choose(now, ask.fresh);
        let full = self.connections.borrow().len() >= MOST_CONNECTIONS;
        match chosen {
            Some(connection) => {
                self.carrier.count(Transport::Tcp, true);
                connection.send(now, ask, message);
            }
            None if full => {
                self.backlog.borrow_mut().push_back(Queued { ask: *ask, message: message.to_vec() })
            }
            None => self.open(core, now, ask, message),
        }
    }

    /// Lets go of an attempt wherever it is.
    pub(super) fn forget(&self, attempt: AttemptId) {
        self.backlog.borrow_mut().retain(|queued| queued.ask.attempt != attempt);
        for connection in self.connections.borrow().iter() {
            connection.forget(attempt);
        }
    }

    /// Closes the connection that carries the attempt.
    pub(super) fn distrust(&self, attempt: AttemptId) {
        if let Some(connection) = self.connections.borrow().iter().find(|one| one.carries(attempt)) {
            connection.close();
        }
    }

    /// Gives places that have become free to questions that wait for one.
    pub(super) fn refill(self: &Rc<Self>, core: &Rc<Core>) {
        loop {
            let Some(queued) = self.backlog.borrow_mut().pop_front() else { return };
            let now = clock::now();
            if self.choose(now, false).is_none() && self.connections.borrow().len() >= MOST_CONNECTIONS {
                return self.backlog.borrow_mut().push_front(queued);
            }
            self.ask(core, &queued.ask, &queued.message);
        }
    }

    fn choose(&self, now: Instant, fresh: bool) -> Option<Rc<Connection>> {
        let connections = self.connections.borrow();
        let room = connections.len() < MOST_CONNECTIONS;
        if fresh && room {
            return None;
        }
        let open =
            || connections.iter().filter(|one| one.takes_questions(now) && one.open_questions() < DEPTH);
        let swift =
            open().filter(|one| !one.waits_longer_than(SLOW, now)).min_by_key(|one| one.open_questions());
        if room && swift.is_none_or(|one| one.open_questions() >= SHARED) {
            return None;
        }
        swift.or_else(|| open().min_by_key(|one| one.open_questions())).map(Rc::clone)
    }

    fn open(self: &Rc<Self>, core: &Rc<Core>, now: Instant, ask: &Ask, message: &[u8]) {
        self.carrier.count(Transport::Tcp, false);
        let quarter = LIFETIME / 4;
        let retire_at = now + LIFETIME - quarter + (2 * quarter).mul_f64(rand::rng().random::<f64>());
        let terms = Terms { dial_until: ask.until, retire_at, idle: self.carrier.idle.min(IDLE_LIMIT) };
        let connection = Rc::new(Connection::new(terms));
        connection.send(now, ask, message);
        self.connections.borrow_mut().push(Rc::clone(&connection));
        tokio::task::spawn_local(Rc::clone(self).keep(Rc::clone(core), connection));
    }

    /// The life of one connection.
    async fn keep(self: Rc<Self>, core: Rc<Core>, connection: Rc<Connection>) {
        let end = match connection::dial(&connection, self.carrier.addr).await {
            Ok(stream) => {
                let (pool, core) = (&self, &core);
                let carry = |attempt, message: &[u8]| {
                    core.response(attempt, message);
                    core.upstreams.ended(attempt);
                };
                connection.converse(stream, carry, || pool.refill(core)).await
            }
            Err(error) => failure_of(&error),
        };
        self.connections.borrow_mut().retain(|one| !Rc::ptr_eq(one, &connection));
        for attempt in connection.abandon() {
            core.upstreams.ended(attempt);
            core.failure(attempt, end);
        }
        self.refill(&core);
    }
}
