//! Models of L1 in front of the shared table: what it answers while another worker changes that.

use std::sync::Arc;
use std::time::Duration;

use super::{Model, TTL, value_of};
use crate::cache::L1Cache;
use crate::models::{explore, spawn};

impl Model {
    /// The L1 of a worker.
    fn l1(&self) -> L1Cache {
        L1Cache::new(Arc::clone(&self.cache), 1 << 20, Arc::default())
    }

    /// The value that a worker answers with for a name, `later` than now.
    fn answer(&self, l1: &mut L1Cache, name: u8, later: Duration) -> Option<u8> {
        let key = self.key(name);
        let (entry, _) = l1.get(&key.key, |_| key.hash, self.now + later, Duration::ZERO)?;
        Some(value_of(entry, name))
    }
}

#[test]
fn l1_is_older_than_the_table_until_its_update() {
    explore(|| {
        let model = Model::new(10);
        let mut l1 = model.l1();
        assert!(l1.insert(model.entry(1, 1), model.limits()));
        let other = model.clone();
        let thread = spawn(move || assert!(other.l1().insert(other.entry(1, 2), other.limits())));
        assert_eq!(model.answer(&mut l1, 1, Duration::ZERO), Some(1), "L1 has its own entry");
        let updated = l1.update_from_shared(&model.key(1));
        assert_eq!(model.answer(&mut l1, 1, Duration::ZERO), Some(if updated { 2 } else { 1 }));
        thread.join().unwrap();
        assert_eq!(l1.update_from_shared(&model.key(1)), !updated);
        assert_eq!(model.answer(&mut l1, 1, Duration::ZERO), Some(2));
        assert_eq!(model.entries(1..=1), [(1, 2)]);
    });
}

#[test]
fn workers_that_insert_one_name_agree_after_their_updates() {
    explore(|| {
        let model = Model::new(10);
        let threads = [1, 2].map(|value| {
            let model = model.clone();
            spawn(move || {
                let mut l1 = model.l1();
                assert!(l1.insert(model.entry(1, value), model.limits()));
                assert!(model.answer(&mut l1, 1, Duration::ZERO).is_some());
                l1
            })
        });
        let answers = threads.map(|thread| thread.join().unwrap()).map(|mut l1| {
            l1.update_from_shared(&model.key(1));
            model.answer(&mut l1, 1, Duration::ZERO)
        });
        assert_eq!(answers, [model.get(1); 2]);
    });
}

#[test]
fn l1_answers_no_removed_entry_after_it_is_cleared() {
    explore(|| {
        let model = Model::new(10);
        let mut l1 = model.l1();
        assert!(l1.insert(model.entry(1, 1), model.limits()));
        let flushing = model.clone();
        let flush = spawn(move || flushing.flush());
        assert_eq!(model.answer(&mut l1, 1, Duration::ZERO), Some(1));
        assert!(!l1.update_from_shared(&model.key(1)), "there is no newer entry");
        assert_eq!(flush.join().unwrap(), 1);
        l1.clear();
        assert_eq!(model.answer(&mut l1, 1, Duration::ZERO), None);
    });
}

#[test]
fn l1_answers_no_expired_entry_instead_of_a_new_one() {
    explore(|| {
        let model = Model::new(10);
        let mut l1 = model.l1();
        let half = Duration::from_secs(u64::from(TTL) / 2);
        assert!(l1.insert(model.entry_of_age((1, 1), half), model.limits()));
        let other = model.clone();
        let thread = spawn(move || assert!(other.l1().insert(other.entry(1, 2), other.limits())));
        // The first entry has expired then, the second has not.
        assert!(matches!(model.answer(&mut l1, 1, half), None | Some(2)));
        thread.join().unwrap();
        assert_eq!(model.answer(&mut l1, 1, half), Some(2));
    });
}

#[test]
fn entries_that_l1_holds_after_their_eviction_stay_whole() {
    explore(|| {
        let model = Model::new(1);
        let mut l1 = model.l1();
        assert!(l1.insert(model.entry(1, 1), model.limits()));
        let other = model.clone();
        let thread = spawn(move || {
            let mut l1 = other.l1();
            assert!(l1.insert(other.entry(2, 2), other.limits()));
            other.answer(&mut l1, 1, Duration::ZERO)
        });
        assert_eq!(model.answer(&mut l1, 1, Duration::ZERO), Some(1));
        assert!(matches!(model.answer(&mut l1, 2, Duration::ZERO), None | Some(2)));
        assert_eq!(thread.join().unwrap(), None, "evicted from the table, in no other L1");
        assert_eq!(model.entries(1..=2), [(2, 2)]);
    });
}
