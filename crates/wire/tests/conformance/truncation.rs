//! Truncation: how many records fit, compared to CoreDNS.

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::frame;
use wire::header::{Flags, Header};
use wire::name::NameBuffer;
use wire::{Answer, Query, Response};

use crate::message_builder::{message, name, opt, question, record};

const A: u16 = 1;
const SRV: u16 = 33;
const QNAME: &[u8] = &[0xc0, 12];

/// Addresses of `owner`, uncompressed.
fn addresses(owner: &str, count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|last| record(&name(owner), A, 10, &[127, 0, 0, last])).collect()
}

/// One address each of the targets of [`services`].
fn glue(count: u8) -> Vec<Vec<u8>> {
    let owner = |last| name(&format!("10-0-0-{last}.default.pod.test"));
    (0..count).map(|last| record(&owner(last), A, 10, &[10, 0, 0, last])).collect()
}

/// SRV records of `count` targets.
fn services(count: u8) -> Vec<Vec<u8>> {
    let target = |last| name(&format!("10-0-0-{last}.default.pod.test"));
    (0..count).map(|last| record(QNAME, SRV, 10, &[vec![0; 6], target(last)].concat())).collect()
}

/// The response to a client that accepts `max_len` octets, and its header.
fn respond(
    wire_question: &[u8],
    sections: [&[Vec<u8>]; 3],
    max_len: usize,
    with_opt: bool,
) -> (Vec<u8>, Header) {
    let response = message(0x8180, wire_question, sections);
    let answer = Answer::from_response(&Response::parse(&response).unwrap());
    let opts: Vec<_> = with_opt.then(|| opt(4096, 0, &[])).into_iter().collect();
    let query = message(0x0100, wire_question, [&[], &[], &opts]);
    let mut out = Vec::new();
    answer.write(
        &Query::parse(&query, &mut NameBuffer::new()).unwrap().header,
        ResponseOptions::new(ResponseTtl::AsReceived, max_len),
        &mut out,
    );
    let header = Header::read(&out).unwrap();
    (out, header)
}

#[test]
fn address_records_of_one_owner_take_sixteen_octets() {
    let wire_question = question("a.example.test", A);
    let (message, header) = respond(&wire_question, [&addresses("a.example.test", 30), &[], &[]], 512, false);
    assert_eq!((message.len(), header.ancount, header.flags.has(Flags::TC)), (512, 30, false));
    for record in message[12 + wire_question.len()..].chunks(16) {
        assert_eq!(record[..2], *QNAME);
    }
}

#[test]
fn of_120_addresses_as_many_fit_as_from_coredns() {
    // Measured at CoreDNS 1.13 with a name of 13 octets; its OPT carried back a cookie of 12
    // octets.
    for (max_len, with_opt, count, len) in
        [(512, false, 30, 509), (1232, true, 73, 1220), (4096, true, 120, 1972), (65535, true, 120, 3292)]
    {
        let wire_question = question("many.t.test", A);
        let (message, header) =
            respond(&wire_question, [&addresses("many.t.test", 120), &[], &[]], max_len, with_opt);
        assert!(header.ancount >= count, "{} of {count} in {max_len} octets", header.ancount);
        let for_as_many = message.len() - 16 * usize::from(header.ancount - count);
        assert!(for_as_many <= len, "{for_as_many} octets for {count}, where CoreDNS needs {len}");
        assert_eq!(header.flags.has(Flags::TC), header.ancount < 120);
    }
}

#[test]
fn a_response_may_fill_the_size_exactly() {
    let wire_question = question("large.example.com", A);
    let all = addresses("large.example.com", 199);
    for (max_len, count, len) in [(867, 52, 867), (866, 51, 851), (883, 53, 883)] {
        let (message, header) = respond(&wire_question, [&all, &[], &[]], max_len, false);
        assert_eq!((header.ancount, message.len()), (count, len), "max_len {max_len}");
        assert!(header.flags.has(Flags::TC));
    }
}

#[test]
fn many_records_in_any_section_stay_within_the_size() {
    let wire_question = question("_dns._tcp.test", SRV);
    let (many, some, one) = (services(199), services(32), services(1));
    let (much_glue, some_glue) = (addresses("10-0-0-0.default.pod.test", 199), glue(32));
    for sections in [[&many[..], &[], &[]], [&one, &[], &much_glue], [&some, &[], &some_glue]] {
        let all = sections.iter().map(|section| section.len()).sum::<usize>();
        for (max_len, with_opt) in [(512, false), (512, true), (1232, true), (4096, true)] {
            let (message, header) = respond(&wire_question, sections, max_len, with_opt);
            let opt = u16::from(with_opt);
            let remaining = usize::from(header.ancount + header.nscount + header.arcount - opt);
            assert!(message.len() <= max_len, "{} octets for {max_len}", message.len());
            assert!(remaining > 0);
            assert_eq!(
                header.flags.has(Flags::TC),
                remaining < all,
                "{remaining} of {all} in {max_len} octets"
            );
            assert!(remaining < all || max_len == 4096, "{remaining} of {all} in {max_len} octets");
            assert!(!with_opt || message.ends_with(&own_opt()), "OPT remains, and is last");
        }
    }
}

fn own_opt() -> Vec<u8> {
    opt(1232, 0, &[])
}

#[test]
fn no_response_exceeds_the_size() {
    for (wire_question, records) in [
        (question("_dns._tcp.test", SRV), services(199)),
        (question("large.example.com", A), addresses("large.example.com", 255)),
    ] {
        for max_len in (1024..=4096).step_by(12) {
            let (message, header) = respond(&wire_question, [&records, &[], &glue(32)], max_len, true);
            assert!(message.len() <= max_len, "{} octets for {max_len}", message.len());
            assert!(
                max_len - message.len() < 64,
                "{} octets for {max_len}: a record more fits",
                message.len()
            );
            assert!(header.flags.has(Flags::TC));
        }
    }
}

#[test]
fn a_response_of_65535_octets_is_sent_whole() {
    let wire_question = question("a.test", 65280);
    let space = 65535 - 12 - wire_question.len() - 12;
    let longest = record(QNAME, 65280, 10, &vec![0xc0; space]);
    let (response, header) =
        respond(&wire_question, [std::slice::from_ref(&longest), &[], &[]], 65535, false);
    assert_eq!(response, message(0x8180, &wire_question, [&[longest], &[], &[]]));
    assert_eq!((response.len(), header.flags.has(Flags::TC)), (65535, false));
    assert!(frame::push(&response, &mut Vec::new()));
}
