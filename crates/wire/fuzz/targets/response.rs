//! A response of an upstream: what is left of it, and what clients get of that. A client's response is
//! within its size, has the upstream's first records, and differs between two ages in TTLs only; a
//! further cache behind this one reads the same from it.
//!
//! The first three octets are the client's flags, the size that it accepts and its OPT.
#![no_main]

#[expect(dead_code, reason = "the property tests use more of it")]
#[path = "../../tests/properties/reference.rs"]
mod reference;

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use reference::{Reference, ReferenceRecord};
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::editable::EditableResponse;
use wire::edns::{Edns, OPT_LEN};
use wire::header::{Flags, HEADER_LEN, Header};
use wire::query::RequestHeader;
use wire::response::ResponseType;
use wire::{Answer, Response, record_text};

/// RDATA that can be read stays so. A pointer in a format that `wire` does not know can lead to
/// changed octets.
fn remains_readable(sent: &ReferenceRecord, was: &ReferenceRecord) -> bool {
    sent.readable || !was.readable
}

/// Scrubbing leaves records of the message, readable, and is idempotent.
fn check_scrubbed(packet: &[u8], response: &Response<'_>) {
    let received = Reference::parse(packet).expect("domain cannot parse an accepted message");
    let reference = Reference::parse(&response.packet).expect("domain cannot parse a scrubbed message");
    assert!(reference.opts().all(|opt| opt.section == 2 && opt.owner == [0]));
    assert!(!reference.qname_has_pointers && reference.names_are_readable());
    assert!(reference.real_records().count() <= received.real_records().count());
    assert_eq!(response.min_ttl, reference.real_records().map(|record| record.ttl).min());
    let question = [&reference.qname[..], &reference.qtype.to_be_bytes(), &reference.qclass.to_be_bytes()].concat();
    assert!(response.matches_question(&question));
    let again = Response::parse(&response.packet).expect("wire cannot parse a scrubbed message");
    assert_eq!(again.packet, response.packet, "scrubbing twice changes more");
    let shown = record_text::records(&response.packet).len();
    assert!(shown <= reference.records.len());
}

/// Taking a response apart and putting it together again changes no record.
fn check_editable(response: &Response<'_>, before: &Reference) {
    let Some(parts) = EditableResponse::new(response) else { panic!("an accepted response has no parts") };
    let Some(again) = parts.into_response() else { return };
    let after = Reference::parse(&again.packet).expect("domain cannot parse a rewritten message");
    assert_eq!((again.rcode, again.response_type), (response.rcode, response.response_type));
    if !again.header.flags.has(Flags::TC) || response.header.flags.has(Flags::TC) {
        assert_eq!(after.real_records().count(), before.real_records().count());
    }
    for (sent, was) in after.real_records().zip(before.real_records()) {
        assert_eq!(
            (sent.section, &sent.owner, sent.rtype, sent.class, sent.ttl),
            (was.section, &was.owner, was.rtype, was.class, was.ttl)
        );
        assert!(remains_readable(sent, was));
    }
}

fn check_header(sent: &[u8], request: &RequestHeader<'_>, upstream: Header) {
    let header = Header::read(sent).expect("a header");
    assert_eq!(header.id, request.id);
    assert!(header.flags.has(Flags::QR) && header.flags.has(Flags::RA));
    let copied = Flags::RD.with(Flags::CD);
    assert_eq!(header.flags.only(copied), request.flags.only(copied));
    assert_eq!(header.flags.has(Flags::AA), upstream.flags.has(Flags::AA));
    let may_have_ad = request.flags.has(Flags::AD) || request.edns.is_some_and(|edns| edns.dnssec_ok);
    assert_eq!(header.flags.has(Flags::AD), may_have_ad && upstream.flags.has(Flags::AD));
    assert!(sent[HEADER_LEN..].starts_with(request.question), "the client's own question");
}

/// A cache that forwards to this one reads what this one has read.
fn check_next_cache(whole: &[u8], response: &Response<'_>) {
    let again = Response::parse(whole).expect("wire cannot parse its own response");
    assert_eq!((again.min_ttl, again.soa_minimum), (response.min_ttl, response.soa_minimum));
    assert!(!again.has_trailing_octets);
    // A chain whose records were removed says so in the type only; and a response code above 15 is
    // for clients with OPT.
    let is_plain = response.rcode.0 < 16 && response.response_type != ResponseType::IncompleteChain;
    assert!(!is_plain || again.response_type == response.response_type);
}

/// The responses of two ages differ in TTLs only.
fn check_ageing(older: &[u8], younger: &[u8], ttl: u32) {
    assert_eq!(older.len(), younger.len());
    let reference = Reference::parse(older).expect("domain cannot parse an aged response");
    assert!(reference.real_records().all(|record| record.ttl == ttl));
    let changed = older.iter().zip(younger).filter(|(older, younger)| older != younger).count();
    assert!(changed <= 4 * reference.real_records().count(), "{changed} octets changed");
}

fuzz_target!(|input: &[u8]| {
    let Some(([flags, limit, opt], packet)) = input.split_first_chunk::<3>() else {
        return;
    };
    let Ok(response) = Response::parse(packet) else {
        return;
    };
    check_scrubbed(packet, &response);
    let packet = &*response.packet;
    let before = Reference::parse(packet).expect("domain cannot parse an accepted message");
    check_editable(&response, &before);
    let question_end = 12 + before.qname.len() + 4;
    let question = [&before.qname[..], &packet[question_end - 4..question_end]].concat();
    let edns = (opt & 1 == 1).then_some(Edns {
        udp_size: 512,
        version: 0,
        dnssec_ok: opt & 2 == 2,
        keepalive_len: None,
        wants_nsid: false,
    });
    let header = RequestHeader { id: 7, flags: Flags(u16::from(*flags) << 3), question: &question, edns };
    let opt_len = if edns.is_some() { OPT_LEN } else { 0 };
    let answer = Answer::from_response(&response);
    let write = |ttl, limit| {
        let mut out = Vec::new();
        answer.write(&header, ResponseOptions::new(ttl, limit), &mut out);
        check_header(&out, &header, response.header);
        out
    };
    let whole = write(ResponseTtl::AsReceived, usize::MAX);
    assert_eq!(whole.len(), answer.message_len() + opt_len);
    let all = Reference::parse(&whole).expect("domain cannot parse the response");
    for (sent, was) in all.real_records().zip(&before.records) {
        assert_eq!(
            (&sent.owner, sent.rtype, sent.class, sent.ttl),
            (&was.owner, was.rtype, was.class, was.ttl)
        );
        assert!(remains_readable(sent, was));
    }
    check_next_cache(&whole, &response);
    if Message::from_vec(packet).is_ok() {
        assert!(Message::from_vec(&whole).is_ok(), "hickory-proto cannot decode the response");
    }
    let limit = 512 + usize::from(*limit) * 8;
    let sent = write(ResponseTtl::Uniform(0xc00c_c00c), limit);
    let reference = Reference::parse(&sent).expect("domain cannot parse the truncated response");
    assert!(sent.len() <= limit);
    assert_eq!(reference.opt.is_some(), edns.is_some());
    let truncated = reference.records.len() < all.records.len();
    assert_eq!(truncated, whole.len() > limit);
    assert!(!truncated || Header::read(&sent).is_some_and(|header| header.flags.has(Flags::TC)));
    for (sent, was) in reference.real_records().zip(&all.records) {
        assert_eq!((&sent.owner, sent.rtype), (&was.owner, was.rtype));
        assert!(remains_readable(sent, was));
    }
    check_ageing(&write(ResponseTtl::Uniform(4), limit), &write(ResponseTtl::Uniform(5), limit), 4);
});
