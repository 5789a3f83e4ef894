//! Writing a cached answer for a client: header, TTLs, OPT, truncation, compression.

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{ExtendedError, Keepalive, OptRecord, append_nsid, nsid_len};
use wire::header::{Header, Rcode};
use wire::name::NameBuffer;
use wire::{Answer, Query, Response};

use crate::message_builder::{message, name, opt, question, record, record_of_class};
use crate::packets::packets;

const QNAME: &[u8] = &[0xc0, 12];

fn stored(packet: &[u8]) -> Answer {
    Answer::from_response(&Response::parse(packet).unwrap())
}

fn respond(answer: &Answer, query: &[u8], ttl: ResponseTtl, max_len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    answer.write(
        &Query::parse(query, &mut NameBuffer::new()).unwrap().header,
        ResponseOptions::new(ttl, max_len),
        &mut out,
    );
    out
}

fn address(ttl: u32) -> Vec<u8> {
    record(QNAME, 1, ttl, &[192, 0, 2, 1])
}

fn captured(file: &str) -> Vec<u8> {
    packets().into_iter().find(|(name, ..)| name == file).unwrap().2
}

#[test]
fn id_question_flags_ttl_and_opt_follow_the_query() {
    let upstream =
        message(0x8580, &question("www.a.test", 1), [&[address(60), address(90)], &[], &[opt(512, 0, &[])]]);
    let answer = stored(&upstream);
    let wire_question = question("WWW.a.Test", 1);
    let mut query = message(0x0110, &wire_question, [&[], &[], &[opt(4096, 0x8000, &[])]]);
    query[..2].copy_from_slice(&[0xab, 0xcd]);
    let mut expected =
        message(0x8590, &wire_question, [&[address(42), address(42)], &[], &[opt(1232, 0x8000, &[])]]);
    expected[..2].copy_from_slice(&[0xab, 0xcd]);
    assert_eq!(respond(&answer, &query, ResponseTtl::Uniform(42), 1232), expected);

    let plain = message(0, &wire_question, [&[], &[], &[]]);
    let expected = message(0x8480, &wire_question, [&[address(60), address(90)], &[], &[]]);
    assert_eq!(respond(&answer, &plain, ResponseTtl::AsReceived, 512), expected);
}

#[test]
fn write_appends_to_the_buffer() {
    let wire_question = question("a.test", 1);
    let answer = stored(&message(0x8180, &wire_question, [&[address(60)], &[], &[]]));
    let query = message(0x0100, &wire_question, [&[], &[], &[]]);
    let mut out = vec![0xee; 700];
    answer.write(
        &Query::parse(&query, &mut NameBuffer::new()).unwrap().header,
        ResponseOptions::new(ResponseTtl::Uniform(9), 512),
        &mut out,
    );
    assert_eq!(out[..700], [0xee; 700]);
    assert_eq!(out[700..], message(0x8180, &wire_question, [&[address(9)], &[], &[]]));
}

#[test]
fn ad_is_set_only_for_queries_with_ad_or_do() {
    let wire_question = question("a.test", 1);
    let answer = stored(&message(0x81a0, &wire_question, [&[address(60)], &[], &[]]));
    let unauthentic = stored(&message(0x8180, &wire_question, [&[address(60)], &[], &[]]));
    for (flags, opt_flags, has_ad) in
        [(0x0100, None, false), (0x0120, None, true), (0x0100, Some(0), false), (0x0100, Some(0x8000), true)]
    {
        let opts: Vec<_> = opt_flags.into_iter().map(|flags| opt(1232, flags, &[])).collect();
        let query = message(flags, &wire_question, [&[], &[], &opts]);
        let ad = |answer| {
            Header::read(&respond(answer, &query, ResponseTtl::AsReceived, 512)).unwrap().flags.0 & 0x20 != 0
        };
        assert_eq!(ad(&answer), has_ad, "flags {flags:04x}, OPT {opt_flags:?}");
        assert!(!ad(&unauthentic));
    }
}

#[test]
fn opt_and_transaction_signatures_are_removed() {
    let wire_question = question("a.test", 15);
    let mx = record(QNAME, 15, 60, &[&[0, 10][..], &name("a.test")].concat());
    let of_any_class = |rtype, rdata: &[u8]| record_of_class(&[0], rtype, 255, 0, rdata);
    let signatures = [
        of_any_class(250, &[name("hmac-sha256"), vec![0; 16]].concat()),
        of_any_class(249, &[name("hmac-sha256"), vec![0; 16]].concat()),
        of_any_class(24, &[vec![0; 18], name("key.test"), vec![7; 8]].concat()),
    ];
    let query = message(0x0100, &wire_question, [&[], &[], &[]]);
    let expected = message(0x8180, &wire_question, [std::slice::from_ref(&mx), &[], &[address(70)]]);
    for signature in signatures {
        let own_opt = opt(1232, 0, &[0, 10, 0, 1, 7]);
        for additional in [
            [address(70), own_opt.clone(), signature.clone()],
            [own_opt.clone(), signature.clone(), address(70)],
            [signature.clone(), address(70), own_opt],
        ] {
            let sections: [&[Vec<u8>]; 3] = [std::slice::from_ref(&mx), &[], &additional];
            let answer = stored(&message(0x8180, &wire_question, sections));
            assert_eq!(respond(&answer, &query, ResponseTtl::AsReceived, 512), expected);
        }
        let without_opt: [&[Vec<u8>]; 3] = [std::slice::from_ref(&mx), &[], &[address(70), signature]];
        let answer = stored(&message(0x8180, &wire_question, without_opt));
        assert_eq!(respond(&answer, &query, ResponseTtl::AsReceived, 512), expected);
    }
}

#[test]
fn an_extended_response_code_is_stored_as_servfail() {
    let wire_question = question("a.test", 1);
    let answer = stored(&message(0x8180, &wire_question, [&[], &[], &[opt(1232, 1 << 24, &[])]]));
    assert_eq!(answer.rcode(), Rcode::SERVFAIL);
}

#[test]
fn tc_of_the_upstream_is_preserved() {
    let wire_question = question("a.test", 1);
    let answer = stored(&message(0x8380, &wire_question, [&[address(60)], &[], &[]]));
    let query = message(0x0100, &wire_question, [&[], &[], &[]]);
    assert_eq!(
        Header::read(&respond(&answer, &query, ResponseTtl::AsReceived, 512)).unwrap().flags.0,
        0x8380
    );
}

#[test]
fn truncation_removes_records_from_the_end() {
    // The answer is NXT, whose next name has additional records; DS is in authority.
    let wire_question = question("a.test", 30);
    let next = |size: usize| record(QNAME, 30, 60, &[name("a.test"), vec![0; size]].concat());
    let other = |rtype| record(QNAME, rtype, 60, &[99; 100]);
    let sections: [&[Vec<u8>]; 3] = [&[next(92), next(92)], &[other(43)], &[other(10), other(10)]];
    let answer = stored(&message(0x8180, &wire_question, sections));
    // Header and question are 24 octets, a record 112, OPT 11.
    let plain = message(0x0100, &wire_question, [&[], &[], &[]]);
    let with_opt = message(0x0100, &wire_question, [&[], &[], &[opt(4096, 0, &[])]]);
    for (query, max_len, counts, len) in [
        (&plain, 584, [1, 2, 1, 2], 584),
        (&plain, 583, [1, 2, 1, 1], 472),
        (&plain, 512, [1, 2, 1, 1], 472),
        (&with_opt, 595, [1, 2, 1, 3], 595),
        (&with_opt, 594, [1, 2, 1, 2], 483),
    ] {
        let response = respond(&answer, query, ResponseTtl::AsReceived, max_len);
        let header = Header::read(&response).unwrap();
        assert_eq!(
            [header.qdcount, header.ancount, header.nscount, header.arcount],
            counts,
            "max_len {max_len}"
        );
        assert_eq!(response.len(), len, "max_len {max_len}");
        assert_eq!(header.flags.0 & 0x0200 != 0, len < 584, "max_len {max_len}");
    }
    let big = stored(&message(0x8180, &wire_question, [&[next(592), next(92)], &[], &[other(10)]]));
    let header = Header::read(&respond(&big, &plain, ResponseTtl::AsReceived, 512)).unwrap();
    assert_eq!([header.ancount, header.arcount], [0, 0], "the first record is too large");
}

#[test]
fn edns_options_count_against_the_response_size() {
    let wire_question = question("a.test", 16);
    let text = record(QNAME, 16, 60, &[99; 100]);
    let answer = stored(&message(0x8180, &wire_question, [&vec![text; 6], &[], &[]]));
    let query = message(0x0100, &wire_question, [&[], &[], &[opt(4096, 0, &[0, 11, 0, 0])]]);
    // Header and question are 24 octets, a record 112, OPT 11 and each option 6.
    let plain = ResponseOptions::new(ResponseTtl::AsReceived, 24 + 5 * 112 + 11);
    let error = Some(ExtendedError::CACHED_ERROR);
    let keepalive = Some(Keepalive(100));
    for (options, records, edns_options) in [
        (plain, 5, vec![]),
        (ResponseOptions { error, ..plain }, 4, vec![0, 15, 0, 2, 0, 13]),
        (ResponseOptions { keepalive, ..plain }, 4, vec![0, 11, 0, 2, 0, 100]),
        (ResponseOptions { error, max_len: plain.max_len + 6, ..plain }, 5, vec![0, 15, 0, 2, 0, 13]),
        (ResponseOptions { udp_size: 4096, ..plain }, 5, vec![]),
    ] {
        let mut response = Vec::new();
        answer.write(&Query::parse(&query, &mut NameBuffer::new()).unwrap().header, options, &mut response);
        assert_eq!(usize::from(Header::read(&response).unwrap().ancount), records, "{options:?}");
        assert!(response.len() <= options.max_len);
        assert!(response.ends_with(&opt(options.udp_size, 0, &edns_options)), "{options:?}");
    }
}

#[test]
fn an_nsid_is_appended_within_the_size_of_the_client() {
    let wire_question = question("a.test", 16);
    let text = record(QNAME, 16, 60, &[99; 100]);
    let answer = stored(&message(0x8180, &wire_question, [&vec![text; 6], &[], &[]]));
    let query = message(0x0100, &wire_question, [&[], &[], &[opt(4096, 0, &[0, 3, 0, 0])]]);
    let mut buffer = NameBuffer::new();
    let query = Query::parse(&query, &mut buffer).unwrap();
    assert!(query.header.edns.unwrap().wants_nsid);
    let plain = ResponseOptions::new(ResponseTtl::AsReceived, 24 + 5 * 112 + 11);
    for (error, more, records, edns_options) in [
        (None, 0, 4, vec![0, 3, 0, 2, 97, 98]),
        (None, 6, 5, vec![0, 3, 0, 2, 97, 98]),
        (Some(ExtendedError::CACHED_ERROR), 12, 5, vec![0, 15, 0, 2, 0, 13, 0, 3, 0, 2, 97, 98]),
    ] {
        let max_len = plain.max_len + more;
        let options = ResponseOptions { error, max_len, reserved: nsid_len(b"ab"), ..plain };
        let mut response = Vec::new();
        answer.write(&query.header, options, &mut response);
        append_nsid(&mut response, OptRecord { error, ..OptRecord::DEFAULT }, b"ab");
        assert_eq!(usize::from(Header::read(&response).unwrap().ancount), records, "{options:?}");
        assert!(response.len() <= max_len);
        assert!(response.ends_with(&opt(1232, 0, &edns_options)), "{options:?}");
    }
}

#[test]
fn thirty_uncompressed_records_fit_512_octets() {
    let wire_question = question("x.test", 1);
    let records = vec![record(&name("x.test"), 1, 30, &[192, 0, 2, 1]); 30];
    let packet = message(0x8180, &wire_question, [&records, &[], &[]]);
    assert!(packet.len() > 512);
    let response = respond(
        &stored(&packet),
        &message(0x0100, &wire_question, [&[], &[], &[]]),
        ResponseTtl::AsReceived,
        512,
    );
    let header = Header::read(&response).unwrap();
    assert_eq!((header.ancount, header.flags.0 & 0x0200), (30, 0));
    assert_eq!(response.windows(2).filter(|octets| *octets == [0xc0, 12]).count(), 30);
}

#[test]
fn fifty_two_of_199_addresses_fit_867_octets_exactly() {
    let wire_question = question("large.example.com", 1);
    let answer = stored(&message(0x8180, &wire_question, [&vec![address(10); 199], &[], &[]]));
    let response =
        respond(&answer, &message(0x0100, &wire_question, [&[], &[], &[]]), ResponseTtl::AsReceived, 867);
    assert_eq!((response.len(), Header::read(&response).unwrap().ancount), (867, 52));
}

#[test]
fn responses_of_any_sections_stay_within_the_size_and_set_tc() {
    let wire_question = question("large.example.com", 33);
    let srv = |target: &str| record(QNAME, 33, 10, &[vec![0; 6], name(target)].concat());
    let targets: Vec<String> =
        (1..=199).map(|number| format!("10-0-0-{number}.default.pod.k8s.example.com")).collect();
    let services: Vec<Vec<u8>> = targets.iter().map(|target| srv(target)).collect();
    let addresses: Vec<Vec<u8>> =
        targets.iter().map(|target| record(&name(target), 1, 10, &[10, 0, 0, 1])).collect();
    let plain = message(0x0100, &wire_question, [&[], &[], &[]]);
    let with_opt = message(0x0100, &wire_question, [&[], &[], &[opt(4096, 0, &[])]]);
    for (answers, additionals) in [(199, 0), (199, 1), (32, 32), (199, 199)] {
        let sections = [&services[..answers], &[], &addresses[..additionals]];
        let answer = stored(&message(0x8180, &wire_question, sections));
        for (query, max_len) in
            (512..=4096).step_by(12).flat_map(|max_len| [(&plain, max_len), (&with_opt, max_len)])
        {
            let response = respond(&answer, query, ResponseTtl::AsReceived, max_len);
            let header = Header::read(&response).unwrap();
            let opts = u16::from(query.len() != plain.len());
            let remaining = usize::from(header.ancount + header.arcount - opts);
            assert!(response.len() <= max_len);
            assert_eq!(header.flags.0 & 0x0200 != 0, remaining < answers + additionals, "{max_len}");
            assert!(
                header.arcount == opts || usize::from(header.ancount) == answers,
                "additional records are removed first"
            );
            assert_eq!(response.ends_with(&opt(1232, 0, &[])), opts == 1, "OPT is the last record");
        }
    }
}

#[test]
fn as_many_addresses_fit_512_octets_as_from_coredns() {
    let all = captured("response-coredns-120-addresses");
    let truncated = captured("response-coredns-truncated-to-512");
    let answer = stored(&all);
    let wire_question = question("many.example.test", 1);
    let response =
        respond(&answer, &message(0x0100, &wire_question, [&[], &[], &[]]), ResponseTtl::AsReceived, 512);
    assert_eq!(Header::read(&response).unwrap().ancount, 29);
    assert_eq!(Header::read(&truncated).unwrap().ancount, 29);
    assert!(
        response.len() <= truncated.len(),
        "{} octets, CoreDNS needs {}",
        response.len(),
        truncated.len()
    );
}

#[test]
fn uncompressed_owner_names_are_compressed() {
    let wire_question = question("a.b.test", 33);
    let srv = |owner: &str, target: &str| record(&name(owner), 33, 30, &[vec![0; 6], name(target)].concat());
    let a = |owner: &[u8]| record(owner, 1, 30, &[192, 0, 2, 1]);
    let ds = |owner: &[u8]| record(owner, 43, 30, &[0, 1, 8, 2]);
    let sections: [&[Vec<u8>]; 3] = [
        &[srv("A.b.test", "x.b.test"), srv("a.b.test", "other.zone"), srv("a.b.test", "xb.test")],
        &[ds(&name("test")), ds(&[0]), ds(&[0])],
        &[
            a(&name("x.b.test")),
            a(&name("x.b.test")),
            a(&name("other.zone")),
            a(&name("other.zone")),
            a(&name("xb.test")),
        ],
    ];
    let uncompressed = message(0x8180, &wire_question, sections);
    let answer = stored(&uncompressed);
    let plain = message(0x0100, &wire_question, [&[], &[], &[]]);
    // The question is at 12, test. at 16; x.b.test is first an owner at 157, other.zone at 191.
    let service = |target: &str| record(QNAME, 33, 30, &[vec![0; 6], name(target)].concat());
    let compressed: [&[Vec<u8>]; 3] = [
        &[service("x.b.test"), service("other.zone"), service("xb.test")],
        &[ds(&[0xc0, 16]), ds(&[0]), ds(&[0])],
        &[
            a(&[1, b'x', 0xc0, 14]),
            a(&[0xc0, 157]),
            a(&name("other.zone")),
            a(&[0xc0, 191]),
            a(&[2, b'x', b'b', 0xc0, 16]),
        ],
    ];
    let response = respond(&answer, &plain, ResponseTtl::AsReceived, 512);
    assert_eq!(response, message(0x8180, &wire_question, compressed));
    assert_eq!(answer.message_len(), response.len());
    for answer in [answer, stored(&response)] {
        assert_eq!(answer.uncompressed_len() as usize, uncompressed.len());
    }
}

/// The root takes one octet, a pointer to it two.
#[test]
fn a_pointer_to_the_root_saves_no_octet() {
    let wire_question = question("a.b.test", 5);
    // The root of the question is at 21.
    let alias = |target: &[u8]| record(QNAME, 5, 30, target);
    let compressed = message(0x8180, &wire_question, [&[alias(&[1, b'x', 0xc0, 21])], &[], &[]]);
    let whole = [record(&name("a.b.test"), 5, 30, &name("x"))];
    let uncompressed = message(0x8180, &wire_question, [&whole, &[], &[]]);
    assert_eq!(stored(&compressed).uncompressed_len() as usize, uncompressed.len());
}

#[test]
fn a_compressed_message_is_stored_unchanged() {
    let wire_question = question("a.test", 1);
    let packet =
        message(0x8180, &wire_question, [&[record(&name("a.test"), 1, 30, &[1; 4]), address(30)], &[], &[]]);
    let response = respond(
        &stored(&packet),
        &message(0x0100, &wire_question, [&[], &[], &[]]),
        ResponseTtl::AsReceived,
        512,
    );
    assert_eq!(response, packet);
}
