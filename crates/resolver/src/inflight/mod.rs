//! In-flight queries of one worker: query coalescing, waiters, sharing across workers, memory and
//! completion.

mod completed;
pub(crate) mod completion;
pub(crate) mod lookups;
pub(crate) mod losses;
pub mod memory;
#[cfg(all(test, loom_models))]
mod models;
pub(crate) mod outage;
pub(crate) mod query;
pub mod shared;
pub(crate) mod waiters;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use hashbrown::HashTable;

use self::completed::Completed;
use self::query::{InflightQuery, Role};
use self::shared::SharedInflight;
use self::waiters::Waiter;
use crate::action::WorkerId;
use crate::cache::stale::StaleAnswer;
use crate::cache::{HashedKey, OwnedKey};
use crate::counters::WorkerCounters;
use crate::effects::Effects;
use crate::id_map::IdMap;
use crate::result::QueryResult;
use crate::timers::{AttemptId, QueryId, Timer, Timers};
use crate::upstream::query::UpstreamQuery;

/// Table of in-flight queries, with the coalescing index by cache key.
#[derive(Debug)]
pub(crate) struct Inflight {
    worker: WorkerId,
    shared: Arc<SharedInflight>,
    /// Boxed: a table has up to twice as many places as entries.
    queries: IdMap<QueryId, Box<InflightQuery>>,
    by_key: HashTable<(OwnedKey, QueryId)>,
    completed: Completed,
    refreshes: usize,
    last_id: u64,
}

impl Inflight {
    pub(crate) fn new(worker: WorkerId, shared: Arc<SharedInflight>, counters: Arc<WorkerCounters>) -> Self {
        let (queries, by_key, completed) = (IdMap::default(), HashTable::new(), Completed::new(counters));
        Self { worker, shared, queries, by_key, completed, refreshes: 0, last_id: 0 }
    }

    /// True when no query is in flight and no waiter is without a response.
    pub(crate) fn is_empty(&self) -> bool {
        self.queries.is_empty() && self.completed.is_empty()
    }

    /// Number of refreshes: queries that started without a waiter.
    pub(crate) fn refreshes(&self) -> usize {
        self.refreshes
    }

    pub(crate) fn contains(&self, id: QueryId) -> bool {
        self.queries.contains_key(&id)
    }

    pub(crate) fn get(&self, id: QueryId) -> Option<&InflightQuery> {
        self.queries.get(&id).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, id: QueryId) -> Option<&mut InflightQuery> {
        self.queries.get_mut(&id).map(Box::as_mut)
    }

    /// The query in flight for a cache key.
    pub(crate) fn find(&self, key: &HashedKey<'_>) -> Option<QueryId> {
        self.by_key.find(key.hash.table_hash(), |(other, _)| other.is(key)).map(|(_, id)| *id)
    }

    /// Makes this worker the owner of a query until `until`. False when another worker is: this one
    /// then receives the shared result. A query without a key is never shared.
    pub(crate) fn become_owner(&self, query: &UpstreamQuery, now: Instant, until: Instant) -> bool {
        query.shared_key().is_none_or(|key| self.shared.become_owner(key, self.worker, now, until))
    }

    /// Adds a query and schedules its timers.
    pub(crate) fn insert(&mut self, query: InflightQuery, timers: &mut Timers) -> QueryId {
        self.last_id += 1;
        let id = QueryId(self.last_id);
        if let Some(key) = query.query.shared_key().filter(|_| query.role != Role::Detached) {
            let hash = |(key, _): &(OwnedKey, QueryId)| key.hash().table_hash();
            self.by_key.insert_unique(key.hash().table_hash(), (key.clone(), id), hash);
        }
        if let Some(stale) = &query.stale_answer {
            timers.schedule(stale.until, Timer::ClientResponse(id));
        }
        timers.schedule(query.timer, Timer::Query(id));
        self.refreshes += usize::from(query.is_refresh);
        if let Some(forward) = query.query.forward().filter(|_| query.role == Role::Owner) {
            forward.state.inflight_queries.fetch_add(1, Relaxed);
        }
        self.queries.insert(id, Box::new(query));
        id
    }

    /// Adds a waiter to a query, and its stale answer if the query has none yet.
    pub(crate) fn join(
        &mut self,
        id: QueryId,
        waiter: Waiter,
        stale_answer: Option<StaleAnswer>,
        timers: &mut Timers,
    ) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        query.waiters.push(waiter);
        if let Some(stale) = stale_answer.filter(|_| query.stale_answer.is_none()) {
            timers.schedule(stale.until, Timer::ClientResponse(id));
            query.stale_answer = Some(stale);
        }
    }

    /// Moves the timer of a query.
    pub(crate) fn reschedule(&mut self, id: QueryId, at: Instant, timers: &mut Timers) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        timers.cancel(query.timer, Timer::Query(id));
        query.timer = at.min(query.deadline);
        timers.schedule(query.timer, Timer::Query(id));
    }

    /// Removes an attempt from its query.
    pub(crate) fn remove_attempt(&mut self, id: QueryId, attempt: AttemptId) {
        if let Some(query) = self.queries.get_mut(&id) {
            query.attempts.retain(|&other| other != attempt);
        }
    }

    /// Removes a query with its timers and ends its ownership.
    pub(crate) fn remove(&mut self, id: QueryId, timers: &mut Timers) -> Option<InflightQuery> {
        let mut query = self.queries.remove(&id)?;
        timers.cancel(query.timer, Timer::Query(id));
        if let Some(stale) = &query.stale_answer {
            timers.cancel(stale.until, Timer::ClientResponse(id));
        }
        self.refreshes -= usize::from(query.is_refresh);
        self.end_coalescing(&mut query);
        Some(*query)
    }

    /// Responds to all waiters of a query that has been removed, see
    /// [`InflightQuery::respond_all`].
    pub(crate) fn respond_all(
        &mut self,
        mut query: InflightQuery,
        result: &QueryResult,
        effects: &mut Effects<'_>,
    ) {
        query.respond_all(result, &mut self.completed, effects);
    }

    /// Responds to waiters of completed queries for which the outbox had no capacity.
    pub(crate) fn on_respond_timer(&mut self, effects: &mut Effects<'_>) {
        self.completed.on_timer(effects);
    }

    /// Ends the coalescing of a query, which goes on for the cache. Its subscribers are due a
    /// result.
    fn detach(&mut self, id: QueryId) {
        if let Some(mut query) = self.queries.remove(&id) {
            self.end_coalescing(&mut query);
            query.role = Role::Detached;
            self.queries.insert(id, query);
        }
    }

    /// Removes a query from the coalescing index, and ends its ownership.
    fn end_coalescing(&mut self, query: &mut InflightQuery) {
        if query.role == Role::Detached {
            return;
        }
        if let Some(key) = query.query.shared_key() {
            let found = self.by_key.find_entry(key.hash().table_hash(), |(other, _)| other == key);
            if let Ok(found) = found {
                found.remove();
            }
            if query.role == Role::Owner {
                query.subscribers = self.shared.release(key, self.worker);
            }
        }
        if let Some(forward) = query.query.forward().filter(|_| query.role == Role::Owner) {
            forward.state.inflight_queries.fetch_sub(1, Relaxed);
        }
    }
}
