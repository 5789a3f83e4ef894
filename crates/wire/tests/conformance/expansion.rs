//! Names in RDATA of types outside RFC 1035 are sent uncompressed (RFC 3597 section 4).

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::header::Header;
use wire::name::NameBuffer;
use wire::{Answer, Query, Response};

use crate::message_builder::{message, name, opt, question, record};

const QNAME: &[u8] = &[0xc0, 12];
const OWNER: &str = "a.Example.test";

/// What a client of `query` gets, with all TTLs `ttl`.
fn respond(response: &[u8], query: &[u8], ttl: u32, max_len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    Answer::from_response(&Response::parse(response).unwrap()).write(
        &Query::parse(query, &mut NameBuffer::new()).unwrap().header,
        ResponseOptions::new(ResponseTtl::Uniform(ttl), max_len),
        &mut out,
    );
    out
}

/// RDATA of `rtype`, whose names are `names` each.
fn rdata(rtype: u16, names: &[u8]) -> Vec<u8> {
    let bitmap = [0, 2, 0x40, 1];
    let parts: &[&[u8]] = match rtype {
        18 | 21 | 36 | 107 => &[&[0, 10], names],
        17 | 58 => &[names, names],
        26 => &[&[0, 10], names, names],
        33 => &[&[0, 10, 0, 20, 0, 53], names],
        35 => &[&[0, 10, 0, 20, 1, b'u', 3, b's', b'i', b'p', 0], names],
        24 | 46 => &[&[0, 1, 8, 2, 0, 0, 1, 44, 0, 0, 0, 2, 0, 0, 0, 1, 0, 7], names, &[0xc0, 12, 9]],
        23 | 39 => &[names],
        30 | 47 => &[names, &bitmap],
        38 => &[&[120, 7], names],
        45 => &[&[10, 3, 2], names, &[0xc0, 12]],
        55 => &[&[2, 2, 0, 1, 0xc0, 12, 9], names, names],
        64 | 65 => &[&[0, 1], names, &[0, 3, 0, 2, 1, 187]],
        66 => &[&[0, 59, 1, 0, 53], names],
        260 => &[&[10, 0x83], names],
        _ => unreachable!("{rtype}"),
    };
    parts.concat()
}

/// SIG, NXT, SRV, NAPTR, KX, A6, DNAME, RRSIG, NSEC, SVCB, HTTPS, LP and their like.
const TYPES: [u16; 22] =
    [17, 18, 21, 23, 24, 26, 30, 33, 35, 36, 38, 39, 45, 46, 47, 55, 58, 64, 65, 66, 107, 260];

#[test]
fn compressed_names_are_written_in_full() {
    // Pointers to the whole QNAME, to a suffix of it, and a label before such a pointer.
    for (sent, written) in [
        (vec![0xc0, 12], name(OWNER)),
        (vec![0xc0, 14], name("Example.test")),
        ([&[1, b'X'][..], &[0xc0, 14]].concat(), name("X.Example.test")),
    ] {
        for rtype in TYPES {
            let wire_question = question(OWNER, rtype);
            let query = message(0x0100, &wire_question, [&[], &[], &[]]);
            let with = |names: &[u8]| {
                let records = [
                    record(QNAME, rtype, 60, &rdata(rtype, names)),
                    record(QNAME, rtype, 60, &rdata(rtype, names)),
                ];
                message(0x8180, &wire_question, [&records, &[], &[]])
            };
            let (received, expected) = (with(&sent), with(&written));
            assert_eq!(respond(&received, &query, 60, 65535), expected, "type {rtype}");
            assert_eq!(respond(&expected, &query, 60, 65535), expected, "type {rtype}, as sent");
        }
    }
}

#[test]
fn names_of_rfc_1035_types_stay_compressed_beside_expanded_ones() {
    let wire_question = question(OWNER, 255);
    let query = message(0x0100, &wire_question, [&[], &[], &[]]);
    let mx = |exchange: &[u8]| record(QNAME, 15, 60, &[&[0, 10][..], exchange].concat());
    let srv = |target: &[u8]| record(QNAME, 33, 60, &rdata(33, target));
    let received = [srv(&[0xc0, 12]), mx(&[4, b'm', b'a', b'i', b'l', 0xc0, 14]), mx(&[0xc0, 66])];
    // The first exchange, at 66 in the message as received, is at 80 behind the target in full. Its
    // case is its own, so it is no pointer to the client's QNAME.
    let expected = [srv(&name(OWNER)), mx(&name("mail.Example.test")), mx(&[0xc0, 80])];
    let received = message(0x8180, &wire_question, [&received, &[], &[]]);
    assert_eq!(received[66..72], *b"\x04mail\xc0");
    let expected = message(0x8180, &wire_question, [&expected, &[], &[]]);
    assert_eq!(respond(&received, &query, 60, 65535), expected);
}

/// TTLs are at their new positions, and truncation counts the octets that are sent.
#[test]
fn expanded_answers_age_and_are_truncated() {
    let wire_question = question(OWNER, 33);
    let query = message(0x0100, &wire_question, [&[], &[], &[opt(4096, 0, &[])]]);
    let services = |target: &[u8], ttl| vec![record(QNAME, 33, ttl, &rdata(33, target)); 40];
    let received = message(0x8180, &wire_question, [&services(QNAME, 300), &[], &[]]);
    assert!(received.len() < 1232);
    let own_opt = [opt(1232, 0, &[])];
    let whole = message(0x8180, &wire_question, [&services(&name(OWNER), 7), &[], &own_opt]);
    assert_eq!(respond(&received, &query, 7, 65535), whole);
    let truncated = respond(&received, &query, 7, 1232);
    let header = Header::read(&truncated).unwrap();
    let fit = usize::from(header.ancount);
    assert_eq!(fit, (1232 - 12 - wire_question.len() - 11) / (2 + 10 + 6 + name(OWNER).len()));
    let expected = message(0x8380, &wire_question, [&services(&name(OWNER), 7)[..fit], &[], &own_opt]);
    assert_eq!(truncated, expected);
}

/// A message that exceeds 65,535 octets with names in full loses its last records and has TC, so
/// that it is not cached.
#[test]
fn an_answer_that_is_too_large_in_full_is_truncated() {
    let long = format!("{0}.{0}.{0}.test", "x".repeat(60));
    let wire_question = question(&long, 33);
    let services = vec![record(QNAME, 33, 60, &rdata(33, QNAME)); 400];
    let received = message(0x8180, &wire_question, [&services, &[], &[opt(1232, 0, &[])]]);
    let response = Response::parse(&received).unwrap();
    let each = 2 + 10 + 6 + name(&long).len();
    let fit = (65535 - 12 - wire_question.len() - 11) / each;
    assert_eq!(usize::from(response.header.ancount), fit);
    assert!(fit < 400 && response.packet.len() <= 65535 && response.has_opt());
    assert_eq!(response.header.flags.0, 0x8380);
}

/// Many owners and targets, as of a large headless service: the size stays near that of the message
/// as received.
#[test]
fn scrubbing_keeps_owner_names_compressed() {
    let wire_question = question("_http._tcp.web.test", 33);
    let target = |number: u16| name(&format!("10-0-{}-{}.web.test", number / 256, number % 256));
    let services: Vec<Vec<u8>> =
        (0..600).map(|number| record(QNAME, 33, 60, &rdata(33, &target(number)))).collect();
    let addresses: Vec<Vec<u8>> =
        (0..600).map(|number| record(&target(number), 1, 60, &[10, 0, 0, 1])).collect();
    let stranger = [record(&name("bank.test"), 2, 60, &name("ns.evil.test"))];
    let received = message(0x8180, &wire_question, [&services, &stranger, &addresses]);
    let response = Response::parse(&received).unwrap();
    let header = response.header;
    assert_eq!((header.ancount, header.nscount, header.arcount), (600, 0, 600));
    let suffixes = 600 * (name("web.test").len() - 2);
    assert!(response.packet.len() + suffixes <= received.len(), "{} octets", response.packet.len());
}
