//! Answers about the server itself (`chaos`): TXT records of class CH, for the names of BIND and of RFC
//! 4892.

use std::sync::Arc;

use wire::header::{Class, RecordType};
use wire::synthesized::{self, Owner, SynthesizedData, SynthesizedRecord};

use super::FrontResult;
use crate::counters::Plugin;
use crate::policy::Chaos;
use crate::request::RoutedQuery;

/// The texts for a name; `None` leaves the query to the next directive.
pub(super) fn answer(chaos: &Chaos, routed: &RoutedQuery<'_>) -> Option<FrontResult> {
    let query = routed.query;
    if (query.qclass, query.qtype) != (Class::CH, RecordType::TXT) {
        return None;
    }
    let record = |text: &Arc<[u8]>| {
        let data = SynthesizedData::Text(Arc::clone(text));
        SynthesizedRecord { owner: Owner::Question, ttl: 0, data }
    };
    let records: Vec<SynthesizedRecord> = texts(chaos, query.name.as_wire())?.iter().map(record).collect();
    let response = synthesized::largest_response(query.header.question, &records)?;
    Some(FrontResult::Answer(response, Plugin::Chaos))
}

/// The texts for a lower-case wire name.
fn texts<'c>(chaos: &'c Chaos, name: &[u8]) -> Option<&'c [Arc<[u8]>]> {
    Some(match name {
        b"\x07version\x04bind\x00" | b"\x07version\x06server\x00" => std::slice::from_ref(&chaos.version),
        b"\x08hostname\x04bind\x00" | b"\x02id\x06server\x00" => std::slice::from_ref(&chaos.host_name),
        b"\x07authors\x04bind\x00" => &chaos.authors,
        _ => return None,
    })
}
