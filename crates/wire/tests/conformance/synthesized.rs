//! Synthesized responses: AA, records of our own, the question as it was asked.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use wire::Response;
use wire::header::Rcode;
use wire::name::Name;
use wire::response::ResponseType;
use wire::synthesized::{
    Owner, Sections, StartOfAuthority, SynthesizedData, SynthesizedRecord, largest_response, response,
};

const QUESTION: &[u8] = b"\x03WwW\x07example\x00\x00\x1c\x00\x01";
const REVERSE_QUESTION: &[u8] = b"\x017\x012\x010\x03192\x07in-addr\x04ARPA\x00\x00\x0c\x00\x01";

fn record(owner: Owner, data: SynthesizedData) -> SynthesizedRecord {
    SynthesizedRecord { owner, ttl: 7, data }
}

fn with_answers(question: &[u8], answers: &[SynthesizedRecord]) -> Option<Response<'static>> {
    response(question, Rcode::NOERROR, Sections { answers, ..Sections::default() })
}

fn with_additionals(question: &[u8], additionals: &[SynthesizedRecord]) -> Option<Response<'static>> {
    response(question, Rcode::NOERROR, Sections { additionals, ..Sections::default() })
}

fn decoded(response: &Response<'_>) -> Message {
    Message::from_vec(&response.packet).unwrap()
}

fn texts(records: &[hickory_proto::rr::Record]) -> Vec<String> {
    records.iter().map(ToString::to_string).collect()
}

/// Answers of at least 28 octets each.
fn addresses(number: u16) -> Vec<SynthesizedRecord> {
    let address = |low: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, low]);
    (0..number).map(|low| record(Owner::Question, SynthesizedData::Address(address(low)))).collect()
}

#[test]
fn whoami_records_are_additional() {
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let address = record(Owner::Question, SynthesizedData::Address(ip.parse::<IpAddr>().unwrap()));
        let port = record(Owner::Child("_udp"), SynthesizedData::Port(40_000));
        let response = with_additionals(QUESTION, &[address, port]).unwrap();
        assert_eq!((response.response_type, response.min_ttl), (ResponseType::Empty, Some(7)));
        assert!(response.matches_question(QUESTION));
        let message = decoded(&response);
        assert!(message.metadata.authoritative && message.metadata.response_code == ResponseCode::NoError);
        let kind = if ip.contains(':') { "AAAA" } else { "A" };
        assert_eq!(
            texts(&message.additionals),
            [format!("WwW.example. 7 IN {kind} {ip}"), "_udp.WwW.example. 7 IN SRV 0 0 40000 .".to_owned()]
        );
    }
}

#[test]
fn address_records_are_an_answer() {
    let response = with_answers(QUESTION, &addresses(2)).unwrap();
    assert_eq!((response.response_type, response.header.ancount), (ResponseType::Positive, 2));
}

#[test]
fn a_pointer_record_is_an_answer_to_ptr() {
    let target = SynthesizedData::Pointer(Name::parse("www.example").unwrap());
    let response = with_answers(REVERSE_QUESTION, &[record(Owner::Question, target)]).unwrap();
    assert_eq!(response.response_type, ResponseType::Positive);
    assert_eq!(texts(&decoded(&response).answers), ["7.2.0.192.in-addr.ARPA. 7 IN PTR www.example."]);
}

#[test]
fn a_text_has_the_class_of_the_question() {
    const QUESTION: &[u8] = b"\x07Version\x04bind\x00\x00\x10\x00\x03";
    let long = [b'x'; 255];
    for text in ["v1 \u{e4}".as_bytes(), b"", &long] {
        let data = SynthesizedData::Text(text.into());
        let response = with_answers(QUESTION, &[record(Owner::Question, data)]).unwrap();
        assert_eq!((response.response_type, response.header.ancount), (ResponseType::Positive, 1));
        let answers = texts(&decoded(&response).answers);
        assert!(answers.iter().all(|answer| answer.starts_with("Version.bind. 7 CH TXT")), "{answers:?}");
        let rdata = [&[u8::try_from(text.len()).unwrap()], text].concat();
        assert!(response.packet.ends_with(&rdata), "{text:?}");
    }
    let too_long = SynthesizedData::Text([b'x'; 256].into());
    assert!(with_answers(QUESTION, &[record(Owner::Question, too_long)]).is_none());
}

#[test]
fn authority_records_belong_to_an_ancestor_of_the_name() {
    let [mname, rname] = ["localhost", "root.localhost"].map(|name| Name::parse(name).unwrap());
    let soa = StartOfAuthority { mname: mname.clone(), rname, minimum: 600 };
    let owner = Owner::Ancestor(3);
    let authorities = [
        record(owner, SynthesizedData::StartOfAuthority(soa)),
        record(owner, SynthesizedData::NameServer(mname)),
    ];
    let sections = Sections { authorities: &authorities, ..Sections::default() };
    for (rcode, expected) in
        [(Rcode::NXDOMAIN, ResponseType::NameError), (Rcode::NOERROR, ResponseType::NoData)]
    {
        let response = response(REVERSE_QUESTION, rcode, sections).unwrap();
        assert_eq!((response.response_type, response.soa_minimum), (expected, Some(600)));
        assert_eq!(
            texts(&decoded(&response).authorities),
            [
                "192.in-addr.ARPA. 7 IN SOA localhost. root.localhost. 1 0 0 0 600",
                "192.in-addr.ARPA. 7 IN NS localhost."
            ]
        );
    }
}

#[test]
fn octets_without_a_question_and_owners_that_are_too_long_are_rejected() {
    assert!(with_answers(b"\x03www", &[]).is_none());
    let label = [&[63_u8][..], &[b'a'; 63]].concat();
    let question = [&label.repeat(3)[..], b"\x3d", &[b'a'; 61], b"\x00\x00\x01\x00\x01"].concat();
    assert!(with_answers(&question, &[]).is_some());
    assert!(with_answers(&question, &[record(Owner::Child("_udp"), SynthesizedData::Port(53))]).is_none());
}

#[test]
fn more_records_than_a_message_holds_are_rejected() {
    let whole = with_answers(QUESTION, &addresses(1_500)).unwrap();
    assert_eq!(whole.header.ancount, 1_500);
    for number in [3_000, 9_999] {
        assert!(with_answers(QUESTION, &addresses(number)).is_none(), "{number}");
    }
}

#[test]
fn of_too_many_answers_a_part_is_sent() {
    for (number, sent) in [(0, 0), (3, 3), (1_500, 1_500), (3_000, 1_500), (9_999, 1_249)] {
        let response = largest_response(QUESTION, &addresses(number)).unwrap();
        assert_eq!(response.header.ancount, sent, "{number}");
    }
    assert!(largest_response(b"\x03www", &addresses(3)).is_none());
}
