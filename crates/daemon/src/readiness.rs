//! Readiness: conditions that must be met before clients may send queries here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The conditions of readiness. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Name, and whether it is met.
    conditions: Vec<(&'static str, bool)>,
    withdrawn: bool,
}

/// One condition, unmet until [`Condition::fulfil`]. Dropping it changes nothing: an unmet
/// condition then stays unmet.
#[derive(Debug)]
pub struct Condition {
    readiness: Readiness,
    index: usize,
}

impl Readiness {
    /// Without conditions, hence ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an unmet condition. Several may have the same name; all of them count.
    pub fn add_condition(&self, name: &'static str) -> Condition {
        let mut state = self.lock();
        state.conditions.push((name, false));
        Condition { readiness: self.clone(), index: state.conditions.len() - 1 }
    }

    /// Withdraws readiness for good: the process shuts down.
    pub fn withdraw(&self) {
        self.lock().withdrawn = true;
    }

    /// True when all conditions are met and readiness is not withdrawn.
    pub fn is_ready(&self) -> bool {
        let state = self.lock();
        !state.withdrawn && state.conditions.iter().all(|(_, met)| *met)
    }

    /// True after [`Self::withdraw`].
    pub fn is_withdrawn(&self) -> bool {
        self.lock().withdrawn
    }

    /// The names of the unmet conditions, without duplicates, in the order of their addition.
    pub fn unmet(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, met) in &self.lock().conditions {
            if !met && !names.contains(name) {
                names.push(*name);
            }
        }
        names
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// The condition is met.
    pub fn fulfil(&self) {
        self.set(true);
    }

    /// The condition is no longer met.
    pub fn revoke(&self) {
        self.set(false);
    }

    fn set(&self, is_met: bool) {
        if let Some((_, met)) = self.readiness.lock().conditions.get_mut(self.index) {
            *met = is_met;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_all_conditions_are_met() {
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
    fn a_revoked_condition_is_unmet() {
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
    fn a_condition_dropped_unmet_stays_unmet() {
        let readiness = Readiness::new();
        drop(readiness.add_condition("socket"));
        let link = readiness.add_condition("link");
        link.fulfil();
        drop(link);
        assert_eq!(readiness.unmet(), ["socket"]);
    }

    #[test]
    fn withdrawn_readiness_does_not_return() {
        let readiness = Readiness::new();
        let link = readiness.add_condition("link");
        readiness.withdraw();
        link.fulfil();
        assert!(!readiness.is_ready());
        assert!(readiness.is_withdrawn());
        assert!(readiness.unmet().is_empty());
    }
}
