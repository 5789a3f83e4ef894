//! Where an answer's CNAMEs lead (RFC 1034 section 3.6.2), and what does not belong to it.

use wire::Response;
use wire::response::ResponseType;

use crate::builder::{message, name, question, record};

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

fn signature(owner: &str) -> Vec<u8> {
    record(&name(owner), RRSIG, 60, &[vec![0; 18], name("test"), vec![7; 8]].concat())
}

/// The answer to `www.test A` with these records, and what it is without those the question does not lead to.
fn read(answers: &[Vec<u8>]) -> (ResponseType, Option<Vec<u8>>) {
    let packet = message(0x8180, &question("www.test", A), [answers, &[], &[]]);
    let response = Response::parse(&packet).unwrap();
    (response.response_type, response.scrub().unwrap())
}

#[test]
fn an_answer_of_its_own_records_has_no_strays() {
    for answers in [
        &[][..],
        &[address("www.test")],
        &[cname("www.test", "a.test"), cname("a.test", "b.test"), address("b.test"), address("b.test")],
        &[address("b.test"), cname("a.test", "b.test"), cname("WWW.test", "A.test")],
        &[signature("www.test"), address("www.test")],
        &[cname("www.test", "www.test")],
    ] {
        assert_eq!(read(answers).1, None, "{answers:?}");
    }
}

#[test]
fn strays_are_left_out_wherever_they_stand() {
    let stray = address("bank.test");
    let own = [cname("www.test", "a.test"), address("a.test")];
    for place in 0..=own.len() {
        let mut answers = own.to_vec();
        answers.insert(place, stray.clone());
        let (response_type, pruned) = read(&answers);
        let pruned = pruned.unwrap();
        let left = Response::parse(&pruned).unwrap();
        assert_eq!(
            (response_type, left.response_type, left.header.ancount),
            (ResponseType::Positive, ResponseType::Positive, 2)
        );
        assert!(!pruned.windows(5).any(|octets| octets == b"\x04bank"), "{pruned:?}");
        assert_eq!(left.scrub(), Ok(None));
    }
}

#[test]
fn a_dname_above_the_chain_belongs_to_it_with_its_signature() {
    let redirected = [dname("test", "example"), signature("test"), cname("www.test", "www.example")];
    let beside = [dname("other", "example"), signature("other"), address("www.test")];
    assert_eq!(read(&redirected).1, None);
    let pruned = read(&beside).1.unwrap();
    assert_eq!(Response::parse(&pruned).unwrap().header.ancount, 1);
}

#[test]
fn a_chain_that_forks_or_goes_round_or_ends_elsewhere_is_no_answer() {
    let fork = [cname("www.test", "a.test"), cname("www.test", "b.test"), address("b.test")];
    let said_twice = [cname("www.test", "a.test"), cname("www.test", "A.test"), address("a.test")];
    let round = [cname("www.test", "a.test"), cname("a.test", "www.test")];
    let elsewhere = [cname("www.test", "a.test"), address("b.test")];
    let kinds = [read(&fork).0, read(&said_twice).0, read(&round).0, read(&elsewhere).0];
    assert_eq!(
        kinds,
        [
            ResponseType::IncompleteChain,
            ResponseType::Positive,
            ResponseType::IncompleteChain,
            ResponseType::IncompleteChain
        ]
    );
}
