//! Aliases that record templates answer with: the address of the target is looked up through the same
//! server and follows the alias, as in CoreDNS.

use std::sync::Arc;
use std::time::Instant;

use wire::editable::EditableResponse;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::{Query, Response};

use crate::Resolver;
use crate::action::Outbox;
use crate::counters::Plugin;
use crate::inflight::lookups::{Alias, Lookup, LookupPurpose};
use crate::inflight::waiters::Waiter;
use crate::request::RoutedQuery;
use crate::respond::{QueryCounters, ResponseSpec};

use super::LocalAnswer;

/// The name of which the address is looked up, in wire form: the target of the alias that a response
/// to an address query ends with; none for an alias of itself.
pub(super) fn target(routed: &RoutedQuery<'_>, response: &Response<'_>) -> Option<Vec<u8>> {
    let query = routed.query;
    let is_address = matches!(query.qtype, RecordType::A | RecordType::AAAA) && query.qclass == Class::IN;
    if !is_address || response.rcode != Rcode::NOERROR {
        return None;
    }
    let editable = EditableResponse::new(response)?;
    let is_alias = editable.answers.iter().all(|record| record.rtype == RecordType::CNAME);
    let target = editable.answers.last().filter(|_| is_alias)?.target()?;
    (!target.eq_ignore_ascii_case(query.name.as_wire())).then(|| target.to_vec())
}

impl Resolver {
    /// Looks the address of an alias up, with which the client is answered. False when the response is
    /// none, or the lookup cannot be made.
    pub(super) fn look_up_alias(
        &mut self,
        routed: &RoutedQuery<'_>,
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) -> bool {
        let RoutedQuery { query, requester, route } = *routed;
        let Some(target) = target(routed, response) else { return false };
        let client = requester.client;
        let memory = self.waiting_memory.reserve(Some(client.peer.ip()), Waiter::octets(&requester));
        let Ok(memory) = memory.map_err(|full| self.count_full(full)) else { return false };
        let question = [&*target, &query.qtype.0.to_be_bytes(), &query.qclass.0.to_be_bytes()].concat();
        let dnssec_ok = query.header.edns.is_some_and(|edns| edns.dnssec_ok);
        let lookup = Lookup { client, flags: query.header.flags, dnssec_ok, question: &question };
        let waiter = Waiter::new(&requester, memory);
        let alias = Alias { waiter, route: Arc::clone(route), packet: Box::from(&*response.packet) };
        let purpose = LookupPurpose::Alias(Box::new(alias));
        self.look_up(requester.received, lookup, purpose, outbox).is_ok()
    }

    /// Responds with the alias and the records that were found for it; with the alias alone if there
    /// are none.
    pub(crate) fn finish_alias(
        &mut self,
        now: Instant,
        alias: &Alias,
        found: Option<&Response<'_>>,
        outbox: &mut Outbox,
    ) {
        let requester = alias.waiter.requester();
        let Ok(received) = Response::parse(&alias.packet) else { return };
        let response = found.and_then(|found| with_records(&received, found)).unwrap_or(received);
        let Some(query) = Query::new(requester.header) else { return };
        let routed = RoutedQuery { query: &query, requester, route: &alias.route };
        let LocalAnswer { answer, ttl, plugin } = self.cache_local(&routed, &response, Plugin::Template);
        let spec = ResponseSpec { answer: &answer, ttl, plugin, error: None, authoritative: false };
        requester.respond(spec, QueryCounters::of(&alias.route), now, outbox);
    }
}

/// A response with further answer records, and TC of the response that they are from.
fn with_records(response: &Response<'_>, found: &Response<'_>) -> Option<Response<'static>> {
    let (mut response, found) = (EditableResponse::new(response)?, EditableResponse::new(found)?);
    if found.answers.is_empty() {
        return None;
    }
    let rcode = response.rcode;
    response.flags = response.flags.with(found.flags.only(Flags::TC));
    response.replace_answers(response.answers.len(), found.answers, rcode);
    response.into_response()
}
