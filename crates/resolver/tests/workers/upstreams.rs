//! Upstream state shared by workers: health checks, RTT estimates, silent upstreams; selection and
//! hedge budget over many queries.

use std::sync::Arc;
use std::time::Duration;

use resolver::ResolverConfig;
use resolver::action::AttemptFailure;
use resolver::policy::{Forward, ResolverLimits, SelectionPolicy, Upstream, UpstreamId};
use testkit::fixture;

use crate::worker::{Worker, policy};

fn upstreams(count: u16) -> Vec<Upstream> {
    (0..count).map(|number| Upstream { id: UpstreamId(number), ..fixture::upstream() }).collect()
}

#[test]
fn random_policy_shuffles_upstreams_for_each_query() {
    let mut forward = Forward { upstreams: upstreams(3), ..fixture::forward(fixture::upstream()) };
    forward.options.policy = SelectionPolicy::Random;
    let mut worker = Worker::new(0, policy(&forward));
    let mut firsts = [0; 3];
    for number in 0..300 {
        worker.query(&format!("name-{number}.example.test"));
        let mut order = Vec::new();
        for _ in 0..3 {
            let sent = worker
                .actions
                .queries
                .iter()
                .find(|(sent, _)| !order.contains(&sent.connection.upstream.0))
                .unwrap()
                .clone();
            order.push(sent.0.connection.upstream.0);
            worker.fail(&sent, AttemptFailure::Local);
        }
        firsts[usize::from(order[0])] += 1;
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
        worker.advance(Duration::from_secs(5));
    }
    assert!(firsts.iter().all(|first| (60..140).contains(first)), "{firsts:?}");
}

#[test]
fn one_worker_health_checks_for_all() {
    let forward = fixture::forward(fixture::upstream());
    let mut workers = [Worker::new(0, policy(&forward)), Worker::new(1, policy(&forward))];
    let mut checks = Vec::new();
    for worker in &mut workers {
        worker.query("www.example.test");
        let sent = worker.actions.queries[0].clone();
        worker.fail(&sent, AttemptFailure::Refused);
        checks.extend(worker.health_checks());
    }
    assert_eq!(checks.len(), 1, "one worker checks for both");
    let [first, second] = &mut workers;
    for _ in 0..3 {
        first.fail(&checks.pop().expect("a health check"), AttemptFailure::Refused);
        first.advance(Duration::from_millis(500));
        checks.extend(first.health_checks());
    }
    let [of_first, of_second] = [first, second].map(|worker| {
        worker.query("mail.example.test");
        let sent = worker.actions.queries.pop().expect("the last upstream is queried even when it is down");
        worker.fail(&sent, AttemptFailure::Refused);
        worker.actions.responses.len()
    });
    assert_eq!((of_first, of_second), (1, 1), "one attempt, since it is down for both");
    let [first, second] = &mut workers;
    first.respond(&checks.pop().expect("a health check"), &["REFUSED"]);
    second.query("ftp.example.test");
    let sent = second.actions.queries.pop().unwrap();
    second.fail(&sent, AttemptFailure::Refused);
    assert!(second.actions.responses.is_empty(), "it is up again and gets a second attempt");
}

#[test]
fn a_reload_cancels_health_checks_of_the_old_policy() {
    let forward = fixture::forward(fixture::upstream());
    let mut worker = Worker::new(0, policy(&forward));
    worker.query("www.example.test");
    let sent = worker.actions.queries.pop().unwrap();
    worker.fail(&sent, AttemptFailure::Refused);
    let check = worker.health_checks().pop().expect("a health check");
    let reloaded = policy(&forward);
    worker.call(|resolver, now, outbox| resolver.set_policy(now, reloaded, outbox));
    assert_eq!(worker.actions.closed, [check.0.connection]);
    worker.advance(Duration::from_millis(50));
    let second = worker.actions.queries.pop().expect("the in-flight query continues under the old policy");
    worker.fail(&second, AttemptFailure::Refused);
    assert!(worker.health_checks().is_empty(), "it starts no health check of a removed upstream");
    worker.query("mail.example.test");
    let sent = worker.actions.queries.pop().unwrap();
    worker.fail(&sent, AttemptFailure::Refused);
    assert_eq!(worker.health_checks().len(), 1, "the new policy starts a health check");
}

#[test]
fn failing_names_do_not_mark_an_upstream_down() {
    let forward = fixture::forward(fixture::upstream());
    let mut worker = Worker::new(0, policy(&forward));
    for number in 0..200 {
        worker.query(&format!("hostile-{number}.example.test"));
        for _ in 0..40 {
            for check in worker.health_checks() {
                worker.respond(&check, &["NXDOMAIN"]);
            }
            let Some(sent) = worker.actions.queries.pop() else {
                worker.advance(Duration::from_millis(250));
                continue;
            };
            match number % 4 {
                0 => worker.reset(&sent),
                1 => worker.fail(&sent, AttemptFailure::TimedOut),
                2 => worker.respond(&sent, &["SERVFAIL"]),
                _ => worker.deliver(&sent.0, &[0xff; 40]),
            }
        }
    }
    worker.query("honest.example.test");
    let sent = worker.actions.queries.pop().expect("queried at once");
    worker.respond(&sent, &["honest.example.test", "30", "A", "192.0.2.7"]);
    assert_eq!(worker.actions.responses.len(), 1);
    worker.advance(Duration::from_secs(8));
    worker.query("refused.example.test");
    let sent = worker.actions.queries.pop().unwrap();
    worker.fail(&sent, AttemptFailure::Refused);
    assert!(worker.actions.responses.is_empty(), "it gets a second attempt, as an upstream that is up");
}

#[test]
fn workers_share_the_rtt_estimate() {
    let forward = fixture::forward(fixture::upstream());
    let mut workers = [Worker::new(0, policy(&forward)), Worker::new(1, policy(&forward))];
    let [first, second] = &mut workers;
    first.query("one.example.test");
    let sent = first.actions.queries.pop().unwrap();
    first.advance(Duration::from_millis(40));
    first.respond(&sent, &["one.example.test", "30", "A", "192.0.2.1"]);
    second.query("two.example.test");
    second.advance(Duration::from_millis(120));
    assert_eq!(second.actions.queries.len(), 1, "hedged after 40 ms + 4 × 20 ms");
}

/// An upstream that leaves queries unanswered and one that responds.
fn silent_and_responsive(policy: SelectionPolicy) -> Forward {
    let mut forward = Forward { upstreams: upstreams(2), ..fixture::forward(fixture::upstream()) };
    for upstream in &mut forward.upstreams {
        upstream.state = Arc::default();
        upstream.counters = Arc::default();
    }
    forward.options.policy = policy;
    forward.options.health_check.max_fails = 0;
    forward
}

#[test]
fn workers_share_the_state_of_a_silent_upstream() {
    let forward = silent_and_responsive(SelectionPolicy::Sequential);
    let mut workers = [0, 1, 2].map(|number| Worker::new(number, policy(&forward)));
    for worker in &mut workers {
        worker.query("one.example.test");
        worker.advance(Duration::from_millis(200));
    }
    let counters = &forward.upstreams[0].counters;
    assert_eq!(counters.retransmissions.get(), 3);
    let mut probes = Vec::new();
    for worker in &mut workers {
        worker.query("two.example.test");
        let sent = worker.actions.queries.drain(..).collect::<Vec<_>>();
        assert_eq!(sent[0].0.connection.upstream.0, 1, "silent for all workers");
        probes.extend(sent.into_iter().skip(1));
    }
    assert_eq!(probes.len(), 1, "one probe in the process");
    assert_eq!(counters.probes.get(), 1);
    let [first, second, _] = &mut workers;
    first.respond(&probes.pop().expect("the probe of the first worker"), &["SERVFAIL"]);
    second.query("three.example.test");
    assert_eq!(second.actions.queries[0].0.connection.upstream.0, 0, "regular again for all workers");
}

#[test]
fn a_worker_that_ends_releases_its_probe() {
    let forward = silent_and_responsive(SelectionPolicy::Sequential);
    let mut worker = Worker::new(0, policy(&forward));
    for name in ["one.example.test", "two.example.test", "three.example.test"] {
        worker.query(name);
    }
    worker.advance(Duration::from_millis(200));
    worker.query("four.example.test");
    assert_eq!(worker.actions.queries.len(), 2);
    drop(worker);
    let mut worker = Worker::new(1, policy(&forward));
    worker.query("five.example.test");
    assert_eq!(worker.actions.queries.len(), 2);
}

#[test]
fn random_policy_queries_a_silent_upstream_last() {
    let forward = silent_and_responsive(SelectionPolicy::Random);
    let mut worker = Worker::new(0, policy(&forward));
    let mut waited = 0;
    for number in 0..100 {
        worker.query(&format!("name-{number}.example.test"));
        let mut sent = worker.actions.queries.remove(0);
        if sent.0.connection.upstream.0 == 0 {
            waited += 1;
            worker.advance(Duration::from_millis(200));
            sent = worker.actions.queries.remove(0);
        }
        worker.respond(&sent, &["SERVFAIL"]);
        assert_eq!(worker.actions.responses.len(), 1);
    }
    assert_eq!(waited, 3);
}

#[test]
fn a_removed_upstream_leaves_no_hedge_budget() {
    let [first, second] =
        [0, 1].map(|number| fixture::forward(Upstream { id: UpstreamId(number), ..fixture::upstream() }));
    let counters = Arc::clone(&first.upstreams[0].counters);
    let limits = ResolverLimits { initial_hedges: 1, ..ResolverLimits::default() };
    let mut worker = Worker::with(ResolverConfig { limits, ..fixture::resolver_config(policy(&first)) });
    let hedged = |worker: &mut Worker, name: &str| {
        worker.query(name);
        worker.advance(Duration::from_secs(1));
        worker.advance(Duration::from_secs(5));
        counters.hedged.get()
    };
    assert_eq!(hedged(&mut worker, "one.example.test"), 1);
    assert_eq!(hedged(&mut worker, "two.example.test"), 1, "the budget is exhausted");
    for forward in [&second, &first] {
        let reloaded = policy(forward);
        worker.call(|resolver, now, outbox| resolver.set_policy(now, reloaded, outbox));
    }
    assert_eq!(hedged(&mut worker, "three.example.test"), 2);
}

#[test]
fn one_hedge_per_ten_attempts() {
    let forward = fixture::forward(fixture::upstream());
    let counters = Arc::clone(&forward.upstreams[0].counters);
    let mut worker = Worker::new(0, policy(&forward));
    for number in 0..400 {
        worker.query(&format!("slow-{number}.example.test"));
        let sent = worker.actions.queries.pop().expect("an upstream query");
        worker.advance(Duration::from_secs(1)); // the RTO without any response, backed off
        let hedge = worker.actions.queries.pop();
        worker.fail(&sent, AttemptFailure::Local);
        if let Some(hedge) = hedge {
            worker.fail(&hedge, AttemptFailure::Local);
        }
        worker.advance(Duration::from_secs(5));
    }
    // The initial budget is ten hedges; the first attempt adds nothing to a full budget.
    assert_eq!(counters.hedged.get(), 10 + (400 - 1) / 10);
    assert_eq!(counters.hedges_throttled.get(), 400 - 49);
}
