//! `domain` and hickory-proto parse accepted messages with the same result.
#![no_main]

#[expect(dead_code, reason = "the property tests use more of it")]
#[path = "../../tests/properties/reference.rs"]
mod reference;

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use reference::Reference;
use wire::name::NameBuffer;
use wire::query::Rejection;
use wire::{Query, Response, reply};

fuzz_target!(|packet: &[u8]| {
    let mut out = Vec::new();
    let mut buffer = NameBuffer::new();
    match Query::parse(packet, &mut buffer) {
        Ok(query) => {
            let reference = Reference::parse(packet).expect("domain cannot parse an accepted message");
            assert_eq!(query.name.as_wire(), reference.qname);
            assert_eq!((query.qtype.0, query.qclass.0), (reference.qtype, reference.qclass));
            let edns = query.header.edns.map(|edns| (edns.udp_size, edns.version, edns.dnssec_ok));
            assert_eq!(edns, reference.opt.map(|(size, version, dnssec_ok, _)| (size, version, dnssec_ok)));
            // hickory-proto rejects messages for known options with invalid data.
            let decoded = Message::from_vec(packet).is_ok();
            assert!(
                decoded || reference.opts().count() == reference.records.len(),
                "hickory-proto cannot decode an accepted message"
            );
        }
        Err(rejection) => {
            reply::rejection(packet, rejection, &mut out);
            assert_eq!(out.is_empty(), rejection == Rejection::Drop);
            assert!(out.is_empty() || Message::from_vec(&out).is_ok());
        }
    }
    if let Ok(response) = Response::parse(packet) {
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
    }
});
