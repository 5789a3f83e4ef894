//! NXDOMAIN cuts (RFC 8020): queries for names below one that does not exist are answered without an
//! upstream, as those for the search paths of pods are.
//!
//! After an NXDOMAIN, the ancestors of the name are queried for A in the background, from the zone down,
//! until one does not exist either: the cut. Others exist, and are barred from being cuts for a while; so
//! is every name below which a response finds records, or an empty NOERROR. A label that begins with `_`
//! ends the search: CoreDNS denies the parents of SRV records.

use std::sync::Arc;
use std::time::Instant;

use wire::answer::ResponseTtl;
use wire::editable::EditableResponse;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::name::{Name, NameBuffer, ancestors};
use wire::query::RequestHeader;
use wire::{Answer, Query, Response};

use crate::Resolver;
use crate::action::{Client, Outbox, ResponseSource};
use crate::cache::nxdomain_cut::{BAR_TTL, CutState};
use crate::cache::stale::hit_response;
use crate::cache::write::CacheTarget;
use crate::cache::{Entry, LookupKey};
use crate::local::has_local_response;
use crate::miss::NewQuery;
use crate::policy::{CacheOptions, Route};
use crate::request::{ReplyEdns, Requester, RoutedQuery};
use crate::respond::{QueryCounters, ResponseSpec};
use crate::upstream::query::UpstreamQuery;

/// Labels below the zone that a cut has at most: the longest names of a cluster, those of SRV records of a
/// pod, have six. A client's name may have a hundred, which would each take a lookup.
const MAX_LABELS: usize = 8;

/// What a response says of the existence of QNAME.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existence {
    Exists,
    Missing,
    Unknown,
}

impl Existence {
    /// An alias exists, even if its target does not (RFC 8020 section 2).
    fn of(response: &Response<'_>) -> Self {
        match response.rcode {
            Rcode::NOERROR => Self::Exists,
            Rcode::NXDOMAIN if response.header.ancount > 0 => Self::Exists,
            Rcode::NXDOMAIN => Self::Missing,
            _ => Self::Unknown,
        }
    }
}

/// A search for the cut above a name, on behalf of a client.
#[derive(Clone, Copy)]
struct CutSearch<'a> {
    route: &'a Arc<Route>,
    client: Client,
    now: Instant,
}

impl Resolver {
    /// Responds NXDOMAIN to a query for a cut or a name below one. False when there is none, for clients
    /// that want proof of it (DO), and for names that the block's own directives answer or rewrite.
    pub(crate) fn respond_from_cut(&mut self, routed: &RoutedQuery<'_>, outbox: &mut Outbox) -> bool {
        let RoutedQuery { query, requester, route, .. } = *routed;
        let (block, name, now) = (&route.block, query.name.as_wire(), requester.received);
        let Some((cache, zone)) = block.nxdomain_cut_for(name) else { return false };
        let dnssec_ok = query.header.edns.is_some_and(|edns| edns.dnssec_ok);
        if query.qclass != Class::IN || dnssec_ok || !requester.wants_recursion() {
            return false;
        }
        let found = names_below(name, zone).into_iter().find_map(|cut| {
            match self.cache.cut_state(block.id, cut, now)? {
                CutState::Cut(entry, remaining) => Some((cut, entry, remaining)),
                CutState::Barred(_) => None,
            }
        });
        let Some((cut, entry, remaining)) = found else { return false };
        if !matches!(self.rewrite(routed), Ok(None)) || has_local_response(routed) {
            return false;
        }
        let Some(answer) = answer_below(&entry, requester.header.question) else { return false };
        entry.sieve.visit();
        block.counters.cache_denial_hits.add(1);
        block.counters.nxdomain_cut_hits.add(1);
        let ttl = if cache.keep_ttl { entry.ttl } else { remaining };
        let spec = ResponseSpec {
            answer: answer.borrowed(),
            ttl: ResponseTtl::Uniform(ttl),
            source: ResponseSource::NxdomainCut,
            ..hit_response(&entry, ttl, cache)
        };
        requester.respond(spec, QueryCounters::of(route), now, outbox);
        if is_renewal_due(&entry, remaining, cache) {
            let search = CutSearch { route, client: requester.client, now };
            self.query_for_cut(search, cut, cut, outbox);
        }
        true
    }

    /// Learns from a response which names above QNAME exist, and continues or begins the search for the
    /// cut above a name that does not.
    pub(crate) fn learn_cut(
        &mut self,
        now: Instant,
        query: &UpstreamQuery,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        let (block, name) = (&query.route.block, query.name());
        let Some((_, zone)) = block.nxdomain_cut_for(name) else { return };
        if query.qclass != Class::IN || query.rewritten.is_some() || response.header.flags.has(Flags::TC) {
            return;
        }
        let search = CutSearch { route: &query.route, client: query.client, now };
        let cut_for = query.cut_for.as_deref();
        let is_known = self.cache.cut_state(block.id, name, now).is_some_and(|state| state.is_cut());
        match Existence::of(response) {
            Existence::Exists => {
                let is_asked = cut_for.is_some() || is_known;
                for one in names_below(name, zone).into_iter().filter(|one| is_asked || *one != name) {
                    self.bar(search, one);
                }
            }
            Existence::Missing if query.qtype == RecordType::A && (cut_for.is_some() || is_known) => {
                return self.add_cut(search, name, (response, 0));
            }
            Existence::Missing => return self.seek_cut(search, name, outbox),
            Existence::Unknown if cut_for.is_some() => return self.bar(search, name),
            Existence::Unknown => {}
        }
        if let Some(below) = cut_for {
            self.seek_cut(search, below, outbox);
        }
    }

    /// Queries the highest ancestor of `name` of which it is not known whether it exists.
    fn seek_cut(&mut self, search: CutSearch<'_>, name: &[u8], outbox: &mut Outbox) {
        let CutSearch { route, now, .. } = search;
        let Some((_, zone)) = route.block.nxdomain_cut_for(name) else { return };
        for ancestor in names_below(name, zone).into_iter().filter(|one| *one != name) {
            if ancestor.get(1) == Some(&b'_') {
                return;
            }
            if self.is_of_directive(search, ancestor) {
                continue;
            }
            match self.cache.cut_state(route.block.id, ancestor, now) {
                Some(CutState::Barred(_)) => {}
                Some(CutState::Cut(..)) => return,
                None => match self.learn_from_cache(search, ancestor) {
                    Existence::Exists => {}
                    Existence::Missing => return,
                    Existence::Unknown => return self.query_for_cut(search, ancestor, name, outbox),
                },
            }
        }
    }

    /// Whether a name exists by the cached response to a query for A, which makes it a cut or bars it.
    fn learn_from_cache(&mut self, search: CutSearch<'_>, name: &[u8]) -> Existence {
        let CutSearch { route, now, .. } = search;
        let Some((entry, age)) = self.cache.cached_address_response(route.block.id, name, now) else {
            return Existence::Unknown;
        };
        let Ok(response) = Response::parse(entry.answer().into_message()) else { return Existence::Unknown };
        let existence = Existence::of(&response);
        match existence {
            Existence::Exists => self.bar(search, name),
            Existence::Missing => self.add_cut(search, name, (&response, age)),
            Existence::Unknown => {}
        }
        existence
    }

    /// Queries `name` for A, unless that is in flight or has failed a moment ago, to learn whether it is
    /// the cut for `below`.
    fn query_for_cut(&mut self, search: CutSearch<'_>, name: &[u8], below: &[u8], outbox: &mut Outbox) {
        let CutSearch { route, now, .. } = search;
        with_address_query(search, name, |routed| {
            let hashed = self.cache.hashed(routed.key);
            let has_failed = self.cache.has_cut_failure(route.block.id, name, now);
            if has_failed || self.inflight.find(&hashed).is_some() {
                return;
            }
            let mut query = UpstreamQuery::new(routed, None, (hashed, true));
            query.cut_for = Some(below.into());
            let Some(memory) = self.reserve_refresh(&query) else { return };
            let new = NewQuery { query, waiter: None, stale_answer: None, memory };
            if self.start(routed, new, outbox).is_ok_and(|is_owner| is_owner) {
                route.block.counters.nxdomain_cut_queries.add(1);
            }
        });
    }

    /// True when a directive of the block answers queries for A of a name or rewrites them: an answer of
    /// the upstream would be cached in place of theirs, and theirs do not say what exists below.
    fn is_of_directive(&self, search: CutSearch<'_>, name: &[u8]) -> bool {
        let block = &search.route.block;
        let has_directives = !block.rewrites.is_empty() || !block.plugins.is_empty();
        let answers = |routed: &RoutedQuery<'_>| {
            !matches!(self.rewrite(routed), Ok(None)) || has_local_response(routed)
        };
        has_directives && with_address_query(search, name, answers).is_some_and(|answers| answers)
    }

    /// Adds a cut, or renews it. A response without a negative TTL bars it instead.
    fn add_cut(&mut self, search: CutSearch<'_>, name: &[u8], (response, age): (&Response<'_>, u32)) {
        let CutSearch { route, now, .. } = search;
        let block = &route.block;
        let Some(options) = block.cache_for(name) else { return };
        let target = CacheTarget { block, options, key: self.cache.cut_key(block.id, name) };
        let is_known = self.cache.cut_state(block.id, name, now).is_some_and(|state| state.is_cut());
        if !self.cache.insert_cut(now, target, (response, age)) {
            return self.bar(search, name);
        }
        let counters = &block.counters;
        if is_known { &counters.nxdomain_cuts_renewed } else { &counters.nxdomain_cuts_learned }.add(1);
    }

    /// Bars a name from being a cut, unless it is for as long already.
    fn bar(&mut self, search: CutSearch<'_>, name: &[u8]) {
        let CutSearch { route, now, .. } = search;
        let block = &route.block;
        let Some(options) = block.cache_for(name) else { return };
        match self.cache.cut_state(block.id, name, now) {
            Some(CutState::Barred(remaining)) if remaining > BAR_TTL / 2 => return,
            Some(CutState::Cut(..)) => block.counters.nxdomain_cuts_removed.add(1),
            _ => {}
        }
        let target = CacheTarget { block, options, key: self.cache.cut_key(block.id, name) };
        self.cache.bar_cut(now, target);
    }
}

/// Calls `function` with a query for A of a name on behalf of the client.
fn with_address_query<T>(
    search: CutSearch<'_>,
    name: &[u8],
    function: impl FnOnce(&RoutedQuery<'_>) -> T,
) -> Option<T> {
    let CutSearch { route, client, now } = search;
    let question = [name, &RecordType::A.0.to_be_bytes(), &Class::IN.0.to_be_bytes()].concat();
    let header = RequestHeader { id: 0, flags: Flags::RD, question: &question, edns: None };
    let mut buffer = NameBuffer::new();
    let own = Query::new(header, &mut buffer)?;
    let reply_edns = ReplyEdns { udp_size: route.block.udp_size, keepalive: None };
    let requester = Requester { client, header, received: now, query_len: 0, reply_edns };
    let key = LookupKey::new(route.block.id, &own);
    Some(function(&RoutedQuery { query: &own, key: &key, requester, route }))
}

/// A name and its ancestors that are below the zone, the highest first, at most [`MAX_LABELS`].
fn names_below<'n>(name: &'n [u8], zone: &Name) -> Vec<&'n [u8]> {
    let zone_len = zone.as_wire().len();
    let all = std::iter::once(name).chain(ancestors(name));
    let mut below: Vec<_> = all.take_while(|one| one.len() > zone_len).collect();
    below.reverse();
    below.truncate(MAX_LABELS);
    below
}

/// True when a cut in use is to be renewed: as often as negative answers of its names expire, and when
/// three quarters of its TTL are over.
fn is_renewal_due(cut: &Entry, remaining: u32, cache: &CacheOptions) -> bool {
    let age = cut.ttl.saturating_sub(remaining);
    age >= cache.denial.max_ttl.min(cut.ttl - cut.ttl / 4)
}

/// The response of a cut to another question.
fn answer_below(cut: &Entry, question: &[u8]) -> Option<Answer> {
    let response = Response::parse(cut.answer().into_message()).ok()?;
    let mut below = EditableResponse::new(&response)?;
    below.question = question.to_vec();
    Some(Answer::from_response(&below.into_response()?))
}
