//! One process: a cache, a worker, and an upstream that answers every name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use resolver::action::{Action, AttemptFailure, Outbox, SendQuery};
use resolver::cache::{Cache, ImportTarget, Usage};
use resolver::policy::rewrite::{NamePattern, RewriteField, RewriteRule};
use resolver::policy::{Block, BlockId, CacheOptions};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;

use crate::message::{Query, UpstreamResponse, client};

pub(crate) struct Process {
    pub(crate) cache: Arc<Cache>,
    pub(crate) usage: Arc<Usage>,
    options: CacheOptions,
    rewrites: Arc<[RewriteRule]>,
    block: BlockId,
    resolver: Resolver,
    outbox: Outbox,
    pub(crate) now: Instant,
}

impl Process {
    /// A process with `options` in the block of number `block`, and a cache of `budget` octets.
    pub(crate) fn new(options: CacheOptions, block: u16, budget: u64, now: Instant) -> Self {
        let cache = Cache::new(budget, now);
        let block = Block { id: BlockId(block), cache: Some(options), ..fixture::block() };
        Self::with_block(block, cache, now)
    }

    fn with_block(block: Block, cache: Cache, now: Instant) -> Self {
        let (cache, usage) = (Arc::new(cache), Arc::clone(&block.usage));
        let (options, rewrites) = (block.cache.clone().unwrap(), Arc::clone(&block.rewrites));
        let id = block.id;
        let config =
            ResolverConfig { cache: Arc::clone(&cache), ..fixture::resolver_config(fixture::policy(block)) };
        let (resolver, outbox) = (Resolver::new(config), Outbox::default());
        Self { cache, usage, options, rewrites, block: id, resolver, outbox, now }
    }

    /// A process that sends names that begin with `from` as names that begin with `to`, and leaves
    /// those in responses as they are.
    pub(crate) fn with_renamed_prefix((from, to): (&str, &str), block: u16, now: Instant) -> Self {
        let (pattern, to) = (NamePattern::Prefix(from.to_owned()), to.to_owned());
        let field = RewriteField::Name { pattern, to, auto: false, answers: Vec::new() };
        let rewrites = Arc::new([RewriteRule { continues: false, field }]);
        let block = Block { id: BlockId(block), rewrites, ..fixture::block() };
        Self::with_block(block, Cache::new(64 << 20, now), now)
    }

    /// A process with CoreDNS's default cache.
    pub(crate) fn plain(block: u16, now: Instant) -> Self {
        Self::new(fixture::cache(), block, 64 << 20, now)
    }

    pub(crate) fn import_target(&self) -> ImportTarget {
        ImportTarget {
            block: self.block,
            usage: Arc::clone(&self.usage),
            options: self.options.clone(),
            rewrites: !self.rewrites.is_empty(),
        }
    }

    /// All exported records, the block being number 0.
    pub(crate) fn export(&self) -> Vec<u8> {
        let mut export = self.cache.export(self.now, &HashMap::from([(self.block, 0)]));
        let mut octets = Vec::new();
        export.write_records(usize::MAX, &mut octets);
        assert_eq!(export.remaining(), 0);
        octets
    }

    /// Queries, and lets the upstream respond on a miss; true for a hit.
    pub(crate) fn resolve(&mut self, query: Query<'_>, response: UpstreamResponse) -> bool {
        self.query(query);
        let [.., Action::SendQuery(SendQuery { connection, message })] = self.outbox.actions[..] else {
            return true;
        };
        let response = response.packet(self.outbox.octets(message));
        self.outbox.clear();
        self.resolver.on_response(self.now, connection, &response, &mut self.outbox);
        false
    }

    /// Queries each of these names once.
    pub(crate) fn resolve_all(&mut self, names: &[&str]) {
        for name in names {
            self.resolve(Query::plain(name), UpstreamResponse::Addresses(1, 3600));
        }
    }

    /// Queries, with every attempt at the upstream refused.
    pub(crate) fn fail(&mut self, query: Query<'_>) {
        self.query(query);
        while self.resolver.has_inflight() {
            let connection = self.outbox.actions.iter().find_map(|action| match action {
                Action::SendQuery(sent) => Some(sent.connection),
                _ => None,
            });
            self.outbox.clear();
            match connection {
                Some(connection) => {
                    let refused = AttemptFailure::Refused;
                    self.resolver.on_disconnected(self.now, connection, refused, &mut self.outbox);
                }
                None => {
                    self.now = self.resolver.next_timer().unwrap();
                    self.resolver.on_timer(self.now, &mut self.outbox);
                }
            }
        }
    }

    /// The response from the cache, if there is one.
    pub(crate) fn hit(&mut self, query: Query<'_>) -> Option<Vec<u8>> {
        self.query(query);
        match self.outbox.actions.first() {
            Some(Action::Respond(response)) => Some(self.outbox.octets(response.message).to_vec()),
            _ => None,
        }
    }

    pub(crate) fn is_cached(&mut self, name: &str) -> bool {
        self.hit(Query::plain(name)).is_some()
    }

    /// True when a hit triggers a prefetch.
    pub(crate) fn triggers_prefetch(&mut self, name: &str) -> bool {
        self.query(Query::plain(name));
        matches!(self.outbox.actions[..], [Action::Respond(_), .., Action::SendQuery(_)])
    }

    pub(crate) fn advance(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn query(&mut self, query: Query<'_>) {
        self.outbox.clear();
        self.resolver.on_query(self.now, client(), &query.packet(), &mut self.outbox);
    }
}
