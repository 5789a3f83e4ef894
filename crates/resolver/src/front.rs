//! Directives in front of the cache (`any`): they answer queries themselves, and nothing of it is
//! cached.

use wire::Answer;
use wire::answer::ResponseTtl;
use wire::header::{Class, Flags, RecordType};
use wire::synthesized::{self, SynthesizedData, SynthesizedRecord};

use crate::action::Outbox;
use crate::counters::Plugin;
use crate::policy::FrontPlugin;
use crate::request::RoutedQuery;
use crate::respond::{QueryCounters, ResponseSpec};

/// TTL in seconds of the answer to ANY, CoreDNS's.
const ANY_TTL: u32 = 8482;

/// Responds with the answer of a directive in front of the cache; false when none of them has one.
pub(crate) fn respond(routed: &RoutedQuery<'_>, outbox: &mut Outbox) -> bool {
    let RoutedQuery { requester, route, .. } = *routed;
    let answer = route.block.front.iter().find_map(|plugin| match plugin {
        FrontPlugin::Any => Some((any(routed)?, Plugin::Any)),
    });
    let Some((answer, plugin)) = answer else { return false };
    let ttl = ResponseTtl::AsReceived;
    let spec = ResponseSpec { answer: &answer, ttl, plugin, error: None, authoritative: false };
    requester.respond(spec, QueryCounters::of(route), requester.received, outbox);
    true
}

/// An HINFO record instead of all records of a name (RFC 8482 section 4.2).
fn any(routed: &RoutedQuery<'_>) -> Option<Answer> {
    let query = routed.query;
    if (query.qtype, query.qclass) != (RecordType::ANY, Class::IN) {
        return None;
    }
    let data = SynthesizedData::HostInfo("ANY obsoleted", "See RFC 8482");
    let record = SynthesizedRecord { prefix: None, ttl: ANY_TTL, data };
    let mut response = synthesized::response(query.header.question, &[record], &[])?;
    response.header.flags = Flags(response.header.flags.0 & !Flags::AA.0);
    Some(Answer::from_response(&response))
}
