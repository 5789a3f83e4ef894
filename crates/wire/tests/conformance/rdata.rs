//! RDATA is relayed unchanged (RFC 3597).

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::header::RecordType;
use wire::name::NameBuffer;
use wire::query::OutgoingQuery;
use wire::{Answer, Query, Response};

use crate::message_builder::{message, name, question, record};

const QNAME: &[u8] = &[0xc0, 12];
const OPT: u16 = 41;

fn respond(response: &[u8], query: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let answer = Answer::from_response(&Response::parse(response).unwrap());
    answer.write(
        &Query::parse(query, &mut NameBuffer::new()).unwrap().header,
        ResponseOptions::new(ResponseTtl::AsReceived, 65535),
        &mut out,
    );
    out
}

#[test]
fn rdata_is_relayed_unchanged() {
    let owner = name("a.example.test");
    // Names in RDATA must not be compressed (RFC 3597 section 4).
    let pointer_like = vec![0xc0, 12, 0xc0, 13, 0xff, 0];
    let srv = [&[0, 1, 0, 2, 0, 53][..], &owner].concat();
    let rrsig = [&[0, 1, 8, 3][..], &[0; 14], &name("example.test"), &[0xc0, 12, 1, 2]].concat();
    let nsec = [&owner[..], &[0, 6, 0x40, 0, 0, 0, 0, 3]].concat();
    // Parameters 1, 4 and 65000.
    let alpn = [0, 1, 0, 3, 2, b'h', b'2'];
    let hint = [0, 4, 0, 4, 192, 0, 2, 1];
    let private = [0xfd, 0xe8, 0, 2, 0xc0, 12];
    let https = [&[0, 1][..], &owner, &alpn, &hint, &private].concat();
    for (rtype, rdata) in
        [(65534, pointer_like), (33, srv), (46, rrsig), (47, nsec), (65, https.clone()), (64, https)]
    {
        let wire_question = question("a.example.test", rtype);
        let query = message(0x0100, &wire_question, [&[], &[], &[]]);
        let with_owner = |owner: &[u8]| {
            let records = [record(owner, rtype, 60, &rdata), record(owner, rtype, 60, &rdata)];
            message(0x8180, &wire_question, [&records, &[], &[]])
        };
        let expected = with_owner(QNAME);
        assert_eq!(respond(&with_owner(&owner), &query), expected, "type {rtype}, owners uncompressed");
        assert_eq!(respond(&expected, &query), expected, "type {rtype}, owners compressed");
    }
}

#[test]
fn queries_of_any_type_are_forwarded_and_answered() {
    for qtype in (0..=65535).filter(|qtype| *qtype != OPT) {
        let wire_question = question("a.test", qtype);
        let query = message(0x0100, &wire_question, [&[], &[], &[]]);
        let mut buffer = NameBuffer::new();
        let parsed = Query::parse(&query, &mut buffer).unwrap();
        assert_eq!(parsed.qtype, RecordType(qtype));
        let outgoing = OutgoingQuery {
            id: 7,
            question: &wire_question,
            recursion_desired: true,
            checking_disabled: false,
            edns: true,
            udp_size: 1232,
            options: &[],
            dnssec_ok: false,
        };
        let mut sent = Vec::new();
        outgoing.write(&mut sent);
        assert_eq!(sent[12..12 + wire_question.len()], wire_question);
        let nothing = message(0x8180, &wire_question, [&[], &[], &[]]);
        assert_eq!(respond(&nothing, &query), nothing, "type {qtype}");
        // Above these, and apart from TA and DLV, no type has a known format.
        if qtype > 262 && !(32768..=32769).contains(&qtype) {
            let response =
                message(0x8180, &wire_question, [&[record(QNAME, qtype, 60, &[0xc0, 12, 0])], &[], &[]]);
            assert_eq!(respond(&response, &query), response, "type {qtype}");
        }
    }
}

#[test]
fn names_in_rdata_of_rfc_1035_types_are_compressed_with_their_case() {
    let wire_question = question("a.test", 15);
    let mx = |owner: &[u8], exchange: &[u8]| record(owner, 15, 60, &[&[0, 10][..], exchange].concat());
    let uncompressed = [
        mx(&name("a.test"), &name("One.Mail.test")),
        mx(&name("A.test"), &name("two.Mail.test")),
        mx(&name("a.test"), &name("two.mail.test")),
    ];
    let packet = message(0x8180, &wire_question, [&uncompressed, &[], &[]]);
    // The first exchange is at 38 and keeps its case; the case of the question (12) is the
    // client's.
    let compressed = [
        mx(QNAME, &name("One.Mail.test")),
        mx(QNAME, &[3, b't', b'w', b'o', 0xc0, 42]),
        mx(QNAME, &[3, b't', b'w', b'o', 4, b'm', b'a', b'i', b'l', 0xc0, 47]),
    ];
    let relayed = respond(&packet, &message(0x0100, &wire_question, [&[], &[], &[]]));
    assert_eq!(relayed, message(0x8180, &wire_question, [&compressed, &[], &[]]));
}
