//! Names in presentation format and wire form; mnemonics of types, classes and response codes.

use wire::Query;
use wire::header::{Class, Rcode, RecordType};
use wire::name::{Name, NameBuffer, NameError, PresentationFormat};

use crate::message_builder::{message, name, question};

#[test]
fn text_is_parsed_to_lower_case_wire_form() {
    for (text, wire) in [
        (".", &b"\0"[..]),
        ("cluster.local", b"\x07cluster\x05local\0"),
        ("Cluster.LOCAL.", b"\x07cluster\x05local\0"),
        (r"a\.b.c", b"\x03a.b\x01c\0"),
        (r"\000\255x", b"\x03\x00\xffx\0"),
        (r"a\\b\ c", b"\x05a\\b c\0"),
        ("_http._tcp", b"\x05_http\x04_tcp\0"),
    ] {
        assert_eq!(Name::parse(text).unwrap().as_wire(), wire, "{text}");
    }
}

#[test]
fn an_invalid_name_reports_the_violated_rule() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", &label[..61]);
    assert_eq!(Name::parse(&longest).unwrap().as_wire().len(), 255);
    for (text, error) in [
        (String::new(), NameError::EmptyLabel),
        ("..".to_owned(), NameError::EmptyLabel),
        (".a".to_owned(), NameError::EmptyLabel),
        ("a..b".to_owned(), NameError::EmptyLabel),
        (format!("{label}a.b"), NameError::LabelTooLong),
        (format!("{longest}a"), NameError::NameTooLong),
        (r"a\".to_owned(), NameError::BadEscape),
        (r"a\256".to_owned(), NameError::BadEscape),
        (r"a\12".to_owned(), NameError::BadEscape),
        (r"a\1b2".to_owned(), NameError::BadEscape),
    ] {
        assert_eq!(Name::parse(&text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn a_zone_covers_itself_and_its_subdomains() {
    let zone = Name::parse("example.org").unwrap();
    for inside in ["example.org", "www.example.org", "a.b.example.org"] {
        assert!(zone.covers(&name(inside)), "{inside}");
    }
    for outside in ["notexample.org", "org", "", "example.org.test", "www.example.com"] {
        assert!(!zone.covers(&name(outside)), "{outside}");
    }
    // One label whose octets end like the zone.
    assert!(!zone.covers(b"\x0dx\x07example\x03org\0"));
    assert!(!zone.covers(b"\x3fa"), "a name without end");
    assert!(Name::root().covers(&name("anything.at.all")));
    assert!(Name::root().covers(&[0]));
}

#[test]
fn names_in_presentation_format_escape_special_octets() {
    for (wire, displayed) in [
        (&b"\0"[..], "."),
        (b"\x03www\x07example\0", "www.example."),
        (b"\x07a.b\\c\"d\0", r#"a\.b\\c\"d."#),
        (b"\x05\n\x1b \x7f\xff\0", r"\010\027\032\127\255."),
        (b"\x04(;@)\0", r"\(\;\@\)."),
        (b"\x03www\x07exam", "www."),
        (b"", ""),
    ] {
        assert_eq!(PresentationFormat(wire).to_string(), displayed);
    }
    let packet = message(0, &question("WWW.Test", 1), [&[], &[], &[]]);
    assert_eq!(format!("{:?}", Query::parse(&packet, &mut NameBuffer::new()).unwrap().name), "www.test.");
    assert_eq!(Name::parse("WWW.Test").unwrap().to_string(), "www.test.");
}

#[test]
fn numbers_are_displayed_as_mnemonics() {
    for (number, mnemonic) in
        [(0, "NOERROR"), (3, "NXDOMAIN"), (5, "REFUSED"), (16, "BADVERS"), (12, "RCODE12")]
    {
        assert_eq!(Rcode(number).to_string(), mnemonic);
        assert_eq!(Rcode::from_mnemonic(mnemonic), (number != 12).then_some(Rcode(number)));
    }
    for (number, mnemonic) in [
        (0, "None"),
        (1, "A"),
        (28, "AAAA"),
        (65, "HTTPS"),
        (255, "ANY"),
        (257, "CAA"),
        (54, "TYPE54"),
        (65535, "TYPE65535"),
    ] {
        assert_eq!(RecordType(number).to_string(), mnemonic);
    }
    for (number, mnemonic) in [(1, "IN"), (3, "CH"), (4, "HS"), (255, "CLASS255"), (0, "CLASS0")] {
        assert_eq!(Class(number).to_string(), mnemonic);
    }
}
