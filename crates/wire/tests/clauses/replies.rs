use std::time::Duration;

use wire::edns::{DEFAULT_UDP_SIZE, ExtendedError, Keepalive, OptRecord};
use wire::header::Rcode;
use wire::query::{OutgoingQuery, Rejection};
use wire::{Query, reply};

use crate::builder::{header, message, opt, question};

fn rejection(packet: &[u8], why: Rejection) -> Vec<u8> {
    let mut out = vec![0xee];
    reply::rejection(packet, why, &mut out);
    out.split_off(1)
}

#[test]
fn silence_is_nothing() {
    assert!(rejection(&header(1, 0x8180, [0; 4]), Rejection::Drop).is_empty());
    assert!(rejection(&[1, 2, 3], Rejection::FormatError).is_empty(), "there is no ID to answer to");
}

#[test]
fn bare_headers_keep_what_the_incumbent_keeps() {
    let update = message(0x2fff & !0x8000, &question("a.test", 1), [&[], &[], &[]]);
    assert_eq!(rejection(&update, Rejection::NotImplemented), header(0x1234, 0x8000 | 0x2904, [0; 4]));
    let without_rd = message(0x2800, &question("a.test", 1), [&[], &[], &[]]);
    assert_eq!(rejection(&without_rd, Rejection::NotImplemented), header(0x1234, 0x8000 | 0x2804, [0; 4]));
    assert_eq!(rejection(&update, Rejection::FormatError), header(0x1234, 0x8101, [0; 4]));
    assert_eq!(rejection(&without_rd, Rejection::FormatError), header(0x1234, 0x8001, [0; 4]));
}

#[test]
fn badvers_is_a_header_and_an_opt_of_version_0() {
    let packet = message(0x0100, &question("a.test", 1), [&[], &[], &[opt(1232, 1 << 16 | 0x8000, &[])]]);
    let expected = [header(0x1234, 0x8100, [0, 0, 0, 1]), opt(0, 1 << 24, &[])].concat();
    assert_eq!(rejection(&packet, Rejection::BadVersion), expected);
}

#[test]
fn an_error_echoes_the_question_and_tells_why_only_to_who_sent_opt() {
    let asked = question("wWw.a.test", 28);
    let network_error = OptRecord { error: Some(ExtendedError::NETWORK_ERROR), ..OptRecord::DEFAULT };
    let plain = message(0x05f0, &asked, [&[], &[], &[]]);
    let mut out = Vec::new();
    let query = Query::parse(&plain).unwrap();
    reply::error(&query.header, Rcode::SERVFAIL, network_error, &mut out);
    assert_eq!(out, message(0x8192, &asked, [&[], &[], &[]]));

    let packet = message(0x0100, &asked, [&[], &[], &[opt(4096, 0x8000, &[0, 10, 0, 0])]]);
    let query = Query::parse(&packet).unwrap();
    out.clear();
    reply::error(&query.header, Rcode::SERVFAIL, network_error, &mut out);
    assert_eq!(out, message(0x8182, &asked, [&[], &[], &[opt(1232, 0x8000, &[0, 15, 0, 2, 0, 23])]]));
    out.clear();
    reply::error(&query.header, Rcode::REFUSED, OptRecord::DEFAULT, &mut out);
    assert_eq!(out, message(0x8185, &asked, [&[], &[], &[opt(1232, 0x8000, &[])]]));
}

#[test]
fn opt_says_our_size_and_how_long_the_connection_is_kept() {
    let asked = question("a.test", 1);
    let packet = message(0x0100, &asked, [&[], &[], &[opt(4096, 0, &[0, 11, 0, 0])]]);
    let query = Query::parse(&packet).unwrap();
    let own = OptRecord {
        udp_size: 4096,
        error: Some(ExtendedError::NETWORK_ERROR),
        keepalive: Some(Keepalive::of(Duration::from_millis(10_050))),
    };
    let mut out = Vec::new();
    reply::error(&query.header, Rcode::SERVFAIL, own, &mut out);
    let options = [0, 15, 0, 2, 0, 23, 0, 11, 0, 2, 0, 100];
    assert_eq!(out, message(0x8182, &asked, [&[], &[], &[opt(4096, 0, &options)]]));
    assert_eq!(own.wire_len(), opt(4096, 0, &options).len());
    assert_eq!(Keepalive::of(Duration::from_secs(24 * 3600)), Keepalive(u16::MAX), "as much as it can say");
}

#[test]
fn a_question_to_an_upstream_carries_an_opt_of_our_own() {
    let asked = question("a.test", 1);
    let mut outgoing = OutgoingQuery {
        id: 0x1234,
        question: &asked,
        recursion_desired: true,
        checking_disabled: false,
        edns: true,
        dnssec_ok: false,
        udp_size: DEFAULT_UDP_SIZE,
    };
    let mut out = Vec::new();
    outgoing.write(&mut out);
    assert_eq!(out, message(0x0120, &asked, [&[], &[], &[opt(1232, 0, &[])]]));
    outgoing.recursion_desired = false;
    outgoing.checking_disabled = true;
    outgoing.dnssec_ok = true;
    out.clear();
    outgoing.write(&mut out);
    assert_eq!(out, message(0x0030, &asked, [&[], &[], &[opt(1232, 0x8000, &[])]]));
}
