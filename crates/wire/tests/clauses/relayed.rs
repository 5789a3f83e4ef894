//! What the client is told of records is what the upstream said.

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::header::RecordType;
use wire::query::OutgoingQuery;
use wire::{Answer, Query, Response};

use crate::builder::{message, name, question, record};

const QNAME: &[u8] = &[0xc0, 12];
const OPT: u16 = 41;

fn tell(response: &[u8], query: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let answer = Answer::from_response(&Response::parse(response).unwrap());
    answer.write(
        &Query::parse(query).unwrap().header,
        ResponseOptions::new(ResponseTtl::AsReceived, 65535),
        &mut out,
    );
    out
}

#[test]
fn rdata_is_told_octet_by_octet() {
    let owner = name("a.example.test");
    // Each name in RDATA could be a pointer to the question, and none may become one (RFC 3597 section 4).
    let pointer_like = vec![0xc0, 12, 0xc0, 13, 0xff, 0];
    let srv = [&[0, 1, 0, 2, 0, 53][..], &owner].concat();
    let rrsig = [&[0, 1, 8, 3][..], &[0; 14], &name("example.test"), &[0xc0, 12, 1, 2]].concat();
    let nsec = [&owner[..], &[0, 6, 0x40, 0, 0, 0, 0, 3]].concat();
    // Parameters 1, 4 and 65000, and a second record with theirs in another order.
    let alpn = [0, 1, 0, 3, 2, b'h', b'2'];
    let hint = [0, 4, 0, 4, 192, 0, 2, 1];
    let private = [0xfd, 0xe8, 0, 2, 0xc0, 12];
    let https = [&[0, 1][..], &owner, &alpn, &hint, &private].concat();
    let unsorted = [&[0, 2][..], &owner, &private, &hint, &alpn].concat();
    for (rtype, rdata) in [
        (65534, pointer_like),
        (33, srv),
        (46, rrsig),
        (47, nsec),
        (65, https.clone()),
        (64, https),
        (64, unsorted),
    ] {
        let asked = question("a.example.test", rtype);
        let query = message(0x0100, &asked, [&[], &[], &[]]);
        let came_with = |owner: &[u8]| {
            let records = [record(owner, rtype, 60, &rdata), record(owner, rtype, 60, &rdata)];
            message(0x8180, &asked, [&records, &[], &[]])
        };
        let expected = came_with(QNAME);
        assert_eq!(tell(&came_with(&owner), &query), expected, "type {rtype}, owners uncompressed");
        assert_eq!(tell(&expected, &query), expected, "type {rtype}, owners compressed");
    }
}

#[test]
fn a_question_of_any_type_is_asked_and_answered() {
    for qtype in (0..=65535).filter(|qtype| *qtype != OPT) {
        let asked = question("a.test", qtype);
        let query = message(0x0100, &asked, [&[], &[], &[]]);
        let parsed = Query::parse(&query).unwrap();
        assert_eq!(parsed.qtype, RecordType(qtype));
        let outgoing = OutgoingQuery {
            id: 7,
            question: &asked,
            recursion_desired: true,
            checking_disabled: false,
            edns: true,
            udp_size: 1232,
            dnssec_ok: false,
        };
        let mut sent = Vec::new();
        outgoing.write(&mut sent);
        assert_eq!(sent[12..12 + asked.len()], asked);
        let nothing = message(0x8180, &asked, [&[], &[], &[]]);
        assert_eq!(tell(&nothing, &query), nothing, "type {qtype}");
        // From here on no type has a options.
        if qtype > 260 {
            let response = message(0x8180, &asked, [&[record(QNAME, qtype, 60, &[0xc0, 12, 0])], &[], &[]]);
            assert_eq!(tell(&response, &query), response, "type {qtype}");
        }
    }
}

#[test]
fn names_that_came_uncompressed_are_shortened_in_the_rdata_of_old_types_and_keep_their_letters() {
    let asked = question("a.test", 15);
    let mx = |owner: &[u8], exchange: &[u8]| record(owner, 15, 60, &[&[0, 10][..], exchange].concat());
    let came = [
        mx(&name("a.test"), &name("One.Mail.test")),
        mx(&name("A.test"), &name("two.Mail.test")),
        mx(&name("a.test"), &name("two.mail.test")),
    ];
    let packet = message(0x8180, &asked, [&came, &[], &[]]);
    // The first exchange is at 38: its letters are its own, those of the question (12) are the client's.
    let shorter = [
        mx(QNAME, &name("One.Mail.test")),
        mx(QNAME, &[3, b't', b'w', b'o', 0xc0, 42]),
        mx(QNAME, &[3, b't', b'w', b'o', 4, b'm', b'a', b'i', b'l', 0xc0, 47]),
    ];
    let told = tell(&packet, &message(0x0100, &asked, [&[], &[], &[]]));
    assert_eq!(told, message(0x8180, &asked, [&shorter, &[], &[]]));
}
