//! A few connections to one upstream, shared by all questions of a worker, and the questions that wait for a place on
//! one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use resolver::action::{AttemptFailure, AttemptId, SendQuery, Transport};

use super::connection::{Connection, Question, Terms};
use super::connection_task::{self, Audience};
use super::placement::{Connections, Place, SLOW};
use super::{Core, UpstreamEndpoint, dial, failure_of};
use crate::clock;

/// A connection is used this long at most and three fifths of it at least, so that new CoreDNS pods behind the Service get
/// their share and not all at once: 60 s give or take a quarter.
const LIFETIME: Duration = Duration::from_secs(75);

/// An idle connection is closed before the 10 s after which CoreDNS closes it: a question that meets a closing
/// connection has to be asked again.
const IDLE_LIMIT: Duration = Duration::from_secs(8);

/// From one line about an upstream that is not believed to the next.
const COMPLAINT: Duration = Duration::from_secs(60);

/// The connections to one upstream and the questions that wait for a place on one.
pub(super) struct Pool {
    carrier: Arc<UpstreamEndpoint>,
    connections: RefCell<Vec<Rc<Connection>>>,
    backlog: RefCell<Backlog>,
    complained: Cell<Option<Instant>>,
}

struct Queued {
    ask: SendQuery,
    message: Vec<u8>,
}

/// The questions that wait, first come first served among those that may go to the same connections.
#[derive(Default)]
struct Backlog {
    /// Asked again: their clients have waited longest.
    fresh: VecDeque<Queued>,
    ordinary: VecDeque<Queued>,
}

impl Backlog {
    fn queue(&mut self, fresh: bool) -> &mut VecDeque<Queued> {
        if fresh { &mut self.fresh } else { &mut self.ordinary }
    }

    fn forget(&mut self, attempt: AttemptId) {
        for queue in [&mut self.fresh, &mut self.ordinary] {
            queue.retain(|queued| queued.ask.attempt != attempt);
        }
    }
}

impl Pool {
    pub(super) fn new(carrier: Arc<UpstreamEndpoint>) -> Self {
        Self {
            carrier,
            connections: RefCell::default(),
            backlog: RefCell::default(),
            complained: Cell::new(None),
        }
    }

    /// Sends a question on one of the connections, on a new one, or when there is a place.
    pub(super) fn ask(self: &Rc<Self>, core: &Rc<Core>, ask: &SendQuery, message: &[u8]) {
        let place = self.place(clock::now(), ask.fresh);
        if !self.put(core, place, ask, message) {
            let queued = Queued { ask: *ask, message: message.to_vec() };
            self.backlog.borrow_mut().queue(ask.fresh).push_back(queued);
        }
    }

    /// Lets go of an attempt wherever it is.
    pub(super) fn forget(&self, attempt: AttemptId) {
        self.backlog.borrow_mut().forget(attempt);
        for connection in self.connections.borrow().iter() {
            connection.forget(attempt);
        }
    }

    /// The connection that carries the attempt is out of step.
    pub(super) fn distrust(&self, attempt: AttemptId) {
        if let Some(connection) = self.connections.borrow().iter().find(|one| one.carries(attempt)) {
            connection.distrust(attempt);
        }
    }

    /// Gives places that have become free to questions that wait for one.
    fn refill(self: &Rc<Self>, core: &Rc<Core>) {
        for fresh in [true, false] {
            while let Some(queued) = self.next_waiting(fresh) {
                let place = self.place(clock::now(), fresh);
                if !self.put(core, place, &queued.ask, &queued.message) {
                    self.backlog.borrow_mut().queue(fresh).push_front(queued);
                    break;
                }
            }
        }
    }

    fn next_waiting(&self, fresh: bool) -> Option<Queued> {
        self.backlog.borrow_mut().queue(fresh).pop_front()
    }

    fn place(&self, now: Instant, fresh: bool) -> Place {
        let connections = Connections { all: &self.connections.borrow(), now };
        if fresh { connections.fresh() } else { connections.ordinary() }
    }

    fn put(self: &Rc<Self>, core: &Rc<Core>, place: Place, ask: &SendQuery, message: &[u8]) -> bool {
        let now = clock::now();
        match place {
            Place::On(connection) => {
                self.carrier.count(Transport::Tcp, true);
                connection.send(now, ask, message);
            }
            Place::New => self.open(core, now, ask, message),
            Place::Instead(silent) => {
                silent.close(AttemptFailure::TimedOut);
                self.connections.borrow_mut().retain(|one| !Rc::ptr_eq(one, &silent));
                self.open(core, now, ask, message);
            }
            Place::None => return false,
        }
        true
    }

    fn open(self: &Rc<Self>, core: &Rc<Core>, now: Instant, ask: &SendQuery, message: &[u8]) {
        self.carrier.count(Transport::Tcp, false);
        let longest = self.carrier.max_age.unwrap_or(LIFETIME);
        let retire_at = now + longest.mul_f64(rand::rng().random_range(0.6..=1.0));
        let terms =
            Terms { dial_until: ask.until, retire_at, idle: self.carrier.idle_timeout.min(IDLE_LIMIT) };
        let connection = Rc::new(Connection::new(now, terms));
        connection.send(now, ask, message);
        self.connections.borrow_mut().push(Rc::clone(&connection));
        tokio::task::spawn_local(Rc::clone(self).keep(Rc::clone(core), connection));
    }

    /// The life of one connection.
    async fn keep(self: Rc<Self>, core: Rc<Core>, connection: Rc<Connection>) {
        let end = self.live(&core, &connection).await;
        self.connections.borrow_mut().retain(|one| !Rc::ptr_eq(one, &connection));
        for attempt in connection.abandon() {
            core.upstreams.ended(attempt);
            core.failure(attempt, end);
        }
        self.refill(&core);
    }

    async fn live(self: &Rc<Self>, core: &Rc<Core>, connection: &Rc<Connection>) -> AttemptFailure {
        let dialled = tokio::select! {
            dialled = dial::dial(&self.carrier, connection.terms.dial_until) => dialled,
            end = connection.ended() => return end,
        };
        match dialled {
            Ok(line) => {
                connection.established();
                self.refill(core);
                connection_task::converse(connection, line, &Seat { pool: self, core, connection }).await
            }
            Err(error) => {
                self.complain(core, &error);
                failure_of(&error)
            }
        }
    }

    /// Tells why the upstream is not believed, which no reply shows. It lasts until somebody acts, so once in a while
    /// is enough.
    fn complain(&self, core: &Core, error: &io::Error) {
        let now = clock::now();
        let is_news =
            self.complained.get().is_none_or(|last| now.saturating_duration_since(last) > COMPLAINT);
        if error.kind() == io::ErrorKind::InvalidData && is_news {
            self.complained.set(Some(now));
            core.logger
                .log(tracing::Level::WARN, format!("plugin/forward: tls://{}: {error}", self.carrier.addr));
        }
    }

    /// One connection more than `max_idle_conns` has nothing to do.
    fn has_too_many_idle(&self) -> bool {
        let now = clock::now();
        let is_idle = |one: &&Rc<Connection>| one.has_no_question() && one.takes_questions(now);
        let idle = self.connections.borrow().iter().filter(is_idle).count();
        self.carrier.max_idle.is_some_and(|most| idle > most.get())
    }
}

/// The pool as it hears one of its connections.
struct Seat<'a> {
    pool: &'a Rc<Pool>,
    core: &'a Rc<Core>,
    connection: &'a Rc<Connection>,
}

impl Audience for Seat<'_> {
    fn carry(&self, attempt: AttemptId, message: &[u8]) {
        self.core.response(attempt, message);
    }

    fn answered(&self, attempt: AttemptId, question: Question) {
        self.core.upstreams.ended(attempt);
        if question.fresh {
            let others = self.pool.connections.borrow();
            for other in others.iter().filter(|one| !Rc::ptr_eq(one, self.connection)) {
                other.overtaken(question.since, SLOW);
            }
        }
    }

    fn stray(&self, meant: Option<AttemptId>, message: &[u8]) {
        match meant {
            Some(attempt) => self.core.response(attempt, message),
            None => self.pool.carrier.counters.mismatched_responses.add(1),
        }
    }

    fn freed(&self) {
        self.pool.refill(self.core);
        if self.connection.has_no_question() && self.pool.has_too_many_idle() {
            self.connection.close(self.connection.end());
        }
    }
}

#[cfg(test)]
mod tests {
    use resolver::policy::UpstreamId;
    use tokio::task::LocalSet;
    use tokio::time;

    use super::super::tests::carrier;
    use super::*;
    use crate::worker::tests::core;

    const LATER: Duration = Duration::from_secs(60);

    fn question(number: u16, fresh: bool) -> (SendQuery, Vec<u8>) {
        let ask = SendQuery {
            attempt: AttemptId(number.into()),
            upstream: UpstreamId(0),
            transport: Transport::Tcp,
            fresh,
            until: clock::now() + LATER,
            message: (0, 0),
        };
        let [high, low] = number.to_be_bytes();
        (ask, vec![high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Open connections, as many as there may be, that have all the questions they may have, and have been slow with them.
    async fn overload(pool: &Pool) {
        let now = clock::now();
        for number in 0..16 {
            let terms = Terms { dial_until: now + LATER, retire_at: now + LATER, idle: LATER };
            let connection = Rc::new(Connection::new(now, terms));
            for place in 0..16 {
                let (ask, message) = question(number * 16 + place, false);
                connection.send(now, &ask, &message);
            }
            connection.established();
            pool.connections.borrow_mut().push(connection);
        }
        time::sleep(2 * SLOW).await;
    }

    #[tokio::test]
    async fn a_question_that_waits_for_a_fresh_connection_holds_up_no_other() {
        let refilled = async {
            let (core, pool) = (core(), Rc::new(Pool::new(carrier(53))));
            overload(&pool).await;
            for (number, fresh) in [(1000, true), (1001, false)] {
                let (ask, message) = question(number, fresh);
                pool.ask(&core, &ask, &message);
            }
            let carries = |number| pool.connections.borrow().iter().any(|one| one.carries(AttemptId(number)));
            assert!(!carries(1000) && !carries(1001), "there is no place");
            let answer = [0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let first = Rc::clone(&pool.connections.borrow()[0]);
            first.deliver(&answer, |_| {});
            pool.refill(&core);
            assert!(!carries(1000), "all connections are slow");
            assert!(carries(1001), "there is a place for it");
        };
        LocalSet::new().run_until(refilled).await;
    }
}
