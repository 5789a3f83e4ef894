//! The decisions of a caching DNS forwarder, without I/O: what to respond, where to forward, what
//! to cache.
//!
//! [`Resolver`] takes packets and times and fills an [`Outbox`] with actions for its worker. Time,
//! randomness and [`Policy`] are passed in, so equal inputs give equal actions, and tests run in
//! virtual time.
//!
//! Entry points: [`Resolver::on_query`], [`Resolver::on_connected`], [`Resolver::on_response`],
//! [`Resolver::on_partial_message`], [`Resolver::on_disconnected`], [`Resolver::on_shared_result`]
//! and [`Resolver::on_timer`].
//!
//! The path of a query: this file (checks and zone matching), `front` (answers in front of the
//! cache), `dns64` (AAAA records), `hit` (cache hits), `local` (answers of our own), `rewriting`
//! (questions for upstreams), `miss` (a miss from coalescing to sending), `outcome` (the response, the
//! cache write, the waiters), `lookup` (CNAME targets), `retry` (attempts without a usable response),
//! `connection_loss` (attempts that have lost their connection), `outage` (no response from any
//! upstream). They compose types with a state of their own: the worker's cache in [`cache`], the
//! in-flight table and its memory in [`inflight`], attempts, connection pools and health checks in
//! `upstream`, and `timers`. `request` and `respond` hold a client's query and write its response,
//! [`action`] is the output, [`policy`] the configuration, [`counters`] the metrics.
#![forbid(unsafe_code)]

pub mod action;
pub mod cache;
mod client;
mod config;
mod connection_loss;
pub mod counters;
mod dns64;
mod effects;
mod front;
mod hit;
mod id_map;
pub mod inflight;
mod local;
mod lookup;
mod miss;
#[cfg(all(test, loom_models))]
mod models;
mod nxdomain_cut;
mod outage;
mod outcome;
pub mod policy;
mod request;
mod respond;
mod result;
mod retry;
mod rewriting;
mod store;
mod sync;
mod timers;
mod transport;
mod upstream;
mod usage;

use std::sync::Arc;
use std::time::Instant;

use wire::edns::OptRecord;
use wire::header::{Header, Rcode};
use wire::name::NameBuffer;
use wire::{Query, Response};

use crate::action::{Action, AttemptFailure, Client, Outbox, UpstreamConnectionId};
use crate::cache::lookup::WorkerCache;
use crate::cache::{LookupKey, OwnedKey};
use crate::counters::WorkerCounters;
use crate::effects::Effects;
use crate::inflight::Inflight;
use crate::inflight::lookups::Lookups;
use crate::inflight::memory::WaitingMemory;
use crate::inflight::query::{InflightQuery, Role};
use crate::policy::{Policy, ResolverLimits};
use crate::request::{ReplyEdns, Requester, RoutedQuery, check_keepalive, is_loop, unsupported};
use crate::respond::{QueryCounters, push_response, reject_packet, respond_dropped};
use crate::result::{ErrorResponse, QueryResult, SharedResult};
use crate::timers::{Timer, Timers};
use crate::upstream::Upstreams;
use crate::upstream::loss::MatchedQuery;
pub use config::ResolverConfig;
pub use id_map::IdMap;

/// Timers handled by one call of [`Resolver::on_timer`], so that thousands of queries that time out
/// together do not delay other events.
pub const TIMERS_PER_CALL: usize = 32;

/// The resolver of one worker.
#[derive(Debug)]
pub struct Resolver {
    policy: Arc<Policy>,
    limits: ResolverLimits,
    counters: Arc<WorkerCounters>,
    cache: WorkerCache,
    inflight: Inflight,
    upstreams: Upstreams,
    lookups: Lookups,
    waiting_memory: Arc<WaitingMemory>,
    timers: Timers,
}

impl Resolver {
    /// A resolver without queries in flight.
    pub fn new(config: ResolverConfig) -> Self {
        Self {
            policy: config.policy,
            limits: config.limits,
            cache: WorkerCache::new(config.cache, config.limits.l1_octets, Arc::clone(&config.counters)),
            inflight: Inflight::new(config.worker, config.shared_inflight, Arc::clone(&config.counters)),
            counters: config.counters,
            upstreams: Upstreams::new(config.seed, config.limits.initial_hedges),
            lookups: Lookups::default(),
            waiting_memory: config.waiting_memory,
            timers: Timers::default(),
        }
    }

    /// Applies a new policy, effective from the next query on. Queries in flight complete under the
    /// old one; blocks that keep their ID keep their cached answers. Health checks end, and so do
    /// cached outages, and connections to upstreams that the new policy does not have when the last
    /// query on them is done.
    pub fn set_policy(&mut self, now: Instant, policy: Arc<Policy>, outbox: &mut Outbox) {
        std::mem::replace(&mut self.policy, policy).expire_outages();
        self.cache.clear_l1();
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        self.upstreams.set_policy(&self.policy, &mut effects);
        self.settle(now, outbox);
    }

    /// Empties the worker's own cache in front of the shared one, from which entries have been removed.
    pub fn clear_l1(&mut self) {
        self.cache.clear_l1();
    }

    /// Sets the wall clock: it is `unix_time` at `now`. It only serves to check the validity period
    /// of RRSIGs; TTLs follow the monotonic clock.
    pub fn set_unix_time(&mut self, now: Instant, unix_time: u64) {
        self.cache.set_unix_time(now, unix_time);
    }

    /// A packet from a client.
    pub fn on_query(&mut self, now: Instant, client: Client, packet: &[u8], outbox: &mut Outbox) {
        let mut buffer = NameBuffer::new();
        let query = match Query::parse(packet, &mut buffer) {
            Ok(query) => query,
            Err(rejection) => return reject_packet(&self.counters, client, (packet, rejection), outbox),
        };
        if let Err(rejection) = check_keepalive(&query, &client) {
            return reject_packet(&self.counters, client, (packet, rejection), outbox);
        }
        let query_len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        let policy = Arc::clone(&self.policy);
        let Some(listener) = policy.listener(client.listener) else { return };
        let reply_edns = ReplyEdns::new(listener, &client, &query.header);
        let requester = Requester { client, header: query.header, received: now, query_len, reply_edns };
        let Some(route) = listener.route(query.name.as_wire(), query.qtype) else {
            return respond_dropped(&requester, listener, query.qtype, outbox);
        };
        let requester = requester.with_udp_size(route.block.udp_size);
        let counters = QueryCounters::of(route);
        counters.count_request(&requester, query.qtype);
        let key = LookupKey::new(route.block.id, &query);
        let routed = RoutedQuery { query: &query, key: &key, requester, route };
        if !route.block.front.is_empty() && front::respond(&routed, outbox) {
            return;
        }
        if let Some(rcode) = unsupported(&query, route) {
            if route.block.last_directive.is_none() {
                return respond_dropped(&requester, listener, query.qtype, outbox);
            }
            return requester.respond_error(ErrorResponse::new(rcode), counters, now, outbox);
        }
        if is_loop(&query, route) {
            return outbox.actions.push(Action::LoopDetected(client, route.id));
        }
        if let Some(dns64) = &route.block.dns64
            && self.translate(&routed, dns64, outbox)
        {
            return self.settle(now, outbox);
        }
        if !self.hit(&routed, outbox) {
            self.miss(&routed, None, outbox);
        }
        self.settle(now, outbox);
    }

    /// Responds SERVFAIL to a packet over which [`on_query`](Self::on_query) panicked.
    pub fn on_panic(&self, client: Client, packet: &[u8], outbox: &mut Outbox) {
        let mut buffer = NameBuffer::new();
        let Ok(query) = Query::parse(packet, &mut buffer) else { return };
        let start = outbox.bytes.len();
        wire::reply::error(&query.header, Rcode::SERVFAIL, OptRecord::DEFAULT, &mut outbox.bytes);
        push_response(client, start, None, outbox);
    }

    /// A connection to an upstream is established. Not for UDP sockets, which need not be.
    pub fn on_connected(&mut self, now: Instant, id: UpstreamConnectionId, outbox: &mut Outbox) {
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        self.upstreams.pools.with_pool(id.upstream, |pool| pool.on_connected(id, &mut effects));
        self.settle(now, outbox);
    }

    /// A message received on a connection to an upstream.
    pub fn on_response(
        &mut self,
        now: Instant,
        id: UpstreamConnectionId,
        packet: &[u8],
        outbox: &mut Outbox,
    ) {
        let message_id = Header::read(packet).map(|header| header.id);
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        match self.upstreams.pools.match_message(id, message_id, &mut effects) {
            MatchedQuery::Attempt(attempt) if self.upstreams.health_checks().contains(attempt) => {
                self.upstreams.health_checks().on_response(attempt, packet, &mut effects);
            }
            MatchedQuery::Attempt(attempt) => self.respond_attempt(now, attempt, packet, outbox),
            MatchedQuery::Abandoned { is_stream } => {
                self.counters.late_responses.add(1);
                let has_trailing_octets =
                    || Response::parse(packet).is_ok_and(|response| response.has_trailing_octets);
                if is_stream && has_trailing_octets() {
                    self.upstreams.pools.with_pool(id.upstream, |pool| pool.quarantine(id, &mut effects));
                }
            }
            MatchedQuery::Unknown => {}
        }
        self.settle(now, outbox);
    }

    /// A message has begun to arrive on a stream to an upstream, and its end has not arrived yet.
    /// Called again while it grows, or only once.
    pub fn on_partial_message(&mut self, now: Instant, id: UpstreamConnectionId, outbox: &mut Outbox) {
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        self.upstreams.pools.with_pool(id.upstream, |pool| pool.on_partial_message(id, &mut effects));
    }

    /// A connection to an upstream could not be established, or has ended: closed or reset by the
    /// upstream, or by an error.
    pub fn on_disconnected(
        &mut self,
        now: Instant,
        id: UpstreamConnectionId,
        reason: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        self.upstreams.pools.with_pool(id.upstream, |pool| pool.on_disconnected(id, reason, &mut effects));
        self.settle(now, outbox);
    }

    /// The upstream's host has not acknowledged octets that were sent on a connection, or its SYN:
    /// they or their acknowledgments are lost.
    pub fn on_unacknowledged(&mut self, now: Instant, id: UpstreamConnectionId, outbox: &mut Outbox) {
        self.upstreams.pools.with_pool(id.upstream, |pool| pool.on_unacknowledged(id, now));
        self.settle(now, outbox);
    }

    /// A query could not be written on a connection, which can be used further. `message_id` is that
    /// of the query.
    pub fn on_unsent(
        &mut self,
        now: Instant,
        id: UpstreamConnectionId,
        (message_id, reason): (u16, AttemptFailure),
        outbox: &mut Outbox,
    ) {
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        self.upstreams
            .pools
            .with_pool(id.upstream, |pool| pool.on_unsent(id, message_id, reason, &mut effects));
        self.settle(now, outbox);
    }

    /// The result of a query that another worker owns and this one has coalesced with.
    pub fn on_shared_result(
        &mut self,
        now: Instant,
        key: &OwnedKey,
        result: &SharedResult,
        outbox: &mut Outbox,
    ) {
        let Some(id) = self.inflight.find(&key.hashed()) else { return };
        if self.inflight.get(id).is_some_and(|inflight| inflight.role == Role::Owner) {
            return;
        }
        if let Some(mut inflight) = self.take_inflight(now, id, outbox) {
            inflight.upstream = result.upstream;
            self.respond_all(now, inflight, &result.result, outbox);
        }
        self.settle(now, outbox);
    }

    /// Handles the timers due at `now`, at most [`TIMERS_PER_CALL`] of them and none once the outbox
    /// is full: [`Self::next_timer`] is due while there are more.
    pub fn on_timer(&mut self, now: Instant, outbox: &mut Outbox) {
        for _ in 0..TIMERS_PER_CALL {
            if outbox.is_full() {
                return;
            }
            let Some(timer) = self.timers.pop_due(now) else { return };
            match timer {
                Timer::Attempt(id) => self.on_attempt_timer(now, id, outbox),
                Timer::Query(id) => self.on_query_timer(now, id, outbox),
                Timer::ClientResponse(id) => {
                    let mut effects = Effects { now, timers: &mut self.timers, outbox };
                    self.inflight.on_client_response_timer(id, &mut effects);
                    self.demote_answered(id);
                }
                Timer::Respond => {
                    let mut effects = Effects { now, timers: &mut self.timers, outbox };
                    self.inflight.on_respond_timer(&mut effects);
                }
                Timer::HealthCheck(id) => {
                    let mut effects = Effects { now, timers: &mut self.timers, outbox };
                    self.upstreams.health_checks().on_timer(id, &mut effects);
                }
                Timer::Connection(id) => {
                    let mut effects = Effects { now, timers: &mut self.timers, outbox };
                    self.upstreams.pools.with_pool(id.upstream, |pool| pool.on_timer(id, &mut effects));
                }
                Timer::Lookup(id) => self.end_translation(now, id, outbox),
                Timer::Dial(upstream) => {
                    let mut effects = Effects { now, timers: &mut self.timers, outbox };
                    self.upstreams.pools.with_pool(upstream, |pool| pool.on_dial_timer(&mut effects));
                }
            }
            self.settle(now, outbox);
        }
    }

    /// When [`Self::on_timer`] must be called next, if nothing else happens.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// True while a query is in flight, or completed and not every client has its response; a
    /// draining worker ends when there is none. A client of this or of another worker may wait for
    /// it.
    pub fn has_inflight(&self) -> bool {
        !self.inflight.is_empty()
    }

    /// Responds to the waiters of a query that has been removed from the in-flight table, to those
    /// beyond the capacity of the outbox by timer.
    fn respond_all(
        &mut self,
        now: Instant,
        inflight: InflightQuery,
        result: &QueryResult,
        outbox: &mut Outbox,
    ) {
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        self.inflight.respond_all(inflight, result, &mut effects);
    }
}
