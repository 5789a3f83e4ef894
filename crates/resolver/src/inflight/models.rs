//! Models of query coalescing across workers, and of the memory of waiting queries.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::sync::mpsc::{Receiver, Sender, channel};
use wire::Query;
use wire::name::NameBuffer;

use super::memory::WaitingMemory;
use super::shared::SharedInflight;
use crate::action::WorkerId;
use crate::cache::{Cache, L1Cache, LookupKey, OwnedKey};
use crate::models::{explore, spawn};
use crate::policy::BlockId;

const DEADLINE: Duration = Duration::from_secs(4);

/// What the workers of a model share.
#[derive(Clone)]
struct Model {
    table: Arc<SharedInflight>,
    key: OwnedKey,
    /// Upstream queries in flight.
    sent: Arc<AtomicUsize>,
    /// Results are sent to workers by their numbers.
    inboxes: [Sender<&'static str>; 3],
    now: Instant,
}

impl Model {
    fn new() -> (Self, [Receiver<&'static str>; 3]) {
        let [(first, of_first), (second, of_second), (third, of_third)] = [(); 3].map(|()| channel());
        let now = testkit::clock::now();
        let (table, sent) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let inboxes = [first, second, third];
        (Self { table, key: key(false), sent, inboxes, now }, [of_first, of_second, of_third])
    }

    fn become_owner(&self, worker: u16, now: Instant) -> bool {
        self.table.become_owner(&self.key, WorkerId(worker), now, now + DEADLINE)
    }

    /// A worker ends its ownership, if it still has it, and shares the result. Returns the number of
    /// subscribers.
    fn release(&self, worker: u16) -> usize {
        let subscribers = self.table.release(&self.key, WorkerId(worker));
        for subscriber in &subscribers {
            assert_ne!(*subscriber, WorkerId(worker), "a worker does not wait for itself");
            self.inboxes[usize::from(subscriber.0)].send("result").unwrap();
        }
        subscribers.len()
    }

    /// A worker needs the result: it queries the upstream, or waits for the worker that does. Returns the
    /// number of results that it has sent to others.
    fn ask(&self, worker: u16, inbox: &Receiver<&'static str>) -> usize {
        if !self.become_owner(worker, self.now) {
            assert_eq!(inbox.recv(), Ok("result"));
            return 0;
        }
        assert_eq!(self.sent.fetch_add(1, SeqCst), 0, "two upstream queries at the same time");
        self.sent.fetch_sub(1, SeqCst);
        self.release(worker)
    }

    /// Nothing is left in the table, and each inbox is empty.
    fn assert_ended(&self, inboxes: &[Receiver<&'static str>]) {
        assert!(self.become_owner(0, self.now), "a query was left in the table");
        assert!(self.table.release(&self.key, WorkerId(0)).is_empty());
        assert!(inboxes.iter().all(|inbox| inbox.try_recv().is_err()), "a result was sent twice");
    }
}

/// The key of a question, or of its failure, which has the same hash.
fn key(of_failure: bool) -> OwnedKey {
    let packet = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
    let mut buffer = NameBuffer::new();
    let query = Query::parse(&packet, &mut buffer).unwrap();
    let cache = Arc::new(Cache::new(1 << 12, testkit::clock::now()));
    let key = L1Cache::new(cache, 0, Arc::default()).hashed(&LookupKey::new(BlockId(0), &query));
    OwnedKey::new(if of_failure { key.of_failure() } else { key })
}

#[test]
fn each_worker_gets_one_result_of_one_query() {
    explore(|| {
        let (model, inboxes) = Model::new();
        let [first, second, third] = inboxes;
        let threads = [(1, second), (2, third)].map(|(worker, inbox)| {
            let model = model.clone();
            spawn(move || (model.ask(worker, &inbox), inbox))
        });
        model.ask(0, &first);
        let inboxes = threads.map(|thread| thread.join().unwrap().1);
        model.assert_ended(&inboxes);
        model.assert_ended(&[first]);
    });
}

#[test]
fn workers_that_ask_again_become_owners_in_turn() {
    explore(|| {
        let (model, [first, second, _]) = Model::new();
        let other = model.clone();
        let thread = spawn(move || {
            other.ask(1, &second);
            other.ask(1, &second);
            second
        });
        model.ask(0, &first);
        model.ask(0, &first);
        model.assert_ended(&[first, thread.join().unwrap()]);
    });
}

#[test]
fn queries_for_two_keys_of_one_hash_are_apart() {
    explore(|| {
        let (model, [first, second, _]) = Model::new();
        let other = Model { key: key(true), sent: Arc::new(AtomicUsize::new(0)), ..model.clone() };
        assert_eq!(other.key.hash(), model.key.hash());
        let thread = spawn(move || {
            assert_eq!(other.ask(1, &second), 0);
            other.assert_ended(&[second]);
        });
        assert_eq!(model.ask(0, &first), 0);
        thread.join().unwrap();
        model.assert_ended(&[first]);
    });
}

#[test]
fn subscribers_of_a_hung_owner_get_one_result() {
    explore(|| {
        let (model, inboxes) = Model::new();
        assert!(model.become_owner(0, model.now));
        assert!(!model.become_owner(2, model.now));
        let [late, next] = [0, 1].map(|worker| {
            let model = model.clone();
            spawn(move || {
                // The first owner ends after its deadline, when another worker may have replaced it.
                assert!(worker == 0 || model.become_owner(worker, model.now + 2 * DEADLINE));
                model.release(worker)
            })
        });
        let results = late.join().unwrap() + next.join().unwrap();
        assert_eq!((results, inboxes[2].try_recv()), (1, Ok("result")));
        model.assert_ended(&inboxes);
    });
}

#[test]
fn reservations_of_all_workers_stay_within_the_limit() {
    explore(|| {
        let memory = Arc::new(WaitingMemory::new(100));
        let threads = [1, 2].map(|number| {
            let memory = Arc::clone(&memory);
            spawn(move || memory.reserve(Some(IpAddr::from([10, 0, 0, number])), 40))
        });
        let refresh = memory.reserve(None, 40);
        let of_clients = threads.map(|thread| thread.join().unwrap());
        let held = of_clients.iter().chain([&refresh]).filter(|reservation| reservation.is_ok()).count();
        assert!(held <= 2 && memory.used() == 40 * held, "{held} of 40 octets each");
        drop((of_clients, refresh));
        assert_eq!(memory.used(), 0);
    });
}

#[test]
fn the_share_of_a_client_is_that_of_all_its_reservations() {
    explore(|| {
        let memory = Arc::new(WaitingMemory::new(100));
        let client = Some(IpAddr::from([10, 0, 0, 1]));
        let reserving = Arc::clone(&memory);
        let thread = spawn(move || reserving.reserve(client, 35));
        let reservations = [memory.reserve(client, 35), thread.join().unwrap()];
        let held = reservations.iter().filter(|reservation| reservation.is_ok()).count();
        assert_eq!(held, 1, "of 35 octets each, of which two would be more than the client leaves free");
        drop(reservations);
        assert!(memory.reserve(client, 100).is_ok());
    });
}
