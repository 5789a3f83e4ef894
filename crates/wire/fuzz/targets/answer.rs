//! A response to a client stays within its size and contains the upstream's first records.
#![no_main]

#[expect(dead_code, reason = "the property tests use more of it")]
#[path = "../../tests/properties/reference.rs"]
mod reference;

use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;
use reference::{Reference, ReferenceRecord};
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{Edns, OPT_LEN};
use wire::header::{Flags, Header};
use wire::query::RequestHeader;
use wire::{Answer, Response};

/// RDATA that can be read stays so. A pointer in a format that `wire` does not know can lead to
/// changed octets.
fn remains_readable(sent: &ReferenceRecord, was: &ReferenceRecord) -> bool {
    sent.readable || !was.readable
}

fuzz_target!(|input: &[u8]| {
    let Some(([flags, limit, opt], packet)) = input.split_first_chunk::<3>() else {
        return;
    };
    let Ok(response) = Response::parse(packet) else {
        return;
    };
    let packet = &*response.packet;
    let before = Reference::parse(packet).expect("domain cannot parse an accepted message");
    let question = packet[12..12 + before.qname.len() + 4].to_ascii_lowercase();
    let question = [&question[..before.qname.len()], &packet[12 + before.qname.len()..][..4]].concat();
    let edns = (opt & 1 == 1).then_some(Edns { udp_size: 512, version: 0, dnssec_ok: opt & 2 == 2, keepalive_len: None, wants_nsid: false });
    let header = RequestHeader { id: 7, flags: Flags(u16::from(*flags) << 3), question: &question, edns };
    let opt_len = if edns.is_some() { OPT_LEN } else { 0 };
    let answer = Answer::from_response(&response);
    let mut whole = Vec::new();
    answer.write(&header, ResponseOptions::new(ResponseTtl::AsReceived, usize::MAX), &mut whole);
    assert_eq!(whole.len(), answer.message_len() + opt_len);
    let all = Reference::parse(&whole).expect("domain cannot parse the response");
    for (sent, was) in all.real_records().zip(&before.records) {
        assert_eq!(
            (&sent.owner, sent.rtype, sent.class, sent.ttl),
            (&was.owner, was.rtype, was.class, was.ttl)
        );
        assert!(remains_readable(sent, was));
    }
    if Message::from_vec(packet).is_ok() {
        assert!(Message::from_vec(&whole).is_ok(), "hickory-proto cannot decode the response");
    }
    let limit = 512 + usize::from(*limit) * 8;
    let mut sent = Vec::new();
    answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(0xc00c_c00c), limit), &mut sent);
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
});
