//! Which connection a question goes to.
//!
//! CoreDNS answers the questions of one connection one after another, so a deep pipeline makes everything wait
//! for its slowest question, and one connection per question makes hundreds. In between: the connection with
//! the fewest questions open, a few on each while another can be had, and another one as soon as the oldest
//! question waits too long.
//!
//! A connection that has gone silent may lead to a pod that is gone. It gets nothing while another can be had and
//! does not count against [`MOST_CONNECTIONS`]. A question asked again gets a new connection even when all are in use,
//! up to [`HARD_LIMIT`]. Beyond it it goes where answers come at once, which is not where it waits already; and when
//! they come nowhere, a new connection takes the place of the one that has been silent longest, so long that the
//! questions there have been asked elsewhere.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::Connection;

/// Connections per worker and upstream that are of use.
const MOST_CONNECTIONS: usize = 8;

/// Connections per worker and upstream, those included that are silent or take no more questions.
const HARD_LIMIT: usize = 2 * MOST_CONNECTIONS;

/// Connections being dialled at once, beyond which questions wait for one of them.
const MOST_DIALS: usize = 4;

/// The same when a question is asked again.
const MOST_FRESH_DIALS: usize = 2 * MOST_DIALS;

/// Questions that are asked again may share a connection that is being dialled and is no older than this: less than the
/// time after which anything is asked again, so that it is not the one they are meant to avoid.
const YOUNG: Duration = Duration::from_millis(10);

/// Questions open on one connection.
const DEPTH: usize = 16;

/// Questions open on one connection while another can be had: the pair of A and AAAA that a client sends at once
/// shares one, a burst is spread.
const SHARED: usize = 2;

/// A connection whose oldest question waits longer than this gets no more while another can be had.
pub(super) const SLOW: Duration = Duration::from_millis(30);

/// A connection that has been silent for longer makes place for another: after this time, CoreDNS's for reading an
/// answer, its questions are asked elsewhere.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// Where a question goes.
pub(super) enum Place {
    On(Rc<Connection>),
    /// On a new connection.
    New,
    /// On a new connection in place of this one.
    Instead(Rc<Connection>),
    /// It waits.
    None,
}

/// Connections to choose from.
pub(super) struct Connections<'a> {
    pub(super) all: &'a [Rc<Connection>],
    pub(super) now: Instant,
}

impl<'a> Connections<'a> {
    /// For a question that is asked for the first time.
    pub(super) fn ordinary(&self) -> Place {
        let is_swift = |one: &&Rc<Connection>| !one.waits_longer_than(SLOW, self.now);
        let is_silent = |one: &&Rc<Connection>| one.silent_since(self.now).is_some();
        let swift = least_busy(self.with_room().filter(is_swift));
        if let Some(one) = swift.filter(|one| one.open_questions() < SHARED) {
            return Place::On(Rc::clone(one));
        }
        let useful = self.all.iter().filter(|one| one.takes_questions(self.now) && !is_silent(one)).count();
        if useful < MOST_CONNECTIONS && self.all.len() < HARD_LIMIT && self.dials() < MOST_DIALS {
            return Place::New;
        }
        let speaking = || least_busy(self.with_room().filter(|one| !is_silent(one)));
        let any = || least_busy(self.with_room());
        swift.or_else(speaking).or_else(any).map_or(Place::None, |one| Place::On(Rc::clone(one)))
    }

    /// For a question that is asked again: on a connection that has carried nothing yet.
    pub(super) fn fresh(&self) -> Place {
        let young = least_busy(self.with_room().filter(|one| one.is_younger_than(YOUNG, self.now)));
        if let Some(one) = young.filter(|one| one.open_questions() < SHARED) {
            return Place::On(Rc::clone(one));
        }
        if self.dials() >= MOST_FRESH_DIALS {
            return young.map_or(Place::None, |one| Place::On(Rc::clone(one)));
        }
        if self.all.len() < HARD_LIMIT {
            return Place::New;
        }
        let is_alive = |one: &&Rc<Connection>| !one.is_dialling() && !one.waits_longer_than(SLOW, self.now);
        if let Some(one) = least_busy(self.with_room().filter(is_alive)) {
            return Place::On(Rc::clone(one));
        }
        let silent = self.all.iter().filter_map(|one| Some((one.silent_since(self.now)?, one)));
        let longest = silent.min_by_key(|(since, _)| *since);
        let longest = longest.filter(|(since, _)| self.now.saturating_duration_since(*since) > GIVEN_UP);
        longest.map_or(Place::None, |(_, one)| Place::Instead(Rc::clone(one)))
    }

    fn with_room(&self) -> impl Iterator<Item = &'a Rc<Connection>> {
        self.all.iter().filter(|one| one.takes_questions(self.now) && one.open_questions() < DEPTH)
    }

    /// Dials of which one may still hope.
    fn dials(&self) -> usize {
        self.all.iter().filter(|one| one.is_dialling() && one.silent_since(self.now).is_none()).count()
    }
}

fn least_busy<'a>(connections: impl Iterator<Item = &'a Rc<Connection>>) -> Option<&'a Rc<Connection>> {
    connections.min_by_key(|one| one.open_questions())
}

#[cfg(test)]
mod tests {
    use resolver::action::{AttemptId, SendQuery, Transport};
    use resolver::policy::UpstreamId;

    use super::super::connection::Terms;
    use super::*;
    use crate::clock;

    /// Connections in the making, at a time of one's own.
    struct Scene {
        all: Vec<Rc<Connection>>,
        asked: u16,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            Self { all: Vec::new(), asked: 0, start: clock::now() }
        }

        /// Puts a question where it belongs after `passed`, and says on which connection that is.
        fn ask(&mut self, passed: Duration, fresh: bool) -> Option<usize> {
            let now = self.start + passed;
            let connections = Connections { all: &self.all, now };
            let place = if fresh { connections.fresh() } else { connections.ordinary() };
            let later = now + Duration::from_secs(60);
            let new = || {
                let terms = Terms { dial_until: later, retire_at: later, idle: later - now };
                Rc::new(Connection::new(now, terms))
            };
            let index = match place {
                Place::On(one) => self.all.iter().position(|known| Rc::ptr_eq(known, &one))?,
                Place::New => {
                    self.all.push(new());
                    self.all.len() - 1
                }
                Place::Instead(silent) => {
                    let index = self.all.iter().position(|known| Rc::ptr_eq(known, &silent))?;
                    self.all[index] = new();
                    index
                }
                Place::None => return None,
            };
            self.asked += 1;
            let ask = SendQuery {
                attempt: AttemptId(self.asked.into()),
                upstream: UpstreamId(0),
                transport: Transport::Tcp,
                fresh,
                until: later,
                message: (0, 0),
            };
            let [high, low] = self.asked.to_be_bytes();
            self.all[index].send(now, &ask, &[high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            Some(index)
        }

        fn establish(&self) {
            self.all.iter().for_each(|one| one.established());
        }

        /// All useful connections are open and have one question too many to share.
        fn busy() -> Self {
            let mut scene = Self::new();
            while scene.all.len() < MOST_CONNECTIONS {
                scene.ask(Duration::ZERO, false).unwrap();
                scene.establish();
            }
            scene.ask(Duration::ZERO, false).unwrap();
            scene
        }
    }

    #[test]
    fn a_pair_shares_a_connection_and_a_burst_is_spread() {
        let mut scene = Scene::new();
        let mut places = Vec::new();
        for _ in 0..8 {
            places.push(scene.ask(Duration::ZERO, false).unwrap());
        }
        assert_eq!(places, [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn dials_are_few_and_questions_wait_for_them() {
        let mut scene = Scene::new();
        let placed = (0..100).filter(|_| scene.ask(Duration::ZERO, false).is_some()).count();
        assert_eq!((scene.all.len(), placed), (MOST_DIALS, MOST_DIALS * DEPTH));
        let placed = (0..100).filter(|_| scene.ask(Duration::from_millis(1), true).is_some()).count();
        assert!(scene.all.len() <= MOST_FRESH_DIALS, "{}", scene.all.len());
        assert_eq!(placed, (scene.all.len() - MOST_DIALS) * DEPTH);
    }

    #[test]
    fn a_question_asked_again_never_meets_the_connection_that_failed_it() {
        let mut scene = Scene::new();
        scene.ask(Duration::ZERO, false).unwrap();
        assert_eq!(scene.ask(Duration::from_millis(20), true), Some(1), "that dial hangs");
        let mut scene = Scene::busy();
        let known = scene.all.len();
        assert_eq!(scene.ask(Duration::from_millis(20), true), Some(known), "above the usual number");
    }

    /// All connections there may be are open and silent.
    fn stuck() -> Scene {
        let mut scene = Scene::busy();
        while scene.all.len() < HARD_LIMIT {
            scene.ask(Duration::from_millis(500), true).unwrap();
            scene.establish();
        }
        scene
    }

    #[test]
    fn silent_connections_make_room_for_a_question_asked_again() {
        let mut scene = stuck();
        let early = Duration::from_millis(1500);
        assert_eq!(scene.ask(early, true), None, "whoever waits there may still be answered");
        let late = Duration::from_secs(3);
        let place = scene.ask(late, true).unwrap();
        assert!(scene.all[place].is_younger_than(YOUNG, scene.start + late), "a new one");
        assert_eq!(scene.all.len(), HARD_LIMIT);
    }

    #[test]
    fn beyond_the_limit_a_question_asked_again_goes_where_answers_come() {
        let mut scene = stuck();
        let attempt = AttemptId(scene.asked.into());
        let last = scene.all.last().unwrap();
        let [high, low] = scene.asked.to_be_bytes();
        let answer = [high, low, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        last.deliver(&answer, |carried| assert_eq!(carried, attempt));
        assert_eq!(scene.ask(Duration::from_millis(600), true), Some(HARD_LIMIT - 1));
    }

    #[test]
    fn a_silent_connection_gets_nothing_while_another_can_be_had() {
        let mut scene = Scene::busy();
        let known = scene.all.len();
        let late = Duration::from_secs(2);
        let places: Vec<usize> = (0..4).map(|_| scene.ask(late, false).unwrap()).collect();
        assert_eq!(places, [known, known, known + 1, known + 1]);
    }

    #[test]
    fn a_slow_connection_gets_nothing_while_another_can_be_had() {
        let mut scene = Scene::new();
        scene.ask(Duration::ZERO, false).unwrap();
        scene.establish();
        assert_eq!(scene.ask(Duration::from_millis(40), false), Some(1));
    }

    #[test]
    fn a_connection_that_was_overtaken_or_out_of_step_gets_nothing_more() {
        let mut scene = Scene::new();
        scene.ask(Duration::ZERO, false).unwrap();
        scene.establish();
        let asked_again = scene.start + Duration::from_millis(200);
        scene.all[0].overtaken(scene.start + Duration::from_millis(20), SLOW);
        assert!(scene.all[0].takes_questions(asked_again), "not silent for long when the other was asked");
        scene.all[0].overtaken(asked_again, SLOW);
        assert!(!scene.all[0].takes_questions(asked_again));
        assert!(scene.all[0].ending(asked_again).is_none(), "somebody waits");
        scene.ask(Duration::ZERO, false).unwrap();
        scene.all[1].distrust(AttemptId(2));
        assert!(!scene.all[1].takes_questions(scene.start));
        assert!(scene.all[1].ending(scene.start).is_none(), "somebody waits");
        scene.all[1].forget(AttemptId(2));
        assert!(scene.all[1].ending(scene.start).is_some());
    }
}
