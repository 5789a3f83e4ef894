//! The text form of messages: parsing, formatting, errors.

use hickory_proto::op::{Message, MessageType, OpCode};
use testkit::text::{decode, encode, format, parse, parse_hex, parse_question};

/// The formatted message after `text` was parsed, encoded and decoded.
fn round_trip(text: &str) -> String {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.queries.extend(parse_question(&["www.Example.test", "A"]));
    let tokens: Vec<&str> = text.split(' ').collect();
    let result = parse(&tokens, message).and_then(|message| decode(&encode(&message)?));
    result.map_or_else(|error| format!("error: {error}"), |message| format(&message))
}

#[test]
fn header_and_opt_round_trip() {
    assert_eq!(
        round_trip("NXDOMAIN aa tc rd ra ad cd edns=4096,do,version=1,ede=22,option=10:0102"),
        "id=7 NXDOMAIN qr aa tc rd ra ad cd\n  question   www.Example.test. A\n  \
         edns=4096,do,version=1,ede=22,option=10:0102"
    );
    assert_eq!(
        round_trip("aa aa=0 qr=0 opcode=4"),
        "id=7 NOERROR opcode=4\n  question   www.Example.test. A"
    );
    assert_eq!(round_trip("do edns=none"), round_trip("NOERROR"));
}

#[test]
fn records_round_trip_by_section_and_with_counts() {
    let records = [
        "www.Example.test 30 A 192.0.2.255 x3 / www.Example.test 31 AAAA 2001:db8::ff x2 /",
        "a.test 32 CH TXT \"one\" \"two words\" / b.test 33 TYPE65280 \\# 3 0a_0b_0c",
        "authority: c.test 34 SOA ns.test host.test 1 2 3 4 5 / c.test 35 NS ns.test",
        "additional: d.test 36 MX 10 mail.test / _x._tcp.d.test 37 SRV 1 2 53 e.test /",
        "d.test 38 HINFO \"cpu\" \"os\" / d.test 39 PTR e.test / d.test 40 CNAME e.test",
    ];
    let expected = [
        "id=7 NOERROR qr",
        "question   www.Example.test. A",
        "answer     www.Example.test. 30 A 192.0.2.255",
        "answer     www.Example.test. 30 A 192.0.3.0",
        "answer     www.Example.test. 30 A 192.0.3.1",
        "answer     www.Example.test. 31 AAAA 2001:db8::ff",
        "answer     www.Example.test. 31 AAAA 2001:db8::100",
        "answer     a.test. 32 CH TXT \"one\" \"two words\"",
        "answer     b.test. 33 TYPE65280 \\# 3 0a0b0c",
        "authority  c.test. 34 SOA ns.test. host.test. 1 2 3 4 5",
        "authority  c.test. 35 NS ns.test.",
        "additional d.test. 36 MX 10 mail.test.",
        "additional _x._tcp.d.test. 37 SRV 1 2 53 e.test.",
        "additional d.test. 38 HINFO \"cpu\" \"os\"",
        "additional d.test. 39 PTR e.test.",
        "additional d.test. 40 CNAME e.test.",
    ];
    assert_eq!(round_trip(&records.join(" ")), expected.join("\n  "));
}

#[test]
fn errors_quote_the_token() {
    let cases = [
        ("NOEROR", "`NOEROR` is not a response code"),
        ("xy=0", "`xy` is not a response code"),
        ("opcode=high", "`opcode=high`"),
        ("edns=big", "`big` does not begin with a payload size"),
        ("edns=1232,no", "`no` is not a part of OPT"),
        ("edns=1232,option=10", "option=CODE:OCTETS"),
        ("www.test soon A 192.0.2.1", "`soon` is not a TTL"),
        ("www.test 30", "a record without a type"),
        ("www.test 30 B 192.0.2.1", "`B` is not a record type"),
        ("www.test 30 A 192.0.2.256", "`A 192.0.2.256`"),
        ("www.test 30 TXT \"x\" x2", "only address records take a count"),
        ("www.test 30 TYPE65280 \\# 2 0a", "is followed by 1 octets"),
        ("www.test 30 A 192.0.2.1 / answers: www.test 30 A 192.0.2.1", "`answers:` is not a section"),
        ("www.test 30 TXT \"x\" / . 1 A 1.1.1.1 x9999", "more records than a message can hold"),
    ];
    for (text, error) in cases {
        let result = round_trip(text);
        assert!(result.starts_with("error: ") && result.contains(error), "{text}: {result}");
    }
}

#[test]
fn names_may_contain_any_octet_and_classes_may_be_numbers() {
    let question = parse_question(&[r"a\000\.B\255\\.test.", "A", "CLASS65280"]).unwrap();
    let labels: Vec<&[u8]> = question.name.iter().collect();
    assert_eq!(labels, [&b"a\x00.B\xff\\"[..], b"test"]);
    assert_eq!(u16::from(question.query_class), 65280);
    for broken in [r"a\", r"a\25", r"a\256.test", r"a\..b..c"] {
        assert!(parse_question(&[broken, "A"]).is_err(), "{broken}");
    }
}

#[test]
fn hexadecimal_digits_come_in_pairs() {
    assert_eq!(parse_hex("00_fF_10"), Ok(vec![0, 255, 16]));
    assert!(parse_hex("0").is_err());
    assert!(parse_hex("0g").is_err());
}
