//! Several workers that miss the same name at the same moment.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Action, Client, Outbox, SendQuery, ShareResult};
use resolver::cache::Cache;
use resolver::inflight::shared::{SharedInflight, WorkerId};
use resolver::policy::{Block, ListenerId, Prefetch};
use resolver::{Resolver, ResolverConfig};
use testkit::client::QueryOptions;
use testkit::{MessageType, RecordType, fixture, text};

const NAME: &str = "www.example.test";

/// Workers that share a cache and their questions, and what each wanted done.
struct Workers {
    resolvers: Vec<Resolver>,
    now: Instant,
}

impl Workers {
    fn new(count: u16) -> Self {
        Self::with(count, |_| ())
    }

    /// With a block that `change` has changed.
    fn with(count: u16, change: impl Fn(&mut Block)) -> Self {
        let (cache, questions) = (Arc::new(Cache::new(1 << 20)), Arc::new(SharedInflight::default()));
        let resolvers = (0..count).map(|worker| {
            let mut block = fixture::block();
            change(&mut block);
            Resolver::new(ResolverConfig {
                worker: WorkerId(worker),
                cache: Arc::clone(&cache),
                shared_inflight: Arc::clone(&questions),
                ..fixture::resolver_config(fixture::policy(block))
            })
        });
        Self { resolvers: resolvers.collect(), now: testkit::clock::now() }
    }

    fn ask(&mut self, worker: usize) -> Sent {
        let client = Client {
            listener: ListenerId(0),
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
            local: None,
            connection: None,
        };
        let query = QueryOptions::default().message(4711, NAME, RecordType::A).unwrap();
        let query = text::encode(&query).unwrap();
        self.tell(worker, |resolver, now, outbox| resolver.on_query(now, client, &query, outbox))
    }

    /// The upstream answers with `words`.
    fn answer(&mut self, worker: usize, asked: &Sent, words: &[&str]) -> Sent {
        let (ask, question) = asked.questions.first().expect("a question was asked");
        let mut response = text::decode(question).unwrap();
        response.metadata.message_type = MessageType::Response;
        let response = text::encode(&text::parse(words, response).unwrap()).unwrap();
        self.tell(worker, |resolver, now, outbox| resolver.on_response(now, ask.attempt, &response, outbox))
    }

    fn relay(&mut self, relay: &ShareResult) -> Sent {
        let ShareResult { to, key, result } = relay;
        self.tell(usize::from(to.0), |resolver, now, outbox| {
            resolver.on_shared_result(now, key, result, outbox)
        })
    }

    fn tell(&mut self, worker: usize, tell: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) -> Sent {
        let mut outbox = Outbox::default();
        tell(&mut self.resolvers[worker], self.now, &mut outbox);
        let mut sent = Sent::default();
        for action in &outbox.actions {
            match action {
                Action::Respond(answered) => {
                    let message = text::decode(outbox.octets(answered.message)).unwrap();
                    sent.answers.push(text::format(&message));
                }
                Action::SendQuery(ask) => sent.questions.push((*ask, outbox.octets(ask.message).to_vec())),
                Action::ShareResult(relay) => sent.relays.push(relay.clone()),
                _ => {}
            }
        }
        sent
    }
}

/// What one call wanted done.
#[derive(Default)]
struct Sent {
    answers: Vec<String>,
    questions: Vec<(SendQuery, Vec<u8>)>,
    relays: Vec<ShareResult>,
}

#[test]
fn what_two_workers_miss_is_asked_once_and_told_to_both() {
    let mut workers = Workers::new(2);
    let asked = workers.ask(0);
    assert_eq!(asked.questions.len(), 1);
    let joined = workers.ask(1);
    assert!(joined.questions.is_empty() && joined.answers.is_empty());

    let told = workers.answer(0, &asked, &[NAME, "30", "A", "192.0.2.7"]);
    assert_eq!(told.answers.len(), 1);
    let followed = workers.relay(told.relays.first().expect("the other worker is told"));
    assert_eq!(followed.answers, told.answers);
    assert!(followed.questions.is_empty() && followed.relays.is_empty());
}

#[test]
fn an_answer_that_is_not_kept_reaches_the_other_worker_too() {
    let mut workers = Workers::new(2);
    let asked = workers.ask(0);
    workers.ask(1);
    let told = workers.answer(0, &asked, &["REFUSED"]);
    let followed = workers.relay(told.relays.first().expect("the other worker is told"));
    assert_eq!(followed.answers, told.answers);
    assert_eq!(workers.ask(1).questions.len(), 1, "the question is free again");
}

#[test]
fn a_failure_is_told_to_both_and_the_question_is_free_again() {
    let mut workers = Workers::new(2);
    workers.ask(0);
    workers.ask(1);
    workers.now += Duration::from_millis(4500);
    let told = workers.tell(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(told.answers.len(), 1);
    let followed = workers.relay(told.relays.first().expect("the other worker is told"));
    assert_eq!(followed.answers, told.answers);
    assert_eq!(workers.ask(1).answers.len(), 1, "both know of the failure");
    workers.now += Duration::from_secs(5);
    assert_eq!(workers.ask(1).questions.len(), 1);
}

#[test]
fn a_worker_whose_deadline_comes_first_does_not_wait_for_the_other() {
    let mut workers = Workers::new(2);
    let asked = workers.ask(0);
    workers.ask(1);
    workers.now += Duration::from_millis(4500);
    let gave_up = workers.tell(1, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(gave_up.answers.len(), 1);
    assert!(gave_up.relays.is_empty());

    let told = workers.answer(0, &asked, &[NAME, "30", "A", "192.0.2.7"]);
    let late = workers.relay(told.relays.first().expect("it had asked to be told"));
    assert!(late.answers.is_empty());
    assert_eq!(workers.ask(1).answers, told.answers, "it is in the cache of both");
}

#[test]
fn what_the_other_has_just_kept_is_not_asked_again() {
    let mut workers = Workers::new(2);
    let asked = workers.ask(0);
    let told = workers.answer(0, &asked, &[NAME, "30", "A", "192.0.2.7"]);
    assert!(told.relays.is_empty());
    let hit = workers.ask(1);
    assert_eq!(hit.answers, told.answers);
    assert!(hit.questions.is_empty());
}

#[test]
fn a_worker_that_hangs_does_not_keep_a_question_for_ever() {
    let mut workers = Workers::new(2);
    workers.ask(0);
    workers.ask(1);
    workers.now += Duration::from_millis(4501);
    let gave_up = workers.tell(1, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(gave_up.answers.len(), 1);
    let asked = workers.ask(1);
    assert_eq!(
        asked.questions.len(),
        1,
        "the other has not said how its question ended, and its time is over"
    );

    let awake = workers.tell(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert!(awake.relays.is_empty(), "the question is no longer its own");
    let told = workers.answer(1, &asked, &[NAME, "30", "A", "192.0.2.7"]);
    assert_eq!(told.answers.len(), 1);
}

#[test]
fn what_another_worker_has_prefetched_is_not_prefetched_again() {
    let mut workers = Workers::with(2, |block| {
        let cache = block.cache.as_mut().expect("it has a cache");
        cache.prefetch = Some(Prefetch { amount: 1, duration: Duration::from_secs(60), percent: 10 });
    });
    let asked = workers.ask(0);
    workers.answer(0, &asked, &[NAME, "30", "A", "192.0.2.7"]);
    assert_eq!(workers.ask(1).answers.len(), 1);
    workers.now += Duration::from_secs(28);
    let again = workers.ask(0);
    assert_eq!((again.answers.len(), again.questions.len()), (1, 1));
    workers.answer(0, &again, &[NAME, "30", "A", "192.0.2.9"]);

    let near_its_end = workers.ask(1);
    assert_eq!((near_its_end.answers.len(), near_its_end.questions.len()), (1, 0));
    let renewed = workers.ask(1);
    assert!(renewed.answers.iter().all(|answer| answer.contains("192.0.2.9")), "{:?}", renewed.answers);
    assert!(renewed.questions.is_empty());
}

#[test]
fn who_waits_for_a_worker_that_hangs_is_told_by_the_next_one() {
    let mut workers = Workers::new(3);
    workers.ask(0);
    workers.now += Duration::from_millis(4000);
    workers.ask(1);
    workers.now += Duration::from_millis(501);
    let asked = workers.ask(2);
    assert_eq!(asked.questions.len(), 1, "the time of the first is over");
    let told = workers.answer(2, &asked, &[NAME, "30", "A", "192.0.2.7"]);
    let followed = workers.relay(told.relays.first().expect("the second still waits"));
    assert_eq!(followed.answers, told.answers);
}

#[test]
fn a_failure_ends_with_the_upstreams_it_came_from() {
    let mut workers = Workers::new(1);
    workers.ask(0);
    workers.now += Duration::from_millis(4500);
    workers.tell(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(workers.ask(0).questions.len(), 0, "the failure is told again");
    workers.tell(0, |resolver, _, outbox| resolver.set_policy(fixture::policy(fixture::block()), outbox));
    assert_eq!(workers.ask(0).questions.len(), 1, "other upstreams may know");

    workers.tell(0, |resolver, _, outbox| resolver.set_policy(fixture::policy(fixture::block()), outbox));
    workers.now += Duration::from_millis(4500);
    let failed = workers.tell(0, |resolver, now, outbox| resolver.on_timer(now, outbox));
    assert_eq!(failed.answers.len(), 1);
    assert_eq!(workers.ask(0).questions.len(), 1, "those that were not heard of are no longer asked");
}
