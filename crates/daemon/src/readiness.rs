//! Whether queries can be sent to us: true when nothing is awaited and we are not about to leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The conditions of readiness, which the parts of the process hold and fulfil.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Conditions>>);

#[derive(Debug, Default)]
struct Conditions {
    /// One per guard: its name, and whether it is awaited.
    conditions: Vec<(&'static str, bool)>,
    withdrawn: bool,
}

/// One condition, awaited until [`Condition::done`]. A guard that is dropped leaves its condition as it is: what was not
/// done by then never will be.
#[derive(Debug)]
pub struct Condition {
    readiness: Readiness,
    place: usize,
}

impl Readiness {
    /// Without conditions, hence ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition; several may have one name, and all of them count.
    pub fn add_condition(&self, name: &'static str) -> Condition {
        let mut conditions = self.lock();
        conditions.conditions.push((name, true));
        Condition { readiness: self.clone(), place: conditions.conditions.len() - 1 }
    }

    /// From now on we are leaving: not ready any more, whatever the conditions say.
    pub fn withdraw(&self) {
        self.lock().withdrawn = true;
    }

    /// True when nothing is awaited and we are not leaving.
    pub fn is_ready(&self) -> bool {
        let conditions = self.lock();
        !conditions.withdrawn && conditions.conditions.iter().all(|(_, awaited)| !awaited)
    }

    /// True once we are leaving.
    pub fn is_withdrawn(&self) -> bool {
        self.lock().withdrawn
    }

    /// The names of what is awaited, each once, in the order of their first conditions.
    pub fn unmet(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, awaited) in &self.lock().conditions {
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

impl Condition {
    /// The condition is fulfilled.
    pub fn fulfil(&self) {
        self.set(false);
    }

    /// The condition is not fulfilled any more.
    pub fn revoke(&self) {
        self.set(true);
    }

    fn set(&self, awaited: bool) {
        if let Some(guard) = self.readiness.lock().conditions.get_mut(self.place) {
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
        let (link, first, second) = (
            readiness.add_condition("link"),
            readiness.add_condition("worker"),
            readiness.add_condition("worker"),
        );
        assert_eq!(readiness.unmet(), ["link", "worker"]);
        link.fulfil();
        first.fulfil();
        assert_eq!(readiness.unmet(), ["worker"]);
        assert!(!readiness.is_ready());
        second.fulfil();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_lost_condition_is_awaited_again() {
        let readiness = Readiness::new();
        let link = readiness.add_condition("link");
        link.fulfil();
        link.revoke();
        assert_eq!(readiness.unmet(), ["link"]);
        assert!(!readiness.is_ready());
        link.fulfil();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_guard_dropped_undone_is_awaited_for_ever() {
        let readiness = Readiness::new();
        drop(readiness.add_condition("socket"));
        let done = readiness.add_condition("link");
        done.fulfil();
        drop(done);
        assert_eq!(readiness.unmet(), ["socket"]);
    }

    #[test]
    fn nothing_makes_ready_what_is_withdrawn() {
        let readiness = Readiness::new();
        let link = readiness.add_condition("link");
        readiness.withdraw();
        link.fulfil();
        assert!(!readiness.is_ready());
        assert!(readiness.is_withdrawn());
        assert!(readiness.unmet().is_empty());
    }
}
