//! Lookups of the resolver itself, and those of other CNAME targets (`rewrite cname`): a query whose
//! response has such a target waits for the records of the new one.
//!
//! If those are not found, the response stays as it is, and so at the query's deadline.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use wire::editable::EditableResponse;
use wire::edns::{DEFAULT_UDP_SIZE, Edns};
use wire::header::{Class, HEADER_LEN, Rcode};
use wire::name::NameBuffer;
use wire::query::RequestHeader;
use wire::{Query, Response};

use crate::Resolver;
use crate::action::{Cause, LookupId, LookupResponse, Outbox};
use crate::cache::{HashedKey, LookupKey, OwnedKey};
use crate::effects::Effects;
use crate::inflight::lookups::{ClientQuery, Lookup, LookupPurpose, PendingLookup};
use crate::inflight::waiters::Waiter;
use crate::request::{ReplyEdns, Requester, RoutedQuery, unsupported};
use crate::respond::QueryCounters;
use crate::timers::QueryId;
use crate::upstream::attempt::Attempt;
use crate::upstream::fallback::FallbackResponse;
use crate::upstream::query::UpstreamQuery;

impl Resolver {
    /// Looks up another CNAME target of a response, with which its query then completes. False when
    /// there is none, or when it cannot be looked up.
    pub(crate) fn look_up_target(
        &mut self,
        now: Instant,
        id: QueryId,
        (attempt, response): (&mut Option<Attempt>, &Response<'_>),
        outbox: &mut Outbox,
    ) -> bool {
        let Some(query) = attempt.as_ref().map(|attempt| Rc::clone(&attempt.query)) else { return false };
        let Some(rewritten) = query.rewritten.as_ref().filter(|one| one.changes_targets()) else {
            return false;
        };
        let changed = query.client_response(response);
        let editable = changed.as_ref().and_then(EditableResponse::new);
        let Some((_, target)) = editable.and_then(|editable| rewritten.new_target(&editable)) else {
            return false;
        };
        let question =
            [target.as_wire(), &query.qtype.0.to_be_bytes(), &query.qclass.0.to_be_bytes()].concat();
        let (client, flags, dnssec_ok) = (query.client, query.flags, query.dnssec_ok);
        let lookup = Lookup { client, flags, dnssec_ok, question: &question };
        let Ok(lookup) = self.look_up(now, lookup, LookupPurpose::CnameTarget(id), outbox) else {
            return false;
        };
        let Some(inflight) = self.inflight.get_mut(id) else { return false };
        inflight.lookup = Some(lookup);
        let packet = Box::from(&*response.packet);
        inflight.fallback_response = attempt.take().map(|attempt| FallbackResponse { attempt, packet });
        let mut effects = Effects { now, timers: &mut self.timers, outbox };
        for attempt in std::mem::take(&mut inflight.attempts) {
            self.upstreams.remove(attempt, &mut effects);
        }
        true
    }

    /// A client's query, to wait for a lookup.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn client_query(&self, routed: &RoutedQuery<'_>) -> Result<ClientQuery, Cause> {
        let RoutedQuery { requester, route, .. } = routed;
        let (client, octets) = (requester.client.peer.ip(), Waiter::octets(requester));
        let reserved = self.waiting_memory.reserve(Some(client), octets);
        let memory = reserved.map_err(|full| self.count_full(full))?;
        Ok(ClientQuery { waiter: Waiter::new(requester, memory), route: Arc::clone(route) })
    }

    /// Makes a query. Its purpose comes back if it is not made: no zone matches, lookups go too deep,
    /// or it would wait for itself.
    pub(crate) fn look_up(
        &mut self,
        now: Instant,
        lookup: Lookup<'_>,
        purpose: LookupPurpose,
        outbox: &mut Outbox,
    ) -> Result<LookupId, LookupPurpose> {
        let Lookup { client, flags, dnssec_ok, question } = lookup;
        let policy = Arc::clone(&self.policy);
        let udp_size = DEFAULT_UDP_SIZE;
        let (version, keepalive_len, wants_nsid) = (0, None, false);
        // With OPT the response tells why it is an error.
        let edns = Some(Edns { udp_size, version, dnssec_ok, keepalive_len, wants_nsid });
        let mut buffer = NameBuffer::new();
        let own = Query::new(RequestHeader { id: 0, flags, question, edns }, &mut buffer);
        let routed = own.as_ref().and_then(|own| {
            let route = policy.listener(client.listener)?.route(own.name.as_wire(), own.qtype)?;
            (own.qclass == Class::IN && unsupported(own, route).is_none()).then_some((own, route))
        });
        let Some((own, route)) = routed else { return Err(purpose) };
        let key = LookupKey::new(route.block.id, own);
        let hashed = self.cache.hashed(&key);
        if matches!(purpose, LookupPurpose::CnameTarget(id) if self.waits_for(&hashed, id)) {
            return Err(purpose);
        }
        // An AAAA query under `dns64` is the client's, which is counted.
        let is_counted = !matches!(&purpose, LookupPurpose::Translation(one) if one.soa_ttl.is_none());
        let Some(id) = self.lookups.next_id(&client, is_counted) else { return Err(purpose) };
        let requester = Requester {
            client: client.for_lookup(id),
            header: own.header,
            received: now,
            query_len: u16::try_from(HEADER_LEN + question.len()).unwrap_or(u16::MAX),
            reply_edns: ReplyEdns { udp_size: route.block.udp_size, keepalive: None },
        };
        if is_counted {
            QueryCounters::of(route).count_request(&requester, own.qtype);
        }
        self.lookups.insert(id, PendingLookup { key: OwnedKey::new(hashed), purpose });
        let actions_before = outbox.actions.len();
        let routed = RoutedQuery { query: own, key: &key, requester, route };
        if !self.hit(&routed, outbox) {
            self.miss(&routed, None, outbox);
        }
        outbox.capture_lookup_responses(actions_before);
        Ok(id)
    }

    /// True when the query in flight for a key, if there is one, waits for the query `id`, directly or
    /// through further lookups.
    fn waits_for(&self, key: &HashedKey<'_>, id: QueryId) -> bool {
        let lookup_of = |key: &HashedKey<'_>| {
            let found = self.inflight.find(key)?;
            let lookup = self.inflight.get(found)?.lookup;
            Some((found, lookup.and_then(|lookup| self.lookups.get(lookup))))
        };
        let mut next = lookup_of(key);
        while let Some((found, lookup)) = next {
            if found == id {
                return true;
            }
            next = lookup.and_then(|lookup| lookup_of(&lookup.key.hashed()));
        }
        false
    }

    /// Continues what waits for lookups that have a response. False when there are none.
    fn finish_lookups(&mut self, now: Instant, outbox: &mut Outbox) -> bool {
        let mut has_finished = false;
        while let Some(LookupResponse { id, packet, upstream }) = outbox.take_lookup_response() {
            has_finished = true;
            let actions_before = outbox.actions.len();
            let (lookup, response) = (self.lookups.remove(id), Response::parse(&packet).ok());
            match (lookup.map(|lookup| lookup.purpose), response) {
                (Some(LookupPurpose::CnameTarget(query)), response) => {
                    self.finish_target(now, query, response.as_ref(), outbox);
                }
                (Some(LookupPurpose::Translation(mut translation)), Some(response)) => {
                    if translation.soa_ttl.is_none() {
                        translation.upstream = upstream;
                    }
                    self.continue_translation(now, (id, translation), &response, outbox);
                }
                (Some(LookupPurpose::Alias(alias)), response) => {
                    self.finish_alias(now, &alias, response.as_ref(), outbox);
                }
                (Some(LookupPurpose::Translation(_)) | None, _) => {}
            }
            // What waited may be a lookup itself.
            outbox.capture_lookup_responses(actions_before);
        }
        has_finished
    }

    /// Completes a query with the records that were found for another CNAME target, or with its
    /// response as it is.
    fn finish_target(
        &mut self,
        now: Instant,
        id: QueryId,
        found: Option<&Response<'_>>,
        outbox: &mut Outbox,
    ) {
        let Some(inflight) = self.inflight.get_mut(id) else { return };
        let Some(fallback) = inflight.fallback_response.take() else { return };
        inflight.lookup = None;
        let query = &fallback.attempt.query;
        let Ok(received) = Response::parse(&fallback.packet) else { return };
        let changed = query.client_response(&received).unwrap_or(received);
        let response = found.and_then(|found| with_target(query, &changed, found)).unwrap_or(changed);
        self.finish(now, (id, &fallback.attempt), &response, outbox);
    }

    /// Continues queries that have lost their connection, and what waits for lookups that have a
    /// response, until there are no more.
    pub(crate) fn settle(&mut self, now: Instant, outbox: &mut Outbox) {
        self.retry_lost(now, outbox);
        while self.finish_lookups(now, outbox) {
            self.retry_lost(now, outbox);
        }
    }
}

/// A response with another CNAME target, and with the records that were found for that; `None` if
/// there are none.
fn with_target(
    query: &UpstreamQuery,
    response: &Response<'_>,
    found: &Response<'_>,
) -> Option<Response<'static>> {
    let mut response = EditableResponse::new(response)?;
    let (index, target) = query.rewritten.as_ref()?.new_target(&response)?;
    let found = EditableResponse::new(found)?;
    if found.rcode != Rcode::NOERROR || found.answers.is_empty() {
        return None;
    }
    response.answers.get_mut(index)?.set_target(target.as_wire());
    response.replace_answers(index + 1, found.answers, found.rcode);
    response.into_response()
}
