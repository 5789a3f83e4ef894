//! Editable responses: records of any type are kept as octets, and only what is changed changes.

use wire::Answer;
use wire::editable::EditableResponse;
use wire::header::{Flags, Rcode};
use wire::response::{Response, ResponseType};

use crate::message_builder::{message, name, question, record};

const QNAME: &[u8] = &[0xc0, 12];
/// `ns.test`, compressed with the question `www.test`.
const NS: &[u8] = &[2, b'n', b's', 0xc0, 16];

fn soa(server: &[u8]) -> Vec<u8> {
    [server, &name("root.test"), &[0; 20]].concat()
}

#[test]
fn names_are_expanded_and_other_rdata_is_kept() {
    let svcb = [&[0, 1][..], &name("a.test"), &[0, 1, 0, 3, 2, b'h', b'2']].concat();
    let answers = [record(QNAME, 65, 60, &svcb), record(QNAME, 65_534, 61, &[0xc0, 12, 0xff])];
    let authorities = [record(&[0xc0, 16], 6, 62, &soa(NS))];
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0].to_vec();
    let packet =
        message(0x8580, &question("www.test", 65), [&answers, &authorities, std::slice::from_ref(&opt)]);
    let response = Response::parse(&packet).unwrap();
    let mut editable = EditableResponse::new(&response).unwrap();
    let targets: Vec<_> = editable.records_mut().map(|record| record.target().map(<[u8]>::to_vec)).collect();
    assert_eq!(targets, [None, None, Some(name("ns.test"))]);
    editable.authorities[0].set_target(&name("other.test"));
    editable.answers[0].ttl = 7;
    let written = editable.into_response().unwrap();
    let (qname, test) = (name("www.test"), name("test"));
    let answers = [record(&qname, 65, 7, &svcb), record(&qname, 65_534, 61, &[0xc0, 12, 0xff])];
    let authorities = [record(&test, 6, 62, &soa(&name("other.test")))];
    let mut expected = message(0x8580, &question("www.test", 65), [&answers, &authorities, &[opt]]);
    expected[..2].copy_from_slice(&[0, 0]);
    assert_eq!(*written.packet, expected);
    assert!(written.has_opt());
    assert_eq!((written.response_type, written.min_ttl), (ResponseType::Positive, Some(7)));
}

#[test]
fn a_changed_question_keeps_the_response_type_and_a_changed_rcode_does_not() {
    let packet =
        message(0x8180, &question("www.test", 1), [&[record(QNAME, 1, 60, &[192, 0, 2, 7])], &[], &[]]);
    let response = Response::parse(&packet).unwrap();
    let mut editable = EditableResponse::new(&response).unwrap();
    editable.question = question("other.test", 1);
    let written = editable.clone().into_response().unwrap();
    assert_eq!(written.response_type, ResponseType::Positive);
    assert!(written.matches_question(&question("other.test", 1)));
    for (rcode, response_type) in
        [(Rcode::NXDOMAIN, ResponseType::Other), (Rcode::SERVFAIL, ResponseType::ServerFailure)]
    {
        editable.rcode = rcode;
        let written = editable.clone().into_response().unwrap();
        assert_eq!((written.rcode, written.response_type), (rcode, response_type));
    }
}

#[test]
fn records_beyond_65535_octets_are_cut() {
    let records: Vec<Vec<u8>> = (0..1500).map(|_| record(QNAME, 1, 60, &[192, 0, 2, 7])).collect();
    let packet = message(0x8180, &question("www.test", 1), [&records, &[], &[]]);
    let response = Response::parse(&packet).unwrap();
    let mut editable = EditableResponse::new(&response).unwrap();
    let long = name(&format!("{0}.{0}.{0}", "a".repeat(60)));
    editable.answers.iter_mut().for_each(|record| record.owner.clone_from(&long));
    let written = editable.into_response().unwrap();
    assert!(written.header.flags.has(Flags::TC) && written.packet.len() > 65_000);
    assert!(written.header.ancount > 300 && Answer::from_response(&written).has_answers());
}
