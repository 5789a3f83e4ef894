//! Parsing of responses: response types, malformed messages, compression pointers, RDATA.

use wire::Response;
use wire::header::Rcode;
use wire::response::ResponseType;

use crate::message_builder::{message, name, opt, question, record, record_of_class};

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const ANY: u16 = 255;

/// A pointer to QNAME.
const QNAME: &[u8] = &[0xc0, 12];

fn address() -> Vec<u8> {
    record(QNAME, A, 60, &[192, 0, 2, 1])
}

fn cname(owner: &str, target: &str) -> Vec<u8> {
    record(&name(owner), CNAME, 300, &name(target))
}

fn soa() -> Vec<u8> {
    let rdata = [name("ns.test"), name("host.test"), vec![0; 20]].concat();
    record(&name("test"), SOA, 3600, &rdata)
}

fn ns() -> Vec<u8> {
    record(&name("test"), NS, 3600, &name("ns.test"))
}

fn response_type(qtype: u16, rcode: u16, answer: &[Vec<u8>], authority: &[Vec<u8>]) -> ResponseType {
    let packet = message(0x8180 | rcode, &question("a.test", qtype), [answer, authority, &[]]);
    Response::parse(&packet).unwrap().response_type
}

#[test]
fn the_response_type_follows_the_cname_chain() {
    let chain =
        [cname("a.test", "b.test"), cname("B.test", "c.test"), record(&name("c.TEST"), A, 5, &[1; 4])];
    let reversed = [chain[2].clone(), chain[1].clone(), chain[0].clone()];
    let elsewhere = record(&name("b.test"), A, 60, &[192, 0, 2, 1]);
    let chaos = record_of_class(QNAME, A, 3, 60, &[1, b'a', 0, 0, 1]);
    for (qtype, answer, expected) in [
        (A, vec![address()], ResponseType::Positive),
        (A, chain.to_vec(), ResponseType::Positive),
        (A, reversed.to_vec(), ResponseType::Positive),
        (CNAME, vec![cname("a.test", "b.test")], ResponseType::Positive),
        (ANY, vec![address()], ResponseType::Positive),
        (A, vec![cname("a.test", "b.test")], ResponseType::IncompleteChain),
        (A, chain[1..].to_vec(), ResponseType::IncompleteChain),
        (A, vec![elsewhere.clone()], ResponseType::IncompleteChain),
        (ANY, vec![elsewhere], ResponseType::IncompleteChain),
        (CNAME, vec![cname("b.test", "a.test")], ResponseType::IncompleteChain),
        (NS, vec![address()], ResponseType::IncompleteChain),
        (A, vec![chaos], ResponseType::IncompleteChain),
    ] {
        assert_eq!(response_type(qtype, 0, &answer, &[]), expected, "type {qtype}, {answer:?}");
    }
}

#[test]
fn circular_and_overlong_cname_chains_are_incomplete() {
    let circle = [cname("a.test", "b.test"), cname("b.test", "a.test")];
    assert_eq!(response_type(A, 0, &circle, &[]), ResponseType::IncompleteChain);
    let to_itself = [cname("a.test", "a.test")];
    assert_eq!(response_type(A, 0, &to_itself, &[]), ResponseType::IncompleteChain);

    let of_length = |len: usize| {
        let link = |at: usize| if at == 0 { "a.test".to_owned() } else { format!("n{at}.test") };
        let mut answer: Vec<_> = (0..len).map(|at| cname(&link(at), &link(at + 1))).collect();
        answer.push(record(&name(&link(len)), A, 60, &[192, 0, 2, 1]));
        answer.reverse();
        response_type(A, 0, &answer, &[])
    };
    assert_eq!(of_length(16), ResponseType::Positive);
    assert_eq!(of_length(17), ResponseType::IncompleteChain);
}

#[test]
fn without_an_answer_the_authority_section_determines_the_type() {
    assert_eq!(response_type(A, 0, &[], &[soa()]), ResponseType::NoData);
    assert_eq!(response_type(A, 0, &[cname("a.test", "b.test")], &[soa()]), ResponseType::NoData);
    assert_eq!(response_type(A, 0, &[], &[ns(), soa()]), ResponseType::NoData);
    assert_eq!(response_type(A, 0, &[], &[ns()]), ResponseType::Delegation);
    assert_eq!(response_type(A, 0, &[cname("a.test", "b.test")], &[ns()]), ResponseType::IncompleteChain);
    assert_eq!(response_type(A, 0, &[], &[]), ResponseType::Empty);
    assert_eq!(response_type(A, 0, &[], &[address()]), ResponseType::Empty);
    assert_eq!(response_type(A, 0, &[address()], &[soa()]), ResponseType::Positive);
}

#[test]
fn the_response_code_precedes_the_records() {
    assert_eq!(response_type(A, 3, &[], &[soa()]), ResponseType::NameError);
    assert_eq!(response_type(A, 3, &[cname("a.test", "b.test")], &[soa()]), ResponseType::NameError);
    assert_eq!(response_type(A, 3, &[], &[ns()]), ResponseType::Other);
    for rcode in [2, 4] {
        assert_eq!(response_type(A, rcode, &[address()], &[soa()]), ResponseType::ServerFailure);
    }
    for rcode in [1, 5, 9, 15] {
        assert_eq!(response_type(A, rcode, &[address()], &[]), ResponseType::Other);
    }
}

#[test]
fn opt_extends_the_response_code_by_eight_bits() {
    let packet = message(0x8187, &question("a.test", A), [&[address()], &[], &[opt(1232, 1 << 24, &[])]]);
    let response = Response::parse(&packet).unwrap();
    assert_eq!((response.rcode, response.response_type), (Rcode(23), ResponseType::Other));
    assert_eq!(response.rcode.to_string(), "BADCOOKIE");
}

#[test]
fn min_ttl_is_the_smallest_of_all_sections() {
    let with = |ttl: u32| record(QNAME, A, ttl, &[192, 0, 2, 1]);
    let min_ttl = |sections: [&[Vec<u8>]; 3]| {
        let packet = message(0x8180, &question("a.test", A), sections);
        Response::parse(&packet).unwrap().min_ttl
    };
    assert_eq!(min_ttl([&[], &[], &[opt(1232, 7, &[])]]), None);
    let ns = |ttl: u32| record(QNAME, NS, ttl, &name("a.test"));
    assert_eq!(min_ttl([&[with(60), with(20)], &[ns(30)], &[]]), Some(20));
    assert_eq!(min_ttl([&[with(60), with(20)], &[ns(10)], &[]]), Some(10));
    assert_eq!(min_ttl([&[with(60), with(20)], &[ns(30)], &[with(10), opt(1232, 7, &[])]]), Some(10));
    assert_eq!(min_ttl([&[with(0x7fff_ffff)], &[], &[]]), Some(0x7fff_ffff));
    assert_eq!(min_ttl([&[with(0x8000_0000)], &[], &[]]), Some(0x8000_0000));
}

#[test]
fn the_minimum_of_the_soa_in_authority_is_read() {
    let soa = |minimum: u32| {
        let rdata = [name("ns.test"), name("host.test"), vec![0; 16], minimum.to_be_bytes().to_vec()];
        record(QNAME, SOA, 60, &rdata.concat())
    };
    let minimum = |sections: [&[Vec<u8>]; 3]| {
        Response::parse(&message(0x8183, &question("a.test", A), sections)).unwrap().soa_minimum
    };
    assert_eq!(minimum([&[], &[soa(7)], &[]]), Some(7));
    assert_eq!(minimum([&[], &[ns(), soa(u32::MAX)], &[]]), Some(u32::MAX));
    assert_eq!(minimum([&[soa(7)], &[ns()], &[soa(9)]]), None);
}

#[test]
fn trailing_octets_are_not_part_of_the_response() {
    let packet = message(0x8180, &question("a.test", A), [&[address()], &[], &[]]);
    let padded = [packet.clone(), vec![7; 9]].concat();
    let response = Response::parse(&padded).unwrap();
    assert_eq!((&*response.packet, response.has_trailing_octets), (packet.as_slice(), true));
    assert!(!Response::parse(&packet).unwrap().has_trailing_octets);
}

#[test]
fn matches_question_ignores_case_of_qname_only() {
    let packet = message(0x8180, &question("a.Test", 65), [&[], &[], &[]]);
    let response = Response::parse(&packet).unwrap();
    assert!(response.matches_question(&question("A.tEST", 65)));
    for other in [question("b.test", 65), question("a.test", 97), question("a.test.test", 65), vec![]] {
        assert!(!response.matches_question(&other), "{other:?}");
    }
    let mut other_class = question("a.test", 65);
    *other_class.last_mut().unwrap() = 3;
    assert!(!response.matches_question(&other_class));
}

#[test]
fn messages_other_than_responses_to_one_question_are_malformed() {
    let wire_question = question("a.test", A);
    for flags in [0x0180, 0x8980, 0xa980] {
        assert!(
            Response::parse(&message(flags, &wire_question, [&[], &[], &[]])).is_err(),
            "flags {flags:04x}"
        );
    }
    for questions in [0, 2, 65535] {
        let mut packet = message(0x8180, &wire_question.repeat(2), [&[], &[], &[]]);
        packet[4..6].copy_from_slice(&u16::to_be_bytes(questions));
        assert!(Response::parse(&packet).is_err(), "{questions} questions");
    }
    assert!(Response::parse(&vec![0x81; 65536]).is_err());
    let too_long = [[63; 64].repeat(3), vec![62; 63], vec![0, 0, 1, 0, 1]].concat();
    assert!(Response::parse(&message(0x8180, &too_long, [&[], &[], &[]])).is_err());
}

#[test]
fn a_truncated_packet_is_malformed() {
    let sections: [&[Vec<u8>]; 3] = [&[address()], &[soa()], &[opt(1232, 0, &[0, 15, 0, 2, 0, 1])]];
    let packet = message(0x8180, &question("a.test", A), sections);
    assert!(Response::parse(&packet).is_ok());
    for len in 0..packet.len() {
        assert!(Response::parse(&packet[..len]).is_err(), "{len} octets");
    }
}

#[test]
fn wrong_counts_are_malformed() {
    for count in [6, 8, 10] {
        let mut packet = message(0x8180, &question("a.test", A), [&[address()], &[], &[]]);
        packet[count..count + 2].copy_from_slice(&[0xff, 0xff]);
        assert!(Response::parse(&packet).is_err());
    }
}

#[test]
fn a_second_an_owned_or_a_malformed_opt_is_malformed() {
    let good = [opt(1232, 0, &[])];
    let owned = [record(QNAME, 41, 0, &[])];
    let twice = [good[0].clone(), good[0].clone()];
    let broken = [opt(1232, 0, &[0, 15, 0, 3, 0, 1])];
    for sections in [[&[][..], &[], &owned[..]], [&[], &[], &twice], [&[], &[], &broken]] {
        assert!(Response::parse(&message(0x8180, &question("a.test", A), sections)).is_err(), "{sections:?}");
    }
}

#[test]
fn opt_outside_the_additional_section_is_removed() {
    let wire_question = question("a.test", A);
    let (good, stray) = (opt(1232, 0, &[0, 15, 0, 2, 0, 1]), opt(512, 7 << 24, &[0, 15, 0, 9]));
    let owned = record(QNAME, 41, 0, &[1, 2, 3]);
    for [answer, authority] in [
        [vec![stray.clone(), address()], vec![ns()]],
        [vec![address(), stray.clone()], vec![ns()]],
        [vec![address()], vec![stray.clone(), ns()]],
        [vec![stray.clone(), owned.clone(), address(), stray.clone()], vec![owned, ns(), stray]],
    ] {
        let packet = message(0x8180, &wire_question, [&answer, &authority, std::slice::from_ref(&good)]);
        let response = Response::parse(&packet).unwrap();
        // The names of the NS record are suffixes of QNAME and of each other.
        let ns = record(&[0xc0, 14], NS, 3600, &[2, b'n', b's', 4, b't', b'e', b's', b't', 0]);
        let clean = message(0x8180, &wire_question, [&[address()], &[ns], std::slice::from_ref(&good)]);
        assert_eq!(*response.packet, clean);
        assert_eq!((response.rcode, response.response_type), (Rcode::NOERROR, ResponseType::Positive));
        let padded = [packet, vec![7; 9]].concat();
        let padded = Response::parse(&padded).unwrap();
        assert_eq!((&*padded.packet, padded.has_trailing_octets), (clean.as_slice(), true));
    }
}

#[test]
fn messages_malformed_for_another_reason_are_not_repaired() {
    let wire_question = question("a.test", A);
    let stray = [opt(1232, 0, &[])];
    let good = message(0x8180, &wire_question, [&stray, &[address()], &[]]);
    assert!(Response::parse(&good).is_ok());
    for len in 0..good.len() {
        assert!(Response::parse(&good[..len]).is_err(), "{len} octets");
    }
    for sections in [
        [&stray[..], &[], &[&stray[..], &stray].concat()],
        [&stray, &[], &[record(QNAME, 41, 0, &[])]],
        [&stray, &[record(&[0xc0, 4], A, 60, &[1; 4])], &[]],
    ] {
        let packet = message(0x8180, &wire_question, sections);
        assert!(Response::parse(&packet).is_err(), "{sections:?}");
    }
    let query = message(0x0100, &wire_question, [&stray, &[], &[]]);
    assert!(Response::parse(&query).is_err());
}

/// A response whose second record has the owner `owner`, after RDATA of an unknown type.
fn with_owner(owner: &[u8]) -> Vec<u8> {
    let first = record(QNAME, 65280, 0x0161_0000, &[1, b'z', 0]);
    message(0x8180, &question("a.test", A), [&[first, record(owner, A, 60, &[192, 0, 2, 1])], &[], &[]])
}

#[test]
fn pointers_must_lead_back_and_avoid_header_and_ttls() {
    let first_owner = 24;
    let first_ttl = first_owner + 2 + 4;
    let first_rdata = first_ttl + 6;
    let here = first_rdata + 3;
    for (owner, target, good) in [
        ("the question", 12, true),
        ("inside the question", 14, true),
        ("another pointer", first_owner, true),
        ("RDATA of an unknown type", first_rdata, true),
        ("the header", 4, false),
        ("the last octet of the header", 11, false),
        ("a TTL", first_ttl, false),
        ("an octet before a TTL whose label runs into it", first_ttl - 1, false),
        ("itself", here, false),
        ("forward", here + 2, false),
    ] {
        let pointer = 0xc000 | u16::try_from(target).unwrap();
        let packet = with_owner(&pointer.to_be_bytes());
        assert_eq!(Response::parse(&packet).is_ok(), good, "a pointer to {owner}");
    }
    assert!(Response::parse(&with_owner(&[1, b'x', 0xc0, u8::try_from(here).unwrap()])).is_err(), "a circle");
}

#[test]
fn names_are_limited_to_126_pointers_and_255_octets() {
    let with_chain = |pointers: u16, owners: usize| {
        // RDATA of an unknown type holds the chain: a root, then pointers each to the previous one.
        let start = 12 + 12 + 12;
        let mut rdata = vec![0];
        for link in 1..pointers {
            let target = if link == 1 { start } else { start + 1 + 2 * (link - 2) };
            rdata.extend_from_slice(&(0xc000 | target).to_be_bytes());
        }
        let last = start + u16::try_from(rdata.len()).unwrap() - 2;
        let owned = record(&(0xc000 | last).to_be_bytes(), A, 1, &[1; 4]);
        let records = [vec![record(QNAME, 65280, 1, &rdata)], vec![owned; owners]].concat();
        Response::parse(&message(0x8180, &question("a.test", A), [&records, &[], &[]])).is_ok()
    };
    assert!(with_chain(126, 1));
    assert!(!with_chain(127, 1));
    assert!(with_chain(10, 300), "some pointers for each record");
    assert!(!with_chain(126, 300), "many more pointers to follow than octets to read");

    let with_label = |len: u8| {
        let owner = [[60; 61].repeat(4), vec![len], vec![b'a'; len.into()], vec![0xc0, 14]].concat();
        Response::parse(&with_owner(&owner)).is_ok()
    };
    assert!(with_label(4), "244 octets, 5 and the 6 of test.");
    assert!(!with_label(5));
}

#[test]
fn names_in_rdata_are_validated() {
    let good = name("x.test");
    let circle = [0xc0, 40];
    let runs_out = [3, b'a', b'b'];
    for (rtype, before, names, after) in [
        (2, 0, 1, 0),
        (5, 0, 1, 0),
        (6, 0, 2, 20),
        (12, 0, 1, 0),
        (14, 0, 2, 0),
        (15, 2, 1, 0),
        (17, 0, 2, 0),
        (26, 2, 2, 0),
        (33, 6, 1, 0),
        (23, 0, 1, 0),
        (36, 2, 1, 0),
        (39, 0, 1, 0),
        (46, 18, 1, 64),
        (47, 0, 1, 0),
        (58, 0, 2, 0),
        (65, 2, 1, 0),
        (66, 5, 1, 0),
        (107, 2, 1, 0),
    ] {
        let parses = |name: &[u8]| {
            let rdata = [vec![9; before], name.repeat(names), vec![0; after]].concat();
            let record = record(QNAME, rtype, 60, &rdata);
            Response::parse(&message(0x8180, &question("a.test", rtype), [&[record], &[], &[]])).is_ok()
        };
        assert!(parses(&good), "type {rtype}");
        assert!(!parses(&circle), "type {rtype} with a pointer forward");
        assert!(!parses(&runs_out) || after > 0, "type {rtype} with a name that does not end");
    }
    for rdata in [vec![], vec![0, 0], [name("x.test"), vec![0]].concat()] {
        let record = record(QNAME, CNAME, 60, &rdata);
        let packet = message(0x8180, &question("a.test", CNAME), [&[record], &[], &[]]);
        assert!(Response::parse(&packet).is_err(), "CNAME {rdata:?}");
    }
}

#[test]
fn address_sizes_are_validated_in_class_in_only() {
    for (rtype, len) in [(1, 3), (1, 5), (1, 0), (28, 4), (28, 15), (28, 17)] {
        let of_class = |class| {
            let record = record_of_class(QNAME, rtype, class, 60, &vec![1; len]);
            Response::parse(&message(0x8180, &question("a.test", rtype), [&[record], &[], &[]])).is_ok()
        };
        assert!(!of_class(1), "type {rtype} of {len} octets");
        assert!(of_class(3), "type {rtype} of {len} octets");
    }
}

/// The cost of parsing is linear in the size of the message.
#[test]
fn decompression_steps_are_limited_by_message_size() {
    let with_labels = |labels: usize, records: usize| {
        let wire_question = question(&"a.".repeat(labels - 1), A);
        let records = vec![record(QNAME, A, 1, &[1; 4]); records];
        Response::parse(&message(0x8180, &wire_question, [&records, &[], &[]])).is_ok()
    };
    assert!(with_labels(30, 3900), "as many addresses as there can be, at a name of 30 labels");
    assert!(with_labels(127, 40), "the longest name there is");
    assert!(!with_labels(127, 3900));
}
