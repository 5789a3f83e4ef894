//! NXDOMAIN cuts of workers that share a cache, and beside many outside names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Outbox, WorkerId};
use resolver::cache::{Cache, CachedEntry};
use resolver::policy::Block;
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;
use wire::header::Rcode;
use wire::name::Name;

use crate::exchange::{Actions, SentQuery, client, query, response};

const ZONE: &str = "cluster.test";
const SUFFIXES: [&str; 3] = ["ns.svc.cluster.test", "svc.cluster.test", "cluster.test"];
const TLDS: [&str; 3] = ["com", "net", "org"];
const DENIAL: &[&str] = &[
    "authority:",
    "cluster.test",
    "30",
    "SOA",
    "ns.cluster.test",
    "host.cluster.test",
    "1",
    "7200",
    "1800",
    "86400",
    "30",
];
const BUDGET: u64 = 2 << 20;

/// Workers with a zone of which few names exist.
struct Pods {
    resolvers: Vec<Resolver>,
    cache: Arc<Cache>,
    now: Instant,
    /// Queries that the upstream got.
    upstream_queries: usize,
}

impl Pods {
    fn new(workers: u16) -> Self {
        let now = testkit::clock::now();
        let cache = Arc::new(Cache::new(BUDGET, now));
        let mut options = fixture::cache();
        options.nxdomain_cut = vec![Name::parse(ZONE).unwrap()];
        let policy = fixture::policy(Block { cache: Some(options), ..fixture::block() });
        let resolver = |worker| {
            let (cache, policy) = (Arc::clone(&cache), Arc::clone(&policy));
            Resolver::new(ResolverConfig {
                worker: WorkerId(worker),
                cache,
                ..fixture::resolver_config(policy)
            })
        };
        Self { resolvers: (0..workers).map(resolver).collect(), cache, now, upstream_queries: 0 }
    }

    fn send(&mut self, worker: usize, name: &str) -> Actions {
        let mut outbox = Outbox::default();
        self.resolvers[worker].on_query(self.now, client(), &query(name), &mut outbox);
        Actions::from(&outbox)
    }

    /// The upstream responds to `sent`, and to what the worker queries upon it.
    fn respond(&mut self, worker: usize, sent: Vec<SentQuery>, words: fn(&str) -> Vec<&str>) -> Vec<String> {
        let (mut sent, mut responses) = (sent, Vec::new());
        while let Some((query, message)) = sent.pop() {
            self.upstream_queries += 1;
            let question = testkit::text::decode(&message).unwrap().queries[0].name().to_ascii();
            let message = response(&message, &words(question.trim_end_matches('.')));
            let mut outbox = Outbox::default();
            self.resolvers[worker].on_response(self.now, query.connection, &message, &mut outbox);
            let actions = Actions::from(&outbox);
            sent.extend(actions.queries);
            responses.extend(actions.responses);
        }
        responses
    }

    /// A client's query and its response.
    fn resolve(&mut self, worker: usize, name: &str) -> String {
        let Actions { responses, queries, .. } = self.send(worker, name);
        let later = self.respond(worker, queries, answer);
        let [response] = <[String; 1]>::try_from([responses, later].concat()).unwrap();
        response
    }

    /// The cuts in the cache.
    fn cuts(&self) -> usize {
        let mut entries: Vec<CachedEntry> = Vec::new();
        let mut from = Some(0);
        while let Some(next) = from {
            from = self.cache.inspect(next, self.now, |_| true, &mut entries);
        }
        entries.iter().filter(|entry| entry.is_nxdomain_cut && entry.rcode == Rcode::NXDOMAIN).count()
    }
}

/// What the upstream responds.
fn answer(name: &str) -> Vec<&str> {
    match name {
        "svc.cluster.test" | "ns.svc.cluster.test" => [&["NOERROR"], DENIAL].concat(),
        "web.ns.svc.cluster.test" => vec![name, "3600", "A", "192.0.2.9"],
        _ if name.ends_with(ZONE) => [&["NXDOMAIN"], DENIAL].concat(),
        _ => vec![name, "3600", "A", "192.0.2.7"],
    }
}

#[test]
fn a_cut_that_one_worker_removes_is_in_force_in_none() {
    let mut pods = Pods::new(2);
    assert!(pods.resolve(0, "www.com.cluster.test").contains("NXDOMAIN"));
    let pending = pods.send(1, "own.com.cluster.test");
    assert!(pending.queries.is_empty(), "a cut of one worker is one of the other");
    assert_eq!(pods.cuts(), 1);

    // Asked before the cut was learned, and answered after it.
    let mut pods = Pods::new(2);
    let early = pods.send(1, "own.com.cluster.test");
    assert!(pods.resolve(0, "www.com.cluster.test").contains("NXDOMAIN"));
    assert_eq!(pods.send(0, "api.com.cluster.test").queries.len(), 0);
    pods.respond(1, early.queries, |name| vec![name, "30", "A", "192.0.2.8"]);
    assert_eq!(pods.cuts(), 0);
    for (worker, name) in [(0, "new.com.cluster.test"), (1, "other.com.cluster.test")] {
        assert_eq!(pods.send(worker, name).queries.len(), 1, "{name}");
    }
}

/// The environment variable `NAMES` has the number of names.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no other settings")]
fn outside_names_leave_a_cut_for_each_tld_and_suffix() {
    let names: usize = std::env::var("NAMES").map_or(2000, |names| names.parse().unwrap());
    let mut pods = Pods::new(1);
    let hot = ["web.ns.svc.cluster.test", "hot.example.org"];
    for name in hot {
        assert!(pods.resolve(0, name).contains("192.0.2"));
    }
    let before = pods.upstream_queries;
    for (number, tld) in (0..names).zip(TLDS.into_iter().cycle()) {
        let name = format!("r{number}.{tld}");
        for suffix in SUFFIXES {
            assert!(pods.resolve(0, &format!("{name}.{suffix}")).contains("NXDOMAIN"), "{name}.{suffix}");
        }
        assert!(pods.resolve(0, &name).contains("192.0.2.7"), "{name}");
        assert_eq!(pods.send(0, hot[number % 2]).queries.len(), 0, "a hot name is a hit");
        pods.now += Duration::from_millis(2);
    }
    assert_eq!(pods.cuts(), TLDS.len() * SUFFIXES.len());
    println!("{names} names: {} KiB, {} upstream queries", pods.cache.weight() >> 10, pods.upstream_queries);
    assert!(pods.cache.weight() <= BUDGET, "{} octets", pods.cache.weight());
    let for_cuts = pods.upstream_queries - before - names;
    assert!(for_cuts < names / 50, "{for_cuts} queries beside one for each of {names} names");
}
