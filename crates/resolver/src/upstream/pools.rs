//! Connection pools of one worker, one per upstream: attempt numbers, and the way of events to the
//! pool concerned.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::connection_use::ConnectionUse;
use super::loss::{LostQuery, MatchedQuery};
use super::pool::Pool;
use super::queue::QueryToSend;
use crate::action::UpstreamConnectionId;
use crate::effects::Effects;
use crate::id_map::IdMap;
use crate::policy::{Upstream, UpstreamId};
use crate::timers::AttemptId;
use crate::transport::Transport;

/// Where and how a query is sent.
pub(super) struct Destination<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) transport: Transport,
    pub(super) usage: ConnectionUse,
    /// False for a refresh and a health check.
    pub(super) has_client: bool,
    /// When the attempt times out.
    pub(super) deadline: Instant,
}

/// Connection pools, source of randomness and attempt numbers of one worker.
#[derive(Debug)]
pub(crate) struct Pools {
    random: StdRng,
    pools: IdMap<UpstreamId, Pool>,
    last_attempt: u64,
    lost: Vec<LostQuery>,
}

impl Pools {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { random: StdRng::from_seed(seed), pools: IdMap::default(), last_attempt: 0, lost: Vec::new() }
    }

    pub(super) fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    /// Sends or queues a query; none when neither is possible.
    pub(super) fn send(
        &mut self,
        query: &wire::query::OutgoingQuery<'_>,
        destination: &Destination<'_>,
        effects: &mut Effects<'_>,
    ) -> Option<AttemptId> {
        let Destination { upstream, transport, usage, has_client, deadline } = *destination;
        self.last_attempt += 1;
        let attempt = AttemptId(self.last_attempt);
        let start = effects.outbox.bytes.len();
        query.write(&mut effects.outbox.bytes);
        let message = effects.outbox.since(start)?;
        let random = &mut self.random;
        let pool = self.pools.entry(upstream.id).or_insert_with(|| Pool::new(upstream, random));
        let query = QueryToSend { attempt, transport, usage, has_client, deadline, message };
        let is_taken = pool.send(&query, effects);
        self.lost.extend(pool.take_lost());
        is_taken.then_some(attempt)
    }

    /// The query that a message belongs to.
    pub(crate) fn match_message(
        &mut self,
        id: UpstreamConnectionId,
        message_id: Option<u16>,
        effects: &mut Effects<'_>,
    ) -> MatchedQuery {
        let matched = self.with_pool(id.upstream, |pool| pool.match_message(id, message_id, effects));
        matched.unwrap_or(MatchedQuery::Abandoned { is_stream: false })
    }

    /// True when the attempt has been sent.
    pub(super) fn is_sent(&self, upstream: UpstreamId, attempt: AttemptId) -> bool {
        self.pools.get(&upstream).is_some_and(|pool| pool.connection_of(attempt).is_some())
    }

    /// An attempt has its response. Returns the time since it was sent.
    pub(super) fn responded(
        &mut self,
        upstream: UpstreamId,
        attempt: AttemptId,
        effects: &mut Effects<'_>,
    ) -> Option<Duration> {
        self.with_pool(upstream, |pool| pool.responded(attempt, effects))?
    }

    /// The connection of an attempt has delivered a message that is out of step.
    pub(super) fn mismatched(&mut self, upstream: UpstreamId, attempt: AttemptId, effects: &mut Effects<'_>) {
        let connection = self.pools.get(&upstream).and_then(|pool| pool.connection_of(attempt));
        if let Some(id) = connection {
            self.with_pool(upstream, |pool| pool.quarantine(id, effects));
        }
    }

    /// Nothing waits for the response of an attempt any more.
    pub(super) fn abandon(&mut self, upstream: UpstreamId, attempt: AttemptId, effects: &mut Effects<'_>) {
        self.with_pool(upstream, |pool| pool.abandon(attempt, effects));
    }

    /// Applies `change` to the pool of an upstream, if it has one.
    pub(crate) fn with_pool<T>(
        &mut self,
        upstream: UpstreamId,
        change: impl FnOnce(&mut Pool) -> T,
    ) -> Option<T> {
        let pool = self.pools.get_mut(&upstream)?;
        let result = change(pool);
        self.lost.extend(pool.take_lost());
        Some(result)
    }

    /// Takes the queries that have to continue elsewhere.
    pub(crate) fn take_lost(&mut self) -> Vec<LostQuery> {
        std::mem::take(&mut self.lost)
    }

    /// Retires the connections of upstreams for which `is_used` does not hold, and removes the pools
    /// of those that have none.
    pub(super) fn retain(&mut self, is_used: impl Fn(UpstreamId) -> bool, effects: &mut Effects<'_>) {
        for (_, pool) in self.pools.iter_mut().filter(|(id, _)| !is_used(**id)) {
            pool.retire_all(effects);
        }
        self.pools.retain(|id, pool| is_used(*id) || !pool.is_empty());
    }
}
