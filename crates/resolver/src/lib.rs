//! What to answer, what to ask, what to remember.
//!
//! [`Resolver`] takes octets, a peer and a time, and fills an [`Outbox`] of actions. It has no socket, no
//! thread, no clock and no configuration file: time, randomness and [`Policy`] are handed in, so that the
//! same inputs always give the same outbox and a day passes in a test in a microsecond.
//!
//! Three entrances tell the story: [`Resolver::on_query`], [`Resolver::on_response`] with its siblings
//! [`Resolver::on_failure`] and [`Resolver::on_shared_result`], and [`Resolver::on_timer`].
//!
//! Reading order: this file (the way of a query), `answering` (what a client is told), `lookup` (what is known already),
//! `inflight` (questions on their way), `joining` (who waits with whom, and [`questions`] for the workers among each
//! other), `forward` (whom to ask, again or no more; with `selection`, the order, `hedge`, a second attempt early, `doubt`,
//! answers that are none, `disposition`, answers that are not good enough, `health_check`, who is down), `ending` (what those who
//! wait are told), `keeping` (what is kept), `life` (how long an answer lives), [`cache`] (with `packing` and
//! `unpacking`: what goes over to another process), [`policy`] (what is obeyed), [`counters`] (what is counted), [`action`]
//! (what is wanted of the worker).
#![forbid(unsafe_code)]

pub mod action;
pub mod cache;
pub mod counters;
pub mod inflight;
pub mod policy;
mod request;
mod respond;
mod timers;
mod transport;
mod upstream;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use wire::Query;
use wire::edns::OptRecord;
use wire::header::Rcode;
use wire::query::Rejection;

use crate::action::{Action, AttemptFailure, AttemptId, Client, Outbox};
use crate::cache::{Cache, L1Cache};
use crate::counters::WorkerCounters;
use crate::inflight::query::{Attempt, InflightQuery};
use crate::inflight::quotas::ClientQuotas;
use crate::inflight::result::{ErrorResponse, SharedResult};
use crate::inflight::shared::{SharedInflight, WorkerId};
use crate::policy::{Policy, ResolverLimits, UpstreamId};
use crate::request::{
    ReplyEdns, Requester, RoutedQuery, check_keepalive, is_loop, is_status_query, unsupported,
};
use crate::respond::{QueryCounters, push_response};
use crate::timers::{QueryId, Timer, Timers};
use crate::upstream::health::HealthCheck;
use crate::upstream::hedge::RttEstimator;

/// What a resolver is given for life.
#[derive(Debug)]
pub struct ResolverConfig {
    /// What it obeys first; see [`Resolver::set_policy`].
    pub policy: Arc<Policy>,
    /// The worker it decides for.
    pub worker: WorkerId,
    /// The cache of the process.
    pub cache: Arc<Cache>,
    /// The open questions of the process.
    pub shared_inflight: Arc<SharedInflight>,
    /// What is counted for its worker.
    pub counters: Arc<WorkerCounters>,
    /// Caps and the deadline.
    pub limits: ResolverLimits,
    /// From the operating system's source of randomness: IDs that cannot be guessed grow from it.
    pub seed: [u8; 32],
}

/// The decisions of one worker.
#[derive(Debug)]
pub struct Resolver {
    policy: Arc<Policy>,
    worker: WorkerId,
    cache: L1Cache,
    shared_inflight: Arc<SharedInflight>,
    counters: Arc<WorkerCounters>,
    limits: ResolverLimits,
    random: StdRng,
    quotas: ClientQuotas,
    inflight: HashMap<QueryId, InflightQuery>,
    by_key: HashMap<Arc<[u8]>, QueryId>,
    attempts: HashMap<AttemptId, Attempt>,
    health_checks: HashMap<AttemptId, HealthCheck>,
    estimators: HashMap<UpstreamId, RttEstimator>,
    ids: HashSet<u16>,
    timers: Timers,
    /// Flights that began without a client that waits.
    refreshes: usize,
    last_number: u64,
    /// What time it was in the world at one moment: seconds since 1970.
    wall_clock: Option<(Instant, u64)>,
}

impl Resolver {
    /// A resolver without open questions.
    pub fn new(config: ResolverConfig) -> Self {
        Self {
            policy: config.policy,
            worker: config.worker,
            cache: L1Cache::new(config.cache),
            shared_inflight: config.shared_inflight,
            counters: config.counters,
            limits: config.limits,
            random: StdRng::from_seed(config.seed),
            quotas: ClientQuotas::new(),
            inflight: HashMap::new(),
            by_key: HashMap::new(),
            attempts: HashMap::new(),
            health_checks: HashMap::new(),
            estimators: HashMap::new(),
            ids: HashSet::new(),
            timers: Timers::default(),
            refreshes: 0,
            last_number: 0,
            wall_clock: None,
        }
    }

    /// Obeys `policy` from the next query on. Open questions end as they began; what the cache holds for
    /// blocks that keep their number stays.
    /// Probes of the old policy end, and so do failures of upstreams of which nothing was heard.
    pub fn set_policy(&mut self, policy: Arc<Policy>, outbox: &mut Outbox) {
        std::mem::replace(&mut self.policy, policy).expire_outages();
        self.cache.clear();
        self.stop_health_checks(outbox);
    }

    /// Learns that it is `unix_time` seconds since 1970 at `now`. Only the validity of signatures is judged by it; lives
    /// are counted by a clock that nobody sets.
    pub fn set_unix_time(&mut self, now: Instant, unix_time: u64) {
        self.wall_clock = Some((now, unix_time));
    }

    /// A packet from a client.
    pub fn on_query(&mut self, now: Instant, client: Client, packet: &[u8], outbox: &mut Outbox) {
        let query = match Query::parse(packet) {
            Ok(query) => query,
            Err(rejection) => return self.reject(client, packet, rejection, outbox),
        };
        if let Err(rejection) = check_keepalive(&query, &client) {
            return self.reject(client, packet, rejection, outbox);
        }
        let query_len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        let policy = Arc::clone(&self.policy);
        let Some(listener) = policy.listener(client.listener) else { return };
        let reply_edns = ReplyEdns::new(listener, &client, &query.header);
        let requester = Requester { client, header: query.header, received: now, query_len, reply_edns };
        let Some(route) = listener.route(query.name.as_wire(), query.qtype) else {
            let counters = QueryCounters::dropped(listener);
            counters.count_request(&requester, query.qtype);
            return requester.respond_error(ErrorResponse::new(Rcode::REFUSED), counters, now, outbox);
        };
        let requester = requester.with_udp_size(route.block.udp_size);
        let counters = QueryCounters::of(route);
        counters.count_request(&requester, query.qtype);
        if let Some(rcode) = unsupported(&query, route) {
            return requester.respond_error(ErrorResponse::new(rcode), counters, now, outbox);
        }
        if is_loop(&query, route) {
            return outbox.actions.push(Action::LoopDetected(client, route.id));
        }
        let routed = RoutedQuery { query: &query, requester, route };
        if !self.answer_from_cache(&routed, outbox) {
            self.coalesce(&routed, None, outbox);
        }
    }

    /// A packet from a client over which [`on_query`](Self::on_query) panicked: a bug, of which the client hears by
    /// SERVFAIL.
    pub fn on_panic(&self, client: Client, packet: &[u8], outbox: &mut Outbox) {
        let Ok(query) = Query::parse(packet) else { return };
        let start = outbox.bytes.len();
        wire::reply::error(&query.header, Rcode::SERVFAIL, OptRecord::DEFAULT, &mut outbox.bytes);
        push_response(client, start, None, outbox);
    }

    /// A message that came for an attempt: over UDP from the upstream that was asked, over TCP with the ID
    /// that was sent on that connection.
    pub fn on_response(&mut self, now: Instant, attempt: AttemptId, packet: &[u8], outbox: &mut Outbox) {
        let Some(waiting) = self.attempts.get(&attempt) else {
            return self.health_check_answered(now, attempt, packet, outbox);
        };
        let query = std::rc::Rc::clone(&waiting.query);
        let read = wire::Response::parse(packet).ok();
        let matching =
            read.filter(|read| read.header.id == waiting.id && read.matches_question(&query.question));
        let Some(response) = matching else {
            return self.mismatched(now, attempt, packet, outbox);
        };
        let pruned = match response.scrub() {
            Ok(pruned) => pruned,
            Err(wire::response::Malformed) => return self.mismatched(now, attempt, packet, outbox),
        };
        let response =
            pruned.as_deref().and_then(|packet| wire::Response::parse(packet).ok()).unwrap_or(response);
        if self.is_cut_short(attempt, &response) {
            return self.retry_over_tcp(now, attempt, outbox);
        }
        self.answered(now, attempt, &response, outbox);
    }

    /// An attempt that brought nothing.
    pub fn on_failure(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        failure: AttemptFailure,
        outbox: &mut Outbox,
    ) {
        self.attempt_failed(now, attempt, failure, outbox);
    }

    /// How a question ended that another worker asked and this one waits for.
    pub fn on_shared_result(&mut self, now: Instant, key: &[u8], result: &SharedResult, outbox: &mut Outbox) {
        self.coalesced_result(now, key, result, outbox);
    }

    /// Does what is due at `now`.
    pub fn on_timer(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Attempt(attempt) => self.attempt_due(now, attempt, outbox),
                Timer::Query(query) => self.query_due(now, query, outbox),
                Timer::ClientResponse(query) => self.client_response_due(now, query, outbox),
                Timer::HealthCheck(attempt) => self.health_check_due(now, attempt, outbox),
            }
        }
    }

    /// When [`Self::on_timer`] wants to be called, if nothing else happens.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// True while a question is open: a client may wait for it, here or in another worker. A worker that drains is done
    /// when this ends.
    pub fn has_inflight(&self) -> bool {
        !self.inflight.is_empty()
    }

    fn reject(&self, client: Client, packet: &[u8], rejection: Rejection, outbox: &mut Outbox) {
        match rejection {
            Rejection::Drop => self.counters.dropped.add(1),
            Rejection::NotImplemented if is_status_query(packet) => {}
            Rejection::NotImplemented => self.counters.not_implemented.add(1),
            Rejection::FormatError => self.counters.format_errors.add(1),
            Rejection::BadVersion => self.counters.bad_versions.add(1),
        }
        let start = outbox.bytes.len();
        wire::reply::rejection(packet, rejection, &mut outbox.bytes);
        if outbox.bytes.len() > start {
            push_response(client, start, None, outbox);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
