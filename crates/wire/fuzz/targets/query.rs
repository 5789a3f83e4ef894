//! `domain` and hickory-proto parse an accepted query with the same result; a rejected one gets a
//! response that hickory-proto decodes and that is no longer than the query, or none.
#![no_main]

#[expect(dead_code, reason = "the property tests use more of it")]
#[path = "../../tests/properties/reference.rs"]
mod reference;

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use reference::Reference;
use wire::edns::{OPT_LEN, OptRecord};
use wire::header::{Flags, HEADER_LEN, Header, Rcode};
use wire::name::NameBuffer;
use wire::query::Rejection;
use wire::{Query, reply};

fn check_accepted(packet: &[u8], query: &Query<'_>) {
    let reference = Reference::parse(packet).expect("domain cannot parse an accepted message");
    assert_eq!(query.name.as_wire(), reference.qname);
    assert_eq!((query.qtype.0, query.qclass.0), (reference.qtype, reference.qclass));
    assert!(packet[HEADER_LEN..].starts_with(query.header.question), "another question");
    let edns = query.header.edns.map(|edns| (edns.udp_size, edns.version, edns.dnssec_ok));
    assert_eq!(edns, reference.opt.map(|(size, version, dnssec_ok, _)| (size, version, dnssec_ok)));
    // hickory-proto rejects messages for known options with invalid data.
    let decoded = Message::from_vec(packet).is_ok();
    assert!(
        decoded || reference.opts().count() == reference.records.len(),
        "hickory-proto cannot decode an accepted message"
    );
}

/// Another question in a query is that question, and nothing else of the query changes.
fn check_question(query: &Query<'_>) {
    let mut buffer = NameBuffer::new();
    let again = query.with_question(query.header.question, &mut buffer).expect("its own question");
    assert_eq!(again.name.as_wire(), query.name.as_wire());
    assert_eq!((again.qtype, again.qclass), (query.qtype, query.qclass));
    let longer = [query.header.question, &[0]].concat();
    assert!(query.with_question(&longer, &mut NameBuffer::new()).is_none(), "octets behind the name");
}

fn check_error(query: &Query<'_>) {
    let mut out = Vec::new();
    reply::error(&query.header, Rcode::SERVFAIL, OptRecord::DEFAULT, &mut out);
    let opt_len = if query.header.edns.is_some() { OPT_LEN } else { 0 };
    assert_eq!(out.len(), HEADER_LEN + query.header.question.len() + opt_len);
    assert!(Message::from_vec(&out).is_ok(), "hickory-proto cannot decode an error response");
}

fn check_rejected(packet: &[u8], rejection: Rejection) {
    let mut out = Vec::new();
    reply::rejection(packet, rejection, &mut out);
    assert_eq!(out.is_empty(), rejection == Rejection::Drop);
    if let (Some(sent), Some(received)) = (Header::read(&out), Header::read(packet)) {
        assert!(out.len() <= packet.len(), "amplified");
        assert_eq!(sent.id, received.id);
        assert!(sent.flags.has(Flags::QR));
        assert!(Message::from_vec(&out).is_ok(), "hickory-proto cannot decode a rejection");
    }
}

fuzz_target!(|packet: &[u8]| {
    let mut buffer = NameBuffer::new();
    match Query::parse(packet, &mut buffer) {
        Ok(query) => {
            check_accepted(packet, &query);
            check_question(&query);
            check_error(&query);
        }
        Err(rejection) => check_rejected(packet, rejection),
    }
});
