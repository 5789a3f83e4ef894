//! Answers from a hosts table (the `hosts` directive): A, AAAA and PTR.

use std::net::IpAddr;

use wire::header::{Class, Rcode, RecordType};
use wire::name::Name;
use wire::synthesized::{self, Owner, SynthesizedData, SynthesizedRecord};
use wire::{Query, reverse};

use super::LocalResult;
use crate::counters::Plugin;
use crate::policy::Hosts;

/// What the table says to a query; `None` leaves it to the next directive.
pub(super) fn lookup(hosts: &Hosts, query: &Query<'_>) -> Option<LocalResult> {
    if query.qclass != Class::IN {
        return None;
    }
    let name = query.name.as_wire();
    if query.qtype == RecordType::PTR {
        let names = hosts.table.names(reverse::address(name)?);
        return if names.is_empty() {
            None
        } else {
            answer(hosts, query, names.iter().map(pointer).collect())
        };
    }
    if !hosts.covers(name) {
        return None;
    }
    let Some(addresses) = hosts.table.addresses(name) else {
        // NXDOMAIN has an SOA, and a hosts table none.
        let fails = !hosts.falls_through(name);
        return fails.then_some(LocalResult::Error(Rcode::SERVFAIL, None));
    };
    let is_wanted: fn(&IpAddr) -> bool = match query.qtype {
        RecordType::A => IpAddr::is_ipv4,
        RecordType::AAAA => IpAddr::is_ipv6,
        _ if hosts.passes_other_types => return None,
        _ => |_| false,
    };
    let wanted = addresses.iter().filter(|address| is_wanted(address));
    answer(hosts, query, wanted.copied().map(SynthesizedData::Address).collect())
}

fn pointer(name: &Name) -> SynthesizedData {
    SynthesizedData::Pointer(name.clone())
}

/// Owner and case of the records are the question's.
fn answer(hosts: &Hosts, query: &Query<'_>, data: Vec<SynthesizedData>) -> Option<LocalResult> {
    let ttl = hosts.ttl;
    let record = |data| SynthesizedRecord { owner: Owner::Question, ttl, data };
    let records: Vec<SynthesizedRecord> = data.into_iter().map(record).collect();
    let response = synthesized::largest_response(query.header.question, &records)?;
    Some(LocalResult::Response(response, Plugin::Hosts, None))
}
