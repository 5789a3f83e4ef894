//! Whether queries can be sent to us: true when nothing is awaited and we are not about to leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The conditions of readiness, which the parts of the process hold and fulfil.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Conditions>>);

#[derive(Debug, Default)]
struct Conditions {
    /// One per guard: its name, and whether it is awaited.
    guards: Vec<(&'static str, bool)>,
    withdrawn: bool,
}

/// One condition, awaited until [`Guard::done`]. A guard that is dropped leaves its condition as it is: what was not
/// done by then never will be.
#[derive(Debug)]
pub struct Guard {
    readiness: Readiness,
    place: usize,
}

impl Readiness {
    /// Without conditions, hence ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition; several may have one name, and all of them count.
    pub fn guard(&self, name: &'static str) -> Guard {
        let mut conditions = self.lock();
        conditions.guards.push((name, true));
        Guard { readiness: self.clone(), place: conditions.guards.len() - 1 }
    }

    /// From now on we are leaving: not ready any more, whatever the conditions say.
    pub fn withdraw(&self) {
        self.lock().withdrawn = true;
    }

    /// True when nothing is awaited and we are not leaving.
    pub fn is_ready(&self) -> bool {
        let conditions = self.lock();
        !conditions.withdrawn && conditions.guards.iter().all(|(_, awaited)| !awaited)
    }

    /// True once we are leaving.
    pub fn is_withdrawn(&self) -> bool {
        self.lock().withdrawn
    }

    /// The names of what is awaited, each once, in the order of their first guards.
    pub fn awaited(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, awaited) in &self.lock().guards {
            if *awaited && !names.contains(name) {
                names.push(*name);
            }
        }
        names
    }

    fn lock(&self) -> MutexGuard<'_, Conditions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    /// The condition is fulfilled.
    pub fn done(&self) {
        self.set(false);
    }

    /// The condition is not fulfilled any more.
    pub fn await_again(&self) {
        self.set(true);
    }

    fn set(&self, awaited: bool) {
        if let Some(guard) = self.readiness.lock().guards.get_mut(self.place) {
            guard.1 = awaited;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_guard_is_done() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let (link, first, second) =
            (readiness.guard("link"), readiness.guard("worker"), readiness.guard("worker"));
        assert_eq!(readiness.awaited(), ["link", "worker"]);
        link.done();
        first.done();
        assert_eq!(readiness.awaited(), ["worker"]);
        assert!(!readiness.is_ready());
        second.done();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_lost_condition_is_awaited_again() {
        let readiness = Readiness::new();
        let link = readiness.guard("link");
        link.done();
        link.await_again();
        assert_eq!(readiness.awaited(), ["link"]);
        assert!(!readiness.is_ready());
        link.done();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_guard_dropped_undone_is_awaited_for_ever() {
        let readiness = Readiness::new();
        drop(readiness.guard("socket"));
        let done = readiness.guard("link");
        done.done();
        drop(done);
        assert_eq!(readiness.awaited(), ["socket"]);
    }

    #[test]
    fn nothing_makes_ready_what_is_withdrawn() {
        let readiness = Readiness::new();
        let link = readiness.guard("link");
        readiness.withdraw();
        link.done();
        assert!(!readiness.is_ready());
        assert!(readiness.is_withdrawn());
        assert!(readiness.awaited().is_empty());
    }
}
