//! Records in presentation format (RFC 1035 section 5.1): accepted and rejected lines, and responses
//! with such records.

use hickory_proto::op::Message;
use wire::Answer;
use wire::header::Rcode;
use wire::response::{Response, ResponseType};
use wire::zone_record::{self, Sections, ZoneRecord};

const QUESTION: &[u8] = b"\x03WwW\x07example\x00\x00\x01\x00\x01";

fn response(line: &str) -> Option<Response<'static>> {
    let record = ZoneRecord::parse(line)?;
    let sections = Sections { additionals: &[record], ..Sections::default() };
    zone_record::response(QUESTION, Rcode::NOERROR, sections)
}

/// The record as hickory-proto decodes it from the response.
fn decoded(line: &str) -> Option<String> {
    let response = response(line)?;
    let message = Message::from_vec(Answer::from_response(&response).message()).unwrap();
    Some(message.additionals.first().unwrap().to_string())
}

#[test]
fn accepted_lines() {
    for (line, expected) in [
        ("www.example. 60 IN A 10.0.0.1", "www.example. 60 IN A 10.0.0.1"),
        ("www.example. A 10.0.0.1", "www.example. 3600 IN A 10.0.0.1"),
        ("www.example A 10.0.0.1", "www.example. 3600 IN A 10.0.0.1"),
        ("Www.Other in 1h a 10.0.0.1", "Www.Other. 3600 IN A 10.0.0.1"),
        ("www.example. 1m30s aaaa 2001:db8::1", "www.example. 90 IN AAAA 2001:db8::1"),
        ("  www.example. 0 A 10.0.0.1 ; comment", "www.example. 0 IN A 10.0.0.1"),
        ("www.example. 60 A 10.0.0.1\n\n", "www.example. 60 IN A 10.0.0.1"),
        ("@ 60 NS ns.example.", ". 60 IN NS ns.example."),
        (". 60 CNAME a_b.example", ". 60 IN CNAME a_b.example."),
        ("*.x.example. 60 PTR a\\.b.example.", "*.x.example. 60 IN PTR a\\.b.example."),
        ("www.example. 60 MX 10 mail.example.", "www.example. 60 IN MX 10 mail.example."),
        ("_dns._udp.example. 60 SRV 1 2 53 ns.example.", "_dns._udp.example. 60 IN SRV 1 2 53 ns.example."),
        (
            "example. 60 IN SOA a.example. b.example. (1 60 ; refresh\n 2m 1h 5)",
            "example. 60 IN SOA a.example. b.example. 1 60 120 3600 5",
        ),
        ("www.example. 60 CAA 0 issue \"ca.example\"", "www.example. 60 IN CAA 0 issue \"ca.example\""),
        ("www.example. 60 A \\# 4 0a000001", "www.example. 60 IN A 10.0.0.1"),
        ("www.example. 60 A \\# 4 0a00 0001", "www.example. 60 IN A 10.0.0.1"),
        ("www.example. 60 CH TXT \"test\"", "www.example. 60 CH TXT test"),
    ] {
        assert_eq!(decoded(line).as_deref(), Some(expected), "{line:?}");
    }
}

#[test]
fn texts_are_character_strings_of_at_most_255_octets() {
    for (data, octets) in [
        ("hello world", &b"\x05hello\x05world"[..]),
        ("\"hello world\"", b"\x0bhello world"),
        ("\"\"", b"\x00"),
        (r#""a\"b" c\;d"#, b"\x03a\"b\x03c;d"),
        (r#""\000\255""#, b"\x02\x00\xff"),
        ("ä", b"\x02\xc3\xa4"),
    ] {
        let response = response(&format!("www.example. 60 TXT {data}")).unwrap();
        assert!(response.packet.ends_with(octets), "{data}: {:?}", response.packet);
    }
    let long = response(&format!("www.example. 60 TXT {}", "a".repeat(300))).unwrap();
    assert!(long.packet.ends_with(&[&[45][..], &[b'a'; 45]].concat()));
}

#[test]
fn rejected_lines() {
    for line in [
        "",
        "www.example.",
        "www.example. 60",
        "www.example. 60 IN",
        "www.example. 60 IN A",
        "www.example. 60 IN A 10.0.0",
        "www.example. 60 IN A 10.0.0.1.",
        "www.example. 60 60 A 10.0.0.1",
        "www.example. IN IN A 10.0.0.1",
        "www.example. 60 IN NOTYPE 10.0.0.1",
        "www.example. 60 IN ANY 10.0.0.1",
        "\"www.example.\" 60 IN A 10.0.0.1",
        "www..example. 60 IN A 10.0.0.1",
        "www.example. 60 IN CNAME",
        "www.example. 60 IN CNAME a b",
        "www.example. 60 IN CNAME a..b",
        "www.example. 60 IN MX mail.example.",
        "www.example. 60 IN MX 65536 mail.example.",
        "www.example. 60 IN TXT",
        "www.example. 60 IN TXT \"open",
        "www.example. 60 IN TXT a\\",
        "www.example. 60 IN TXT \\256",
        "www.example. 60 IN SOA a. b. (1 2 3 4 5",
        "www.example. 60 IN SOA a. b. 1 2 3 4 5)",
        "www.example. 60 IN A \\# 5 0a000001",
        "www.example. 60 IN A \\# 1 0",
        "www.example. 60 IN A \\# 1 zz",
        "www.example. 60 IN A 10.0.0.1\nwww.example. 60 IN A 10.0.0.2",
        "$INCLUDE /etc/hosts",
        "$ORIGIN example.",
    ] {
        assert!(ZoneRecord::parse(line).is_none(), "{line:?}");
    }
}

#[test]
fn a_response_has_aa_a_response_code_and_three_sections() {
    let record = |line| ZoneRecord::parse(line).unwrap();
    let answers = [record("www.example. 60 CNAME a.example."), record("a.example. 60 A 10.0.0.1")];
    assert_eq!(answers.clone().map(|record| record.is_cname()), [true, false]);
    let authorities = [record("example. 7 SOA a. b. 1 2 3 4 5")];
    let additionals = [record("ns.example. 60 A 10.0.0.2")];
    let sections = Sections { answers: &answers, authorities: &authorities, additionals: &additionals };
    let positive = zone_record::response(QUESTION, Rcode::NOERROR, sections).unwrap();
    assert_eq!((positive.response_type, positive.min_ttl), (ResponseType::Positive, Some(7)));
    assert!(positive.matches_question(QUESTION));
    let header = positive.header;
    assert_eq!((header.ancount, header.nscount, header.arcount), (2, 1, 1));
    let message = Message::from_vec(Answer::from_response(&positive).message()).unwrap();
    assert!(message.metadata.authoritative);

    let denial = Sections { authorities: &authorities, ..Sections::default() };
    let denial = zone_record::response(QUESTION, Rcode::NXDOMAIN, denial).unwrap();
    assert_eq!((denial.response_type, denial.rcode), (ResponseType::NameError, Rcode::NXDOMAIN));
    let empty = zone_record::response(QUESTION, Rcode::REFUSED, Sections::default()).unwrap();
    assert_eq!((empty.response_type, empty.rcode), (ResponseType::Other, Rcode::REFUSED));
}

#[test]
fn records_that_no_message_holds_have_no_response() {
    let long = format!("www.example. 60 TXT {}", "a".repeat(40_000));
    let records = [ZoneRecord::parse(&long).unwrap(), ZoneRecord::parse(&long).unwrap()];
    let sections = Sections { answers: &records, ..Sections::default() };
    assert!(zone_record::response(QUESTION, Rcode::NOERROR, sections).is_none());
    assert!(zone_record::response(b"\x03www", Rcode::NOERROR, Sections::default()).is_none());
}
