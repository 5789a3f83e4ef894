//! Aliases that record templates answer with: the address of the target is looked up through the same
//! server and follows the alias, as in CoreDNS.

use std::time::Instant;

use wire::editable::EditableResponse;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::name::NameBuffer;
use wire::{Query, Response};

use crate::Resolver;
use crate::action::Outbox;
use crate::cache::LookupKey;
use crate::counters::Plugin;
use crate::inflight::lookups::{Alias, ClientQuery, Lookup, LookupPurpose};
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
        let RoutedQuery { query, requester, .. } = *routed;
        let Some(target) = target(routed, response) else { return false };
        let Ok(client_query) = self.client_query(routed) else { return false };
        let question = [&*target, &query.qtype.0.to_be_bytes(), &query.qclass.0.to_be_bytes()].concat();
        let lookup = Lookup::new(&requester, &question);
        let alias = Alias { query: client_query, packet: Box::from(&*response.packet) };
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
        let ClientQuery { waiter, route } = &alias.query;
        let requester = waiter.requester();
        let Ok(received) = Response::parse(&alias.packet) else { return };
        let response = found.and_then(|found| with_records(&received, found)).unwrap_or(received);
        let mut buffer = NameBuffer::new();
        let Some(query) = Query::new(requester.header, &mut buffer) else { return };
        let key = LookupKey::new(route.block.id, &query);
        let routed = RoutedQuery { query: &query, key: &key, requester, route };
        let plugin = route.block.writer(None, Plugin::Template);
        let LocalAnswer { answer, ttl, plugin } = self.cache_local(&routed, &response, plugin);
        let spec = ResponseSpec::resolved(answer.borrowed(), ttl, plugin);
        requester.respond(spec, QueryCounters::of(route), now, outbox);
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
