//! Scrubbing of authority and additional records, and formats of RDATA.

use std::borrow::Cow;

use wire::Response;
use wire::response::ResponseType;

use crate::message_builder::{message, name, opt, question, record};

const QNAME: &[u8] = &[0xc0, 12];
const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const DS: u16 = 43;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;

fn of(owner: &str, rtype: u16, rdata: &[u8]) -> Vec<u8> {
    record(&name(owner), rtype, 60, rdata)
}

fn soa(owner: &str) -> Vec<u8> {
    of(owner, SOA, &[name("ns.test"), name("host.test"), vec![0; 20]].concat())
}

fn rrsig(owner: &str, signer: &str) -> Vec<u8> {
    of(owner, RRSIG, &[vec![0; 18], name(signer), vec![7; 8]].concat())
}

/// The counts of the sections that remain.
fn counts(flags: u16, sections: [&[Vec<u8>]; 3]) -> [u16; 3] {
    let packet = message(flags, &question("www.example.test", A), sections);
    let header = Response::parse(&packet).unwrap().header;
    [header.ancount, header.nscount, header.arcount]
}

#[test]
fn authority_keeps_records_of_enclosing_zones_and_their_proofs() {
    let nsec3 = [1, 0, 0, 0, 0, 1, 9, 0, 1, 0x40];
    let signed = [
        soa("example.test"),
        rrsig("example.test", "example.test"),
        of("w.example.test", NSEC, &[name("x.example.test"), vec![0, 1, 0x40]].concat()),
        rrsig("w.example.test", "example.test"),
        of("0p9m.example.test", NSEC3, &nsec3),
        rrsig("0p9m.example.test", "example.test"),
    ];
    let referral = [
        of("example.test", NS, &name("ns.other.test")),
        of("example.test", DS, &[0, 1, 8, 2]),
        rrsig("example.test", "test"),
        of("0p9m.test", NSEC3, &nsec3),
        rrsig("0p9m.test", "test"),
    ];
    assert_eq!(counts(0x8183, [&[], &signed, &[]]), [0, 6, 0]);
    assert_eq!(counts(0x8180, [&[], &referral, &[]]), [0, 5, 0]);
    let strangers = [
        of("bank.test", NS, &name("ns.evil.test")),
        of("bank.test", DS, &[0, 1, 8, 2]),
        of("bank.test", NSEC, &[name("x.bank.test"), vec![0, 1, 0x40]].concat()),
        of("0p9m.bank.test", NSEC3, &nsec3),
        rrsig("bank.test", "bank.test"),
        rrsig("unsigned.example.test", "example.test"),
        of("www.example.test", A, &[192, 0, 2, 66]),
        of("deeper.www.example.test", NS, &name("ns.evil.test")),
    ];
    assert_eq!(counts(0x8183, [&[], &strangers, &[]]), [0, 0, 0]);
    assert_eq!(counts(0x8183, [&[], &[&strangers[..], &signed].concat(), &[]]), [0, 6, 0]);
}

#[test]
fn a_signature_that_is_removed_names_no_zone() {
    let nsec = |owner: &str| of(owner, NSEC, &[name("x.test"), vec![0, 1, 0x40]].concat());
    let of_nothing = [rrsig("x.test", "test"), nsec("bank.test")];
    assert_eq!(counts(0x8183, [&[], &of_nothing, &[]]), [0, 0, 0]);
    let by_a_stranger = [rrsig("bank.test", "example.test"), nsec("bank.test"), nsec("w.example.test")];
    assert_eq!(counts(0x8183, [&[], &by_a_stranger, &[]]), [0, 0, 0]);
    let of_a_stranger = [rrsig("bank.test", "test"), soa("bank.test"), nsec("w.test")];
    assert_eq!(counts(0x8180, [&[record(QNAME, A, 60, &[192, 0, 2, 1])], &of_a_stranger, &[]]), [1, 0, 0]);
}

#[test]
fn a_denial_keeps_the_first_soa_if_none_is_of_an_enclosing_zone() {
    let [own, other] = [soa("test"), soa("cluster.local")];
    assert_eq!(counts(0x8183, [&[], std::slice::from_ref(&other), &[]]), [0, 1, 0]);
    assert_eq!(counts(0x8183, [&[], &[other.clone(), other.clone()], &[]]), [0, 1, 0]);
    assert_eq!(counts(0x8183, [&[], &[other.clone(), own], &[]]), [0, 1, 0]);
    let address = record(QNAME, A, 60, &[192, 0, 2, 1]);
    assert_eq!(counts(0x8180, [&[address], &[other], &[]]), [1, 0, 0]);
}

#[test]
fn a_denial_for_any_keeps_its_soa_beside_records_that_no_answer_has() {
    // The owner of OPT is the root, and its size of 1 is class IN.
    let (opt, tkey) = (opt(1, 0, &[]), record(&[0], 249, 0, &[]));
    let authority = [soa("other.test")];
    for answer in [vec![], vec![opt.clone()], vec![tkey.clone()], vec![tkey, opt]] {
        let packet = message(0x8180, &question("", 255), [&answer, &authority, &[]]);
        let response = Response::parse(&packet).unwrap();
        assert_eq!(response.response_type, ResponseType::NoData, "{answer:?}");
        assert!(response.soa_minimum.is_some(), "{answer:?}");
    }
}

#[test]
fn additional_references_are_followed_four_times() {
    let srv = record(QNAME, 33, 60, &[vec![0; 6], name("c0.test")].concat());
    let chain: Vec<Vec<u8>> = (0..6)
        .rev()
        .map(|number| of(&format!("c{number}.test"), 5, &name(&format!("c{}.test", number + 1))))
        .collect();
    let packet = message(0x8180, &question("www.example.test", 33), [&[srv], &[], &chain]);
    assert_eq!(Response::parse(&packet).unwrap().header.arcount, 4);
}

/// Whether a response with `rdata` in its answer is accepted, and whether it is unchanged.
fn is_relayed(rtype: u16, rdata: &[u8]) -> bool {
    let packet =
        message(0x8180, &question("www.example.test", rtype), [&[record(QNAME, rtype, 60, rdata)], &[], &[]]);
    Response::parse(&packet).is_ok_and(|response| matches!(response.packet, Cow::Borrowed(_)))
}

/// RDATA of SVCB with `params`.
fn service(params: &[u8]) -> Vec<u8> {
    [&[0, 1][..], &name("a.test"), params].concat()
}

/// RDATA of NSEC with a type bitmap.
fn nsec(bitmap: &[u8]) -> Vec<u8> {
    [&name("a.test")[..], bitmap].concat()
}

#[test]
fn rdata_has_the_format_of_its_type() {
    let good: [(u16, Vec<u8>); 20] = [
        (16, vec![]),
        (16, vec![0]),
        (16, vec![2, 1, 2, 1, 9]),
        (13, vec![1, 1, 0]),
        (20, vec![1, b'1', 1, b'2']),
        (20, vec![1, b'1']),
        (29, vec![0; 16]),
        (42, vec![0, 1, 8, 0x81, 10]),
        (42, vec![]),
        (44, vec![1, 1]),
        (45, [&[1, 0, 2][..], &[9]].concat()),
        (45, [&[1, 1, 2, 10, 0, 0, 1][..], &[9]].concat()),
        (47, nsec(&[0, 1, 0x40, 1, 2, 1, 1])),
        (47, nsec(&[])),
        (51, vec![1, 0, 0, 9, 2, 7, 7]),
        (64, service(&[0, 0, 0, 2, 0, 1, 0, 1, 0, 3, 2, b'h', b'2', 0, 2, 0, 0, 0, 8, 0, 0])),
        (65, service(&[0, 3, 0, 2, 1, 187, 0, 4, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])),
        (108, vec![0; 6]),
        (257, vec![0, 5, b'i', b's', b's', b'u', b'e', b';']),
        (260, vec![10, 0]),
    ];
    for (rtype, rdata) in good {
        assert!(is_relayed(rtype, &rdata), "type {rtype} {rdata:?}");
    }
}

#[test]
fn rdata_without_the_format_of_its_type_is_not_relayed() {
    let bad: [(u16, Vec<u8>); 34] = [
        (16, vec![3, 1, 2]),
        (13, vec![1, 1]),
        (13, vec![0, 0, 0]),
        (20, vec![0, 0, 0]),
        (29, vec![0; 15]),
        (42, vec![0, 1, 8]),
        (42, vec![0, 1, 8, 2, 10]),
        (42, vec![0, 1, 33, 1, 10]),
        (42, vec![0, 2, 129, 1, 10]),
        (42, vec![0, 1, 8, 5, 10, 0, 0, 0, 1]),
        (43, vec![0; 3]),
        (47, nsec(&[0, 2, 0x40, 0])),
        (44, vec![1]),
        (45, vec![1, 4, 2, 0]),
        (45, vec![1, 2, 2, 10, 0, 0, 1]),
        (47, nsec(&[0, 0])),
        (47, nsec(&[0, 33])),
        (
            47,
            nsec(&[
                0, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0,
            ]),
        ),
        (47, nsec(&[1, 1, 1, 0, 1, 1])),
        (47, nsec(&[0])),
        (51, vec![1, 0, 0, 9, 2, 7]),
        (64, service(&[0, 3, 0, 2, 1, 187, 0, 1, 0, 3, 2, b'h', b'2'])),
        (64, service(&[0, 3, 0, 2, 1, 187, 0, 3, 0, 2, 1, 187])),
        (64, service(&[0, 3, 0, 3, 1, 187, 0])),
        (64, service(&[0, 3, 0, 2, 1])),
        (64, service(&[0, 1, 0, 0])),
        (64, service(&[0, 1, 0, 1, 0])),
        (64, service(&[0, 2, 0, 1, 0])),
        (65, service(&[0, 0, 0, 4, 0, 2, 0, 1])),
        (65, service(&[0, 4, 0, 5, 1, 2, 3, 4, 5])),
        (65, service(&[0, 6, 0, 4, 1, 2, 3, 4])),
        (108, vec![0; 7]),
        (257, vec![0, 5, b'i']),
        (260, vec![10, 1, 9]),
    ];
    for (rtype, rdata) in bad {
        assert!(!is_relayed(rtype, &rdata), "type {rtype} {rdata:?}");
    }
}
