//! Models of the shared table with its eviction order.

use std::time::Duration;

use super::Model;
use crate::cache::eviction::InsertOutcome;
use crate::models::{explore, spawn};

#[test]
fn insertions_of_one_name_leave_one_entry() {
    explore(|| {
        let model = Model::new(10);
        let threads = [1, 2].map(|value| {
            let model = model.clone();
            spawn(move || model.insert(1, value))
        });
        assert!(matches!(model.get(1), None | Some(1 | 2)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(model.cache.insertions(), 2);
        assert!(matches!(*model.entries(1..=1), [(1, 1 | 2)]));
    });
}

#[test]
fn a_replacement_never_hides_the_name() {
    explore(|| {
        let model = Model::new(10);
        model.insert(1, 1);
        let inserting = model.clone();
        let thread = spawn(move || {
            inserting.insert(1, 2);
            inserting.insert(2, 3);
        });
        let [first, second] = [(); 2].map(|()| model.get(1).unwrap());
        assert!(matches!((first, second), (1, 1 | 2) | (2, 2)), "{first} before {second}");
        thread.join().unwrap();
        assert_eq!(model.entries(1..=2), [(1, 2), (2, 3)]);
    });
}

#[test]
fn a_store_at_its_capacity_evicts_one_entry_per_name() {
    explore(|| {
        let model = Model::new(1);
        let threads = [1, 2].map(|name| {
            let model = model.clone();
            spawn(move || model.insert(name, 10 * name))
        });
        assert!(matches!(model.get(1), None | Some(10)));
        assert!(matches!(model.get(2), None | Some(20)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(model.usage.success_evictions(), 1);
        assert!(matches!(*model.entries(1..=2), [(1, 10)] | [(2, 20)]));
    });
}

#[test]
fn an_entry_hit_during_an_eviction_is_whole() {
    explore(|| {
        let model = Model::new(2);
        model.insert(1, 1);
        model.insert(2, 2);
        let [hitting, inserting] = [(); 2].map(|()| model.clone());
        let hit = spawn(move || {
            if let Some(entry) = hitting.cache.get(&hitting.key(1)) {
                entry.sieve.visit();
            }
        });
        let insertion = spawn(move || inserting.insert(3, 3));
        hit.join().unwrap();
        insertion.join().unwrap();
        assert!(matches!(*model.entries(1..=3), [(1, 1), (3, 3)] | [(2, 2), (3, 3)]));
    });
}

#[test]
fn the_budget_is_kept_at_every_moment() {
    explore(|| {
        let model = Model::with_budget(u32::MAX, 1 << 14);
        let names = (0..).take_while(|name| {
            model.insert(*name, 1);
            model.usage.success_evictions() == 0
        });
        let last = u8::try_from(names.count()).unwrap();
        let full = model.cache.weight();
        let threads = [1, 2].map(|more| {
            let model = model.clone();
            spawn(move || model.insert(last + more, 1))
        });
        assert!(model.cache.weight() <= full);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((model.cache.weight(), model.usage.success_evictions()), (full, 3));
        assert_eq!(model.entries(0..=last + 2).len(), usize::from(last));
    });
}

#[test]
fn a_flush_removes_an_entry_from_table_and_order() {
    explore(|| {
        let model = Model::new(10);
        model.insert(1, 1);
        let [flushing, inserting] = [(); 2].map(|()| model.clone());
        let flush = spawn(move || flushing.flush());
        let insertion = spawn(move || inserting.insert(1, 2));
        assert!(matches!(model.get(1), None | Some(1 | 2)));
        assert_eq!(flush.join().unwrap(), 1);
        insertion.join().unwrap();
        // The flush came before the insertion, or removed its entry.
        assert!(matches!(*model.entries(1..=1), [] | [(1, 2)]));
    });
}

#[test]
fn blocks_are_removed_while_others_insert() {
    explore(|| {
        let model = Model::new(10);
        model.insert(1, 1);
        let removing = model.clone();
        let removal = spawn(move || while removing.cache.remove_other_blocks(&[]) {});
        model.insert(2, 2);
        assert!(matches!(model.get(1), None | Some(1)));
        removal.join().unwrap();
        assert!(matches!(*model.entries(1..=2), [] | [(2, 2)]));
    });
}

#[test]
fn an_import_never_replaces_a_newer_entry() {
    explore(|| {
        let model = Model::new(10);
        let importing = model.clone();
        let import = spawn(move || {
            let older = importing.entry_of_age((1, 1), Duration::from_secs(1));
            importing.cache.insert_imported(&older, importing.limits())
        });
        model.insert(1, 2);
        assert_eq!(model.get(1), Some(2));
        assert!(matches!(import.join().unwrap(), InsertOutcome::Inserted | InsertOutcome::AlreadyCached));
        assert_eq!(model.entries(1..=1), [(1, 2)]);
    });
}
