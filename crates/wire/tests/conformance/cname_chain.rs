//! CNAME chains (RFC 1034 section 3.6.2) and scrubbing of unrelated records.

use std::borrow::Cow;

use wire::Response;
use wire::response::ResponseType;

use crate::message_builder::{message, name, question, record};

const A: u16 = 1;
const CNAME: u16 = 5;
const DNAME: u16 = 39;
const RRSIG: u16 = 46;

fn address(owner: &str) -> Vec<u8> {
    record(&name(owner), A, 60, &[192, 0, 2, 1])
}

fn cname(owner: &str, target: &str) -> Vec<u8> {
    record(&name(owner), CNAME, 60, &name(target))
}

fn dname(owner: &str, target: &str) -> Vec<u8> {
    record(&name(owner), DNAME, 60, &name(target))
}

fn rrsig(owner: &str) -> Vec<u8> {
    record(&name(owner), RRSIG, 60, &[vec![0; 18], name("test"), vec![7; 8]].concat())
}

/// The type of a response to `www.test A` with these records, and its scrubbed form.
fn parse(answers: &[Vec<u8>]) -> (ResponseType, Option<Vec<u8>>) {
    let packet = message(0x8180, &question("www.test", A), [answers, &[], &[]]);
    let response = Response::parse(&packet).unwrap();
    let scrubbed = match response.packet {
        Cow::Borrowed(_) => None,
        Cow::Owned(scrubbed) => Some(scrubbed),
    };
    (response.response_type, scrubbed)
}

#[test]
fn scrubbing_keeps_the_cname_chain_and_its_records() {
    for answers in [
        &[][..],
        &[address("www.test")],
        &[cname("www.test", "a.test"), cname("a.test", "b.test"), address("b.test"), address("b.test")],
        &[address("b.test"), cname("a.test", "b.test"), cname("WWW.test", "A.test")],
        &[rrsig("www.test"), address("www.test")],
        &[cname("www.test", "www.test")],
    ] {
        assert_eq!(parse(answers).1, None, "{answers:?}");
    }
}

#[test]
fn unrelated_records_are_scrubbed_at_any_position() {
    let unrelated = address("bank.test");
    let own = [cname("www.test", "a.test"), address("a.test")];
    for index in 0..=own.len() {
        let mut answers = own.to_vec();
        answers.insert(index, unrelated.clone());
        let (response_type, scrubbed) = parse(&answers);
        let scrubbed = scrubbed.unwrap();
        let remaining = Response::parse(&scrubbed).unwrap();
        assert_eq!(
            (response_type, remaining.response_type, remaining.header.ancount),
            (ResponseType::Positive, ResponseType::Positive, 2)
        );
        assert!(!scrubbed.windows(5).any(|octets| octets == b"\x04bank"), "{scrubbed:?}");
        assert!(matches!(remaining.packet, Cow::Borrowed(_)));
    }
}

#[test]
fn a_dname_above_the_chain_and_its_rrsig_are_kept() {
    let redirected = [dname("test", "example"), rrsig("test"), cname("www.test", "www.example")];
    let unrelated = [dname("other", "example"), rrsig("other"), address("www.test")];
    assert_eq!(parse(&redirected).1, None);
    let scrubbed = parse(&unrelated).1.unwrap();
    assert_eq!(Response::parse(&scrubbed).unwrap().header.ancount, 1);
}

#[test]
fn a_forked_circular_or_broken_cname_chain_is_incomplete() {
    let fork = [cname("www.test", "a.test"), cname("www.test", "b.test"), address("b.test")];
    let duplicate = [cname("www.test", "a.test"), cname("www.test", "A.test"), address("a.test")];
    let circular = [cname("www.test", "a.test"), cname("a.test", "www.test")];
    let elsewhere = [cname("www.test", "a.test"), address("b.test")];
    let types = [parse(&fork).0, parse(&duplicate).0, parse(&circular).0, parse(&elsewhere).0];
    assert_eq!(
        types,
        [
            ResponseType::IncompleteChain,
            ResponseType::Positive,
            ResponseType::IncompleteChain,
            ResponseType::IncompleteChain
        ]
    );
}
