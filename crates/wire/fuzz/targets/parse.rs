//! What we accept, `domain` walks and reads the same; what hickory-proto decodes besides, it reads the same.
#![no_main]

#[expect(dead_code, reason = "the laws among the tests use more of it")]
#[path = "../../tests/laws/opinion.rs"]
mod opinion;

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use opinion::Opinion;
use wire::query::Rejection;
use wire::{Query, Response, reply};

fuzz_target!(|packet: &[u8]| {
    let mut out = Vec::new();
    match Query::parse(packet) {
        Ok(query) => {
            let seen = Opinion::of_domain(packet).expect("domain cannot walk what we accept");
            assert_eq!(query.name.as_wire(), seen.qname);
            assert_eq!((query.qtype.0, query.qclass.0), (seen.qtype, seen.qclass));
            let edns = query.header.edns.map(|edns| (edns.udp_size, edns.version, edns.dnssec_ok));
            assert_eq!(edns, seen.opt.map(|(size, version, dnssec_ok, _)| (size, version, dnssec_ok)));
            // hickory-proto rejects the message for an option it knows with octets it does not.
            let decoded = Message::from_vec(packet).is_ok();
            assert!(
                decoded || seen.opts().count() == seen.records.len(),
                "hickory-proto cannot decode what we accept"
            );
        }
        Err(rejection) => {
            reply::rejection(packet, rejection, &mut out);
            assert_eq!(out.is_empty(), rejection == Rejection::Drop);
            assert!(out.is_empty() || Message::from_vec(&out).is_ok());
        }
    }
    if let Ok(response) = Response::parse(packet) {
        let seen = Opinion::of_domain(packet).expect("domain cannot walk what we accept");
        assert!(seen.opts().all(|opt| opt.section == 2 && opt.owner == [0]));
        assert!(!seen.qname_has_pointers && seen.names_are_readable());
        let ttl = |ttl: u32| if ttl > 0x7fff_ffff { 0 } else { ttl };
        assert_eq!(response.min_ttl, seen.real_records().map(|record| ttl(record.ttl)).min());
        let question = [&seen.qname[..], &seen.qtype.to_be_bytes(), &seen.qclass.to_be_bytes()].concat();
        assert!(response.matches_question(&question));
    }
});
