//! What workers know of upstreams together, and what takes more questions than a scenario tells.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected fails")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Action, AttemptFailure, AttemptId, Client, Outbox, SendQuery};
use resolver::inflight::shared::WorkerId;
use resolver::policy::{Forward, ForwardOptions, ListenerId, Policy, SelectionPolicy, Upstream, UpstreamId};
use resolver::{Resolver, ResolverConfig};
use testkit::client::QueryOptions;
use testkit::{MessageType, RecordType, fixture, text};

/// One worker and what it wanted done last.
struct Worker {
    resolver: Resolver,
    now: Instant,
    asks: Vec<(SendQuery, Vec<u8>)>,
    forgotten: Vec<AttemptId>,
    answers: Vec<String>,
}

impl Worker {
    fn new(number: u16, policy: Arc<Policy>) -> Self {
        let resolver =
            Resolver::new(ResolverConfig { worker: WorkerId(number), ..fixture::resolver_config(policy) });
        let now = testkit::clock::now();
        Self { resolver, now, asks: Vec::new(), forgotten: Vec::new(), answers: Vec::new() }
    }

    /// A client asks for an address.
    fn ask(&mut self, name: &str) {
        let client = Client {
            listener: ListenerId(0),
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
            local: None,
            connection: None,
        };
        let query =
            text::encode(&QueryOptions::default().message(4711, name, RecordType::A).unwrap()).unwrap();
        self.tell(|resolver, now, outbox| resolver.on_query(now, client, &query, outbox));
    }

    /// The upstream answers with `words`.
    fn answer(&mut self, (ask, question): &(SendQuery, Vec<u8>), words: &[&str]) {
        let mut response = text::decode(question).unwrap();
        response.metadata.message_type = MessageType::Response;
        let response = text::encode(&text::parse(words, response).unwrap()).unwrap();
        self.tell(|resolver, now, outbox| resolver.on_response(now, ask.attempt, &response, outbox));
    }

    fn fail(&mut self, (ask, _): &(SendQuery, Vec<u8>), failure: AttemptFailure) {
        self.tell(|resolver, now, outbox| resolver.on_failure(now, ask.attempt, failure, outbox));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.tell(|resolver, now, outbox| resolver.on_timer(now, outbox));
    }

    fn tell(&mut self, tell: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) {
        let mut outbox = Outbox::default();
        tell(&mut self.resolver, self.now, &mut outbox);
        self.asks.clear();
        self.forgotten.clear();
        self.answers.clear();
        for action in &outbox.actions {
            match action {
                Action::SendQuery(ask) => self.asks.push((*ask, outbox.octets(ask.message).to_vec())),
                Action::CancelAttempt(attempt) => self.forgotten.push(*attempt),
                Action::Respond(answered) => {
                    let message = text::decode(outbox.octets(answered.message)).unwrap();
                    self.answers.push(text::format(&message));
                }
                _ => {}
            }
        }
    }

    /// Takes the questions for NS, our probes, out of what was asked.
    fn probes(&mut self) -> Vec<(SendQuery, Vec<u8>)> {
        let is_probe = |(_, question): &mut (SendQuery, Vec<u8>)| {
            text::decode(question).unwrap().queries[0].query_type == RecordType::NS
        };
        self.asks.extract_if(.., is_probe).collect()
    }
}

/// The root to `forward`, in a policy of each worker's own with the state shared.
fn policy(forward: &Forward) -> Arc<Policy> {
    let forward = Forward {
        options: ForwardOptions {
            except: Vec::new(),
            failover: Vec::new(),
            next: Vec::new(),
            ..forward.options.clone()
        },
        upstreams: forward.upstreams.clone(),
        state: Arc::clone(&forward.state),
    };
    fixture::policy(resolver::policy::Block { forwards: vec![forward], ..fixture::block() })
}

fn upstreams(count: u16) -> Vec<Upstream> {
    (0..count).map(|number| Upstream { id: UpstreamId(number), ..fixture::upstream() }).collect()
}

#[test]
fn random_order_is_a_fresh_permutation_for_each_question() {
    let mut forward = Forward { upstreams: upstreams(3), ..fixture::forward(fixture::upstream()) };
    forward.options.policy = SelectionPolicy::Random;
    let mut worker = Worker::new(0, policy(&forward));
    let mut firsts = [0; 3];
    for number in 0..300 {
        worker.ask(&format!("name-{number}.example.test"));
        let mut order = Vec::new();
        for _ in 0..3 {
            let asked = worker.asks.iter().find(|(ask, _)| !order.contains(&ask.upstream.0)).unwrap().clone();
            order.push(asked.0.upstream.0);
            worker.fail(&asked, AttemptFailure::Local);
        }
        firsts[usize::from(order[0])] += 1;
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
    }
    assert!(firsts.iter().all(|first| (60..140).contains(first)), "{firsts:?}");
}

#[test]
fn one_worker_probes_for_all_and_all_know() {
    let forward = fixture::forward(fixture::upstream());
    let mut workers = [Worker::new(0, policy(&forward)), Worker::new(1, policy(&forward))];
    let mut probes = Vec::new();
    for worker in &mut workers {
        worker.ask("www.example.test");
        let asked = worker.asks[0].clone();
        worker.fail(&asked, AttemptFailure::Refused);
        probes.extend(worker.probes());
    }
    assert_eq!(probes.len(), 1, "the second worker leaves it to the first");
    let [first, second] = &mut workers;
    for _ in 0..3 {
        first.fail(&probes.pop().expect("a probe"), AttemptFailure::Refused);
        first.pass(Duration::from_millis(500));
        probes.extend(first.probes());
    }
    let [of_first, of_second] = [first, second].map(|worker| {
        worker.ask("mail.example.test");
        let asked = worker.asks.pop().expect("the last upstream is asked even when it is down");
        worker.fail(&asked, AttemptFailure::Refused);
        worker.answers.len()
    });
    assert_eq!((of_first, of_second), (1, 1), "after one attempt, because it is down for both");
    let [first, second] = &mut workers;
    first.answer(&probes.pop().expect("a probe"), &["REFUSED"]);
    second.ask("ftp.example.test");
    let asked = second.asks.pop().unwrap();
    second.fail(&asked, AttemptFailure::Refused);
    assert!(second.answers.is_empty(), "it is up again, and has a second attempt");
}

#[test]
fn a_reload_ends_the_probes_of_the_old_policy() {
    let forward = fixture::forward(fixture::upstream());
    let mut worker = Worker::new(0, policy(&forward));
    worker.ask("www.example.test");
    let asked = worker.asks.pop().unwrap();
    worker.fail(&asked, AttemptFailure::Refused);
    let probe = worker.probes().pop().expect("a probe");
    let reloaded = policy(&forward);
    worker.tell(|resolver, _, outbox| resolver.set_policy(reloaded, outbox));
    assert_eq!(worker.forgotten, [probe.0.attempt]);
    worker.pass(Duration::from_millis(50));
    let second = worker.asks.pop().expect("the open question goes on as it began");
    worker.fail(&second, AttemptFailure::Refused);
    assert!(worker.probes().is_empty(), "but starts no probe of an upstream that may be gone");
    worker.ask("mail.example.test");
    let asked = worker.asks.pop().unwrap();
    worker.fail(&asked, AttemptFailure::Refused);
    assert_eq!(worker.probes().len(), 1, "under the new policy it is probed again");
}

#[test]
fn fifty_hostile_names_of_each_kind_take_no_upstream_down() {
    let forward = fixture::forward(fixture::upstream());
    let mut worker = Worker::new(0, policy(&forward));
    for number in 0..200 {
        worker.ask(&format!("hostile-{number}.example.test"));
        for _ in 0..40 {
            for probe in worker.probes() {
                worker.answer(&probe, &["NXDOMAIN"]);
            }
            let Some(asked) = worker.asks.pop() else {
                worker.pass(Duration::from_millis(250));
                continue;
            };
            match number % 4 {
                0 => worker.fail(&asked, AttemptFailure::Closed { reused: false }),
                1 => worker.fail(&asked, AttemptFailure::TimedOut),
                2 => worker.answer(&asked, &["SERVFAIL"]),
                _ => worker.tell(|resolver, now, outbox| {
                    resolver.on_response(now, asked.0.attempt, &[0xff; 40], outbox);
                }),
            }
        }
    }
    worker.ask("honest.example.test");
    let asked = worker.asks.pop().expect("asked at once");
    worker.answer(&asked, &["honest.example.test", "30", "A", "192.0.2.7"]);
    assert_eq!(worker.answers.len(), 1);
    worker.ask("refused.example.test");
    let asked = worker.asks.pop().unwrap();
    worker.fail(&asked, AttemptFailure::Refused);
    assert!(worker.answers.is_empty(), "it has a second attempt, as an upstream that is up");
}

#[test]
fn one_early_attempt_for_ten_ordinary_ones() {
    let forward = fixture::forward(fixture::upstream());
    let counters = Arc::clone(&forward.upstreams[0].counters);
    let mut worker = Worker::new(0, policy(&forward));
    for number in 0..400 {
        worker.ask(&format!("slow-{number}.example.test"));
        let asked = worker.asks.pop().expect("asked");
        worker.pass(Duration::from_millis(500));
        let early = worker.asks.pop();
        worker.fail(&asked, AttemptFailure::Local);
        if let Some(early) = early {
            worker.fail(&early, AttemptFailure::Local);
        }
        worker.pass(Duration::from_secs(5));
    }
    // Ten to begin with; what the first question earns finds the purse full.
    assert_eq!(counters.hedged.get(), 10 + (400 - 1) / 10);
    assert_eq!(counters.hedges_throttled.get(), 400 - 49);
}
