//! One worker with its upstreams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{AttemptFailure, Outbox, SendQuery, WorkerId};
use resolver::policy::{Forward, ForwardOptions, Policy};
use resolver::{Resolver, ResolverConfig};
use testkit::{RecordType, fixture, text};

use crate::exchange::{Actions, SentQuery, client, query, response};

/// One worker and the actions of its last call.
pub(crate) struct Worker {
    resolver: Resolver,
    pub(crate) now: Instant,
    pub(crate) actions: Actions,
}

impl Worker {
    pub(crate) fn new(number: u16, policy: Arc<Policy>) -> Self {
        Self::with(ResolverConfig { worker: WorkerId(number), ..fixture::resolver_config(policy) })
    }

    pub(crate) fn with(config: ResolverConfig) -> Self {
        let now = testkit::clock::now();
        Self { resolver: Resolver::new(config), now, actions: Actions::default() }
    }

    /// A client queries A.
    pub(crate) fn query(&mut self, name: &str) {
        self.call(|resolver, now, outbox| resolver.on_query(now, client(), &query(name), outbox));
    }

    /// A client queries A. Returns the upstream query that is sent at once.
    pub(crate) fn sent(&mut self, name: &str) -> SentQuery {
        self.query(name);
        self.actions.queries.pop().expect("an upstream query")
    }

    /// The upstream responds with `words`.
    pub(crate) fn respond(&mut self, (sent, query): &SentQuery, words: &[&str]) {
        let response = response(query, words);
        self.deliver(sent, &response);
    }

    /// The upstream sends a message on the connection of a query.
    pub(crate) fn deliver(&mut self, sent: &SendQuery, message: &[u8]) {
        self.call(|resolver, now, outbox| {
            resolver.on_connected(now, sent.connection, outbox);
            resolver.on_response(now, sent.connection, message, outbox);
        });
    }

    /// The upstream sends a message with another ID on the connection of a query.
    pub(crate) fn mismatch(&mut self, (sent, query): &SentQuery) {
        let [high, low, ..] = *query.as_slice() else { unreachable!() };
        self.deliver(sent, &[!high, !low, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    /// The connections of queries are established.
    pub(crate) fn establish(&mut self, queries: &[SentQuery]) {
        for (sent, _) in queries {
            self.call(|resolver, now, outbox| resolver.on_connected(now, sent.connection, outbox));
            assert!(self.actions.queries.is_empty());
        }
    }

    /// The upstream resets the connection of a query.
    pub(crate) fn reset(&mut self, query: &SentQuery) {
        self.call(|resolver, now, outbox| resolver.on_connected(now, query.0.connection, outbox));
        self.fail(query, AttemptFailure::Closed);
    }

    /// The connection of a query fails.
    pub(crate) fn fail(&mut self, (sent, _): &SentQuery, failure: AttemptFailure) {
        self.call(|resolver, now, outbox| resolver.on_disconnected(now, sent.connection, failure, outbox));
    }

    /// Time passes up to the next timer, which fires, or up to `limit`; false without a timer until
    /// then.
    pub(crate) fn advance_to_timer(&mut self, limit: Instant) -> bool {
        let next = self.resolver.next_timer().filter(|at| *at <= limit);
        self.now = next.unwrap_or(limit).max(self.now);
        self.call(|resolver, now, outbox| resolver.on_timer(now, outbox));
        next.is_some()
    }

    /// Time passes, and the timers that are due by then fire.
    pub(crate) fn advance(&mut self, time: Duration) {
        self.now += time;
        self.call(|resolver, now, outbox| {
            resolver.on_timer(now, outbox);
            while resolver.next_timer().is_some_and(|at| at <= now) {
                resolver.on_timer(now, outbox);
            }
        });
    }

    /// A share of the timers that are due fires; false when none is due.
    pub(crate) fn fire_share_of_timers(&mut self) -> bool {
        let is_due = self.resolver.next_timer().is_some_and(|at| at <= self.now);
        self.call(|resolver, now, outbox| resolver.on_timer(now, outbox));
        is_due
    }

    pub(crate) fn has_inflight(&self) -> bool {
        self.resolver.has_inflight()
    }

    /// Calls the resolver.
    pub(crate) fn call(&mut self, entry: impl FnOnce(&mut Resolver, Instant, &mut Outbox)) {
        let mut outbox = Outbox::default();
        entry(&mut self.resolver, self.now, &mut outbox);
        self.actions = Actions::from(&outbox);
    }

    /// Takes the health checks, queries for NS, out of the sent queries.
    pub(crate) fn health_checks(&mut self) -> Vec<SentQuery> {
        let is_health_check =
            |(_, query): &mut SentQuery| text::decode(query).unwrap().queries[0].query_type == RecordType::NS;
        self.actions.queries.extract_if(.., is_health_check).collect()
    }
}

/// A policy with the root zone on `forward`, whose state is shared between policies.
pub(crate) fn policy(forward: &Forward) -> Arc<Policy> {
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
