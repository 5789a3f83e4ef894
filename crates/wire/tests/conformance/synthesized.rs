//! Synthesized responses: AA, records of our own, the question as it was asked.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use wire::Answer;
use wire::name::Name;
use wire::response::ResponseType;
use wire::synthesized::{SynthesizedData, SynthesizedRecord, response};

const QUESTION: &[u8] = b"\x03WwW\x07example\x00\x00\x1c\x00\x01";

fn record(prefix: Option<&'static str>, data: SynthesizedData) -> SynthesizedRecord {
    SynthesizedRecord { prefix, ttl: 7, data }
}

#[test]
fn whoami_records_are_additional() {
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let address = record(None, SynthesizedData::Address(ip.parse::<IpAddr>().unwrap()));
        let port = record(Some("_udp"), SynthesizedData::Port(40_000));
        let response = response(QUESTION, &[], &[address, port]).unwrap();
        assert_eq!((response.response_type, response.min_ttl), (ResponseType::Empty, Some(7)));
        assert!(response.matches_question(QUESTION));
        let answer = Answer::from_response(&response);
        let message = Message::from_vec(answer.message()).unwrap();
        assert!(message.metadata.authoritative && message.metadata.response_code == ResponseCode::NoError);
        let additional: Vec<String> = message.additionals.iter().map(ToString::to_string).collect();
        let kind = if ip.contains(':') { "AAAA" } else { "A" };
        assert_eq!(
            additional,
            [format!("WwW.example. 7 IN {kind} {ip}"), "_udp.WwW.example. 7 IN SRV 0 0 40000 .".to_owned()]
        );
    }
}

#[test]
fn address_records_are_an_answer() {
    let addresses = ["2001:db8::1", "2001:db8::2"].map(|ip| ip.parse::<IpAddr>().unwrap());
    let records = addresses.map(|ip| record(None, SynthesizedData::Address(ip)));
    let response = response(QUESTION, &records, &[]).unwrap();
    assert_eq!((response.response_type, response.header.ancount), (ResponseType::Positive, 2));
}

#[test]
fn a_pointer_record_is_an_answer_to_ptr() {
    const QUESTION: &[u8] = b"\x017\x012\x010\x03192\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
    let target = Name::parse("www.example").unwrap();
    let response = response(QUESTION, &[record(None, SynthesizedData::Pointer(target))], &[]).unwrap();
    assert_eq!(response.response_type, ResponseType::Positive);
    let answer = Answer::from_response(&response);
    let message = Message::from_vec(answer.message()).unwrap();
    let answers: Vec<String> = message.answers.iter().map(ToString::to_string).collect();
    assert_eq!(answers, ["7.2.0.192.in-addr.arpa. 7 IN PTR www.example."]);
}

#[test]
fn octets_without_a_question_and_owners_that_are_too_long_are_rejected() {
    assert!(response(b"\x03www", &[], &[]).is_none());
    let label = [&[63_u8][..], &[b'a'; 63]].concat();
    let question = [&label.repeat(3)[..], b"\x3d", &[b'a'; 61], b"\x00\x00\x01\x00\x01"].concat();
    assert!(response(&question, &[], &[]).is_some());
    assert!(response(&question, &[], &[record(Some("_udp"), SynthesizedData::Port(53))]).is_none());
}
