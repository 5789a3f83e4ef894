//! Error responses and outgoing queries, octet by octet.

use std::time::Duration;

use wire::edns::{DEFAULT_UDP_SIZE, ExtendedError, Keepalive, OptRecord};
use wire::header::Rcode;
use wire::name::NameBuffer;
use wire::query::{OutgoingQuery, Rejection};
use wire::{Query, Response, reply};

use crate::message_builder::{header, message, opt, question};

fn rejection(packet: &[u8], reason: Rejection) -> Vec<u8> {
    let mut out = vec![0xee];
    reply::rejection(packet, reason, &mut out);
    out.split_off(1)
}

#[test]
fn a_dropped_packet_gets_no_response() {
    assert!(rejection(&header(1, 0x8180, [0; 4]), Rejection::Drop).is_empty());
    assert!(rejection(&[1, 2, 3], Rejection::FormatError).is_empty(), "there is no ID to respond to");
}

#[test]
fn error_headers_keep_the_flags_that_node_cache_keeps() {
    let update = message(0x2fff & !0x8000, &question("a.test", 1), [&[], &[], &[]]);
    assert_eq!(rejection(&update, Rejection::NotImplemented), header(0x1234, 0x8000 | 0x2904, [0; 4]));
    let without_rd = message(0x2800, &question("a.test", 1), [&[], &[], &[]]);
    assert_eq!(rejection(&without_rd, Rejection::NotImplemented), header(0x1234, 0x8000 | 0x2804, [0; 4]));
    assert_eq!(rejection(&update, Rejection::FormatError), header(0x1234, 0x8101, [0; 4]));
    assert_eq!(rejection(&without_rd, Rejection::FormatError), header(0x1234, 0x8001, [0; 4]));
}

#[test]
fn badvers_is_a_header_with_an_opt_of_version_0() {
    let packet = message(0x0100, &question("a.test", 1), [&[], &[], &[opt(1232, 1 << 16 | 0x8000, &[])]]);
    let expected = [header(0x1234, 0x8100, [0, 0, 0, 1]), opt(0, 1 << 24, &[])].concat();
    assert_eq!(rejection(&packet, Rejection::BadVersion), expected);
}

#[test]
fn an_error_repeats_the_question_and_has_an_extended_error_only_with_opt() {
    let wire_question = question("wWw.a.test", 28);
    let network_error = OptRecord { error: Some(ExtendedError::NETWORK_ERROR), ..OptRecord::DEFAULT };
    let plain = message(0x05f0, &wire_question, [&[], &[], &[]]);
    let mut out = Vec::new();
    let mut buffer = NameBuffer::new();
    let query = Query::parse(&plain, &mut buffer).unwrap();
    reply::error(&query.header, Rcode::SERVFAIL, network_error, &mut out);
    assert_eq!(out, message(0x8192, &wire_question, [&[], &[], &[]]));

    let packet = message(0x0100, &wire_question, [&[], &[], &[opt(4096, 0x8000, &[0, 10, 0, 0])]]);
    let mut buffer = NameBuffer::new();
    let query = Query::parse(&packet, &mut buffer).unwrap();
    out.clear();
    reply::error(&query.header, Rcode::SERVFAIL, network_error, &mut out);
    assert_eq!(out, message(0x8182, &wire_question, [&[], &[], &[opt(1232, 0x8000, &[0, 15, 0, 2, 0, 23])]]));
    assert_eq!(Response::parse(&out).unwrap().extended_error(), Some(ExtendedError::NETWORK_ERROR));
    out.clear();
    reply::error(&query.header, Rcode::REFUSED, OptRecord::DEFAULT, &mut out);
    assert_eq!(out, message(0x8185, &wire_question, [&[], &[], &[opt(1232, 0x8000, &[])]]));
}

#[test]
fn opt_carries_udp_size_and_keepalive() {
    let wire_question = question("a.test", 1);
    let packet = message(0x0100, &wire_question, [&[], &[], &[opt(4096, 0, &[0, 11, 0, 0])]]);
    let mut buffer = NameBuffer::new();
    let query = Query::parse(&packet, &mut buffer).unwrap();
    let own = OptRecord {
        udp_size: 4096,
        error: Some(ExtendedError::NETWORK_ERROR),
        keepalive: Some(Keepalive::of(Duration::from_millis(10_050))),
    };
    let mut out = Vec::new();
    reply::error(&query.header, Rcode::SERVFAIL, own, &mut out);
    let options = [0, 15, 0, 2, 0, 23, 0, 11, 0, 2, 0, 100];
    assert_eq!(out, message(0x8182, &wire_question, [&[], &[], &[opt(4096, 0, &options)]]));
    for (options, error) in [
        (&[0, 11, 0, 2, 0, 100, 0, 15, 0, 3, 0, 22, b'x'][..], Some(ExtendedError::NO_REACHABLE_AUTHORITY)),
        (&[0, 15, 0, 1, 22], None),
        (&[], None),
    ] {
        let packet = message(0x8182, &wire_question, [&[], &[], &[opt(4096, 0, options)]]);
        assert_eq!(Response::parse(&packet).unwrap().extended_error(), error);
    }
    assert_eq!(own.wire_len(), opt(4096, 0, &options).len());
    assert_eq!(Keepalive::of(Duration::from_secs(24 * 3600)), Keepalive(u16::MAX), "saturated");
}

#[test]
fn a_query_to_an_upstream_has_an_opt_of_our_own() {
    let wire_question = question("a.test", 1);
    let mut outgoing = OutgoingQuery {
        id: 0x1234,
        question: &wire_question,
        recursion_desired: true,
        checking_disabled: false,
        edns: true,
        dnssec_ok: false,
        udp_size: DEFAULT_UDP_SIZE,
        options: &[],
    };
    let mut out = Vec::new();
    outgoing.write(&mut out);
    assert_eq!(out, message(0x0120, &wire_question, [&[], &[], &[opt(1232, 0, &[])]]));
    outgoing.recursion_desired = false;
    outgoing.checking_disabled = true;
    outgoing.dnssec_ok = true;
    out.clear();
    outgoing.write(&mut out);
    assert_eq!(out, message(0x0030, &wire_question, [&[], &[], &[opt(1232, 0x8000, &[])]]));
}
