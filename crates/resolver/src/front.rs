//! Directives in front of the cache (`local`, `acl`, `any`, `chaos`): they answer queries themselves, and
//! nothing of it is cached.

mod chaos;
mod localhost;

use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::synthesized::{self, Owner, Sections, SynthesizedData, SynthesizedRecord};
use wire::{Answer, Response};

use crate::action::Outbox;
use crate::counters::Plugin;
use crate::policy::{AclAction, AclRule, FrontPlugin};
use crate::request::RoutedQuery;
use crate::respond::{QueryCounters, ResponseSpec};
use crate::result::ErrorResponse;

/// TTL in seconds of the answer to ANY, CoreDNS's.
const ANY_TTL: u32 = 8482;

/// What a directive does with a query instead of leaving it to the next one.
enum FrontResult {
    /// Responds, without AA.
    Answer(Response<'static>, Plugin),
    Error(ErrorResponse),
    Drop,
}

/// Responds with the answer of a directive in front of the cache, or drops the query; false when none
/// of them does.
pub(crate) fn respond(routed: &RoutedQuery<'_>, outbox: &mut Outbox) -> bool {
    let RoutedQuery { requester, route, .. } = *routed;
    let result = route.block.front.iter().find_map(|plugin| match plugin {
        FrontPlugin::Local { localhost_prefix } => localhost::answer(*localhost_prefix, routed),
        FrontPlugin::Acl(rules) => acl(rules, routed),
        FrontPlugin::Any => any(routed),
        FrontPlugin::Chaos(chaos) => chaos::answer(chaos, routed),
    });
    let counters = QueryCounters::of(route).in_front();
    match result {
        None => return false,
        Some(FrontResult::Drop) => {}
        Some(FrontResult::Error(response)) => {
            requester.respond_error(response, counters, requester.received, outbox);
        }
        Some(FrontResult::Answer(mut response, plugin)) => {
            response.header.flags = Flags(response.header.flags.0 & !Flags::AA.0);
            let (answer, ttl) = (Answer::from_response(&response), ResponseTtl::AsReceived);
            let spec = ResponseSpec::resolved(answer.borrowed(), ttl, plugin);
            requester.respond(spec, counters, requester.received, outbox);
        }
    }
    true
}

/// Access control; counted by action.
fn acl(rules: &[AclRule], routed: &RoutedQuery<'_>) -> Option<FrontResult> {
    let RoutedQuery { query, requester, route, .. } = *routed;
    let client = requester.client.peer.ip().to_canonical();
    let decided = AclRule::decide(rules, query.name.as_wire(), query.qtype, client);
    route.block.counters.acl.count(decided);
    let error = |rcode, error| {
        FrontResult::Error(ErrorResponse::new(rcode).with_error(error).written_by(Plugin::Acl))
    };
    match decided?.0 {
        AclAction::Allow => None,
        AclAction::Block => Some(error(Rcode::REFUSED, ExtendedError::BLOCKED)),
        AclAction::Filter => Some(error(Rcode::NOERROR, ExtendedError::FILTERED)),
        AclAction::Drop => Some(FrontResult::Drop),
    }
}

/// An HINFO record instead of all records of a name (RFC 8482 section 4.2).
fn any(routed: &RoutedQuery<'_>) -> Option<FrontResult> {
    let query = routed.query;
    if (query.qtype, query.qclass) != (RecordType::ANY, Class::IN) {
        return None;
    }
    let data = SynthesizedData::HostInfo("ANY obsoleted", "See RFC 8482");
    let record = SynthesizedRecord { owner: Owner::Question, ttl: ANY_TTL, data };
    let sections = Sections { answers: &[record], ..Sections::default() };
    let response = synthesized::response(query.header.question, Rcode::NOERROR, sections)?;
    Some(FrontResult::Answer(response, Plugin::Any))
}
