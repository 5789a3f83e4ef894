//! Synthesis of AAAA records (DNS64, RFC 6147) in front of the cache: an AAAA query is looked up, and, if
//! the name has no IPv6 address, its IPv4 addresses are.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use wire::answer::ResponseTtl;
use wire::editable::{EditableRecord, EditableResponse};
use wire::edns::ExtendedError;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{LookupId, Outbox};
use crate::counters::Plugin;
use crate::inflight::completion::{Rejected, reject};
use crate::inflight::lookups::{ClientQuery, Lookup, LookupPurpose, Translation};
use crate::policy::Dns64;
use crate::request::RoutedQuery;
use crate::respond::{QueryCounters, ResponseSpec};
use crate::result::ErrorResponse;
use crate::timers::Timer;

/// The greatest TTL in seconds of a synthesized record without an SOA in the response to the AAAA
/// query (RFC 6147 section 5.1.7).
const MAX_TTL_WITHOUT_SOA: u32 = 600;

impl Resolver {
    /// Looks up a client's AAAA query in place of answering it. False for other queries, for clients
    /// that get no synthesized addresses, and for those that validate signatures themselves (RFC 6147
    /// section 5.5).
    pub(crate) fn translate(&mut self, routed: &RoutedQuery<'_>, dns64: &Dns64, outbox: &mut Outbox) -> bool {
        let RoutedQuery { query, requester, route, .. } = *routed;
        let is_address = query.qtype == RecordType::AAAA && query.qclass == Class::IN;
        let dnssec_ok = query.header.edns.is_some_and(|edns| edns.dnssec_ok);
        let validates = dnssec_ok && query.header.flags.has(Flags::CD);
        if !is_address || validates || !dns64.serves(requester.client.peer.ip()) {
            return false;
        }
        let translation = match self.client_query(routed) {
            Ok(query) => Translation { query, soa_ttl: None, upstream: None },
            Err(cause) => {
                reject(routed, Rejected { cause, stale_answer: None, rewritten: None }, outbox);
                return true;
            }
        };
        let purpose = LookupPurpose::Translation(Box::new(translation));
        let lookup = Lookup::new(&requester, query.header.question);
        if self.look_up(requester.received, lookup, purpose, outbox).is_err() {
            let response = ErrorResponse::new(Rcode::SERVFAIL);
            requester.respond_error(response, QueryCounters::of(route), requester.received, outbox);
        }
        true
    }

    /// Responds to a client whose AAAA query was looked up by `id`, or looks its IPv4 addresses up before.
    pub(crate) fn continue_translation(
        &mut self,
        now: Instant,
        (id, mut translation): (LookupId, Box<Translation>),
        response: &Response<'_>,
        outbox: &mut Outbox,
    ) {
        let route = Arc::clone(&translation.query.route);
        let Some(dns64) = &route.block.dns64 else { return };
        let requester = translation.query.waiter.requester();
        let deadline = requester.received + self.limits.query_deadline;
        if let Some(soa_ttl) = translation.soa_ttl {
            self.timers.cancel(deadline, Timer::Lookup(id));
            let synthesized = synthesize(&translation, soa_ttl, dns64, response);
            return respond(&translation, synthesized.as_ref().unwrap_or(response), now, outbox);
        }
        let translated = EditableResponse::new(response).filter(|one| is_translated(one, dns64));
        let Some(editable) = translated.filter(|_| now < deadline) else {
            return respond(&translation, response, now, outbox);
        };
        let soa = editable.authorities.iter().find(|record| record.rtype == RecordType::SOA);
        let mut question = requester.header.question.to_vec();
        let Some(qtype) = question.len().checked_sub(4).and_then(|at| question.get_mut(at..at + 2)) else {
            return;
        };
        qtype.copy_from_slice(&RecordType::A.0.to_be_bytes());
        let lookup = Lookup::new(&requester, &question);
        translation.soa_ttl = Some(soa.map_or(MAX_TTL_WITHOUT_SOA, |soa| soa.ttl));
        let purpose = LookupPurpose::Translation(translation);
        match self.look_up(now, lookup, purpose, outbox) {
            Ok(id) => {
                route.block.counters.translated.add(1);
                self.timers.schedule(deadline, Timer::Lookup(id));
            }
            Err(LookupPurpose::Translation(translation)) => respond(&translation, response, now, outbox),
            Err(_) => {}
        }
    }

    /// Responds SERVFAIL to a client whose query is at its deadline, whatever the lookup for it will find.
    pub(crate) fn end_translation(&mut self, now: Instant, id: LookupId, outbox: &mut Outbox) {
        let Some(LookupPurpose::Translation(translation)) = self.lookups.remove(id).map(|one| one.purpose)
        else {
            return;
        };
        let ClientQuery { waiter, route } = &translation.query;
        let response = ErrorResponse::new(Rcode::SERVFAIL)
            .with_error(ExtendedError::NO_REACHABLE_AUTHORITY)
            .written_by(Plugin::Dns64);
        waiter.requester().respond_error(response, QueryCounters::of(route).in_front(), now, outbox);
        outbox.set_upstream(translation.upstream);
    }
}

/// True when addresses are synthesized for a name with this response to its AAAA query: one that
/// exists (RFC 6147 section 5.1.2), and has no IPv6 address.
fn is_translated(response: &EditableResponse, dns64: &Dns64) -> bool {
    let has_address = || response.answers.iter().any(|record| record.rtype == RecordType::AAAA);
    response.rcode != Rcode::NXDOMAIN && (dns64.translate_all || !has_address())
}

/// The response to the A query with an AAAA record in place of each A record.
fn synthesize(
    translation: &Translation,
    soa_ttl: u32,
    dns64: &Dns64,
    response: &Response<'_>,
) -> Option<Response<'static>> {
    let mut response = EditableResponse::new(response)?;
    response.question = translation.query.waiter.requester().header.question.to_vec();
    let answers = response.answers.iter().map(|record| {
        let address: Option<[u8; 4]> = record.rdata().try_into().ok();
        match address.filter(|_| record.rtype == RecordType::A && record.class == Class::IN) {
            None => record.clone(),
            Some(address) => {
                let address = dns64.prefix.embed(Ipv4Addr::from(address));
                EditableRecord::aaaa(record.owner.clone(), record.ttl.min(soa_ttl), address)
            }
        }
    });
    let answers = answers.collect();
    // What is synthesized is neither authoritative nor authenticated.
    response.flags = response.flags.only(Flags(!Flags::AA.with(Flags::AD).0));
    let rcode = response.rcode;
    response.replace_answers(0, answers, rcode);
    response.into_response()
}

/// Sends a response to the client.
fn respond(translation: &Translation, response: &Response<'_>, now: Instant, outbox: &mut Outbox) {
    let answer = Answer::from_response(response);
    let (ttl, plugin) = (ResponseTtl::AsReceived, Plugin::Dns64);
    let error = response.extended_error();
    let spec = ResponseSpec { error, ..ResponseSpec::resolved(answer.borrowed(), ttl, plugin) };
    let ClientQuery { waiter, route } = &translation.query;
    waiter.requester().respond(spec, QueryCounters::of(route).in_front(), now, outbox);
    outbox.set_upstream(translation.upstream);
}
