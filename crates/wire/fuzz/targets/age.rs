//! What a client is told is within its limit, the beginning of the whole answer, and the upstream's records.
#![no_main]

#[expect(dead_code, reason = "the laws among the tests use more of it")]
#[path = "../../tests/laws/opinion.rs"]
mod opinion;

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use opinion::{Opinion, Seen};
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{Edns, OPT_LEN};
use wire::header::{Flags, Header};
use wire::query::RequestHeader;
use wire::{Answer, Response};

/// RDATA is not changed. Only a pointer in the gateway of an IPSECKEY, where none may be (RFC 4025 section 2.5) and we
/// do not look, can read octets that are.
fn stays_readable(told: &Seen, was: &Seen) -> bool {
    const IPSECKEY: u16 = 45;
    told.readable || !was.readable || was.rtype == IPSECKEY
}

fuzz_target!(|input: &[u8]| {
    let Some(([flags, limit, opt], packet)) = input.split_first_chunk::<3>() else {
        return;
    };
    let Ok(response) = Response::parse(packet) else {
        return;
    };
    let before = Opinion::of_domain(packet).expect("domain cannot walk what we accept");
    let question = packet[12..12 + before.qname.len() + 4].to_ascii_lowercase();
    let question = [&question[..before.qname.len()], &packet[12 + before.qname.len()..][..4]].concat();
    let edns = (opt & 1 == 1).then_some(Edns { udp_size: 512, version: 0, dnssec_ok: opt & 2 == 2, keepalive_len: None });
    let header = RequestHeader { id: 7, flags: Flags(u16::from(*flags) << 3), question: &question, edns };
    let opt_len = if edns.is_some() { OPT_LEN } else { 0 };
    let answer = Answer::from_response(&response);
    let mut whole = Vec::new();
    answer.write(&header, ResponseOptions::new(ResponseTtl::AsReceived, usize::MAX), &mut whole);
    assert_eq!(whole.len(), answer.message_len() + opt_len);
    let all = Opinion::of_domain(&whole).expect("domain cannot walk what we tell");
    for (told, was) in all.real_records().zip(&before.records) {
        assert_eq!(
            (&told.owner, told.rtype, told.class, told.ttl),
            (&was.owner, was.rtype, was.class, was.ttl)
        );
        assert!(stays_readable(told, was));
    }
    if Message::from_vec(packet).is_ok() {
        assert!(Message::from_vec(&whole).is_ok(), "hickory-proto cannot decode what we tell");
    }
    let limit = 512 + usize::from(*limit) * 8;
    let mut told = Vec::new();
    answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(0xc00c_c00c), limit), &mut told);
    let seen = Opinion::of_domain(&told).expect("domain cannot walk what we cut");
    assert!(told.len() <= limit);
    assert_eq!(seen.opt.is_some(), edns.is_some());
    let cut = seen.records.len() < all.records.len();
    assert_eq!(cut, whole.len() > limit);
    assert!(!cut || Header::read(&told).is_some_and(|header| header.flags.has(Flags::TC)));
    for (told, was) in seen.real_records().zip(&all.records) {
        assert_eq!((&told.owner, told.rtype), (&was.owner, was.rtype));
        assert!(stays_readable(told, was));
    }
});
