use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{ExtendedError, Keepalive};
use wire::header::{Header, Rcode};
use wire::{Answer, Query, Response};

use crate::builder::{message, name, opt, question, record};
use crate::packets::packets;

const QNAME: &[u8] = &[0xc0, 12];

fn keep(packet: &[u8]) -> Answer {
    Answer::from_response(&Response::parse(packet).unwrap())
}

fn tell(answer: &Answer, query: &[u8], ttl: ResponseTtl, limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    answer.write(&Query::parse(query).unwrap().header, ResponseOptions::new(ttl, limit), &mut out);
    out
}

fn address(ttl: u32) -> Vec<u8> {
    record(QNAME, 1, ttl, &[192, 0, 2, 1])
}

fn captured(file: &str) -> Vec<u8> {
    packets().into_iter().find(|(name, ..)| name == file).unwrap().2
}

#[test]
fn id_question_flags_ttl_and_opt_are_the_clients() {
    let upstream =
        message(0x8580, &question("www.a.test", 1), [&[address(60), address(90)], &[], &[opt(512, 0, &[])]]);
    let answer = keep(&upstream);
    let asked = question("WWW.a.Test", 1);
    let mut query = message(0x0110, &asked, [&[], &[], &[opt(4096, 0x8000, &[])]]);
    query[..2].copy_from_slice(&[0xab, 0xcd]);
    let mut expected = message(0x8590, &asked, [&[address(42), address(42)], &[], &[opt(1232, 0x8000, &[])]]);
    expected[..2].copy_from_slice(&[0xab, 0xcd]);
    assert_eq!(tell(&answer, &query, ResponseTtl::Uniform(42), 1232), expected);

    let plain = message(0, &asked, [&[], &[], &[]]);
    let expected = message(0x8480, &asked, [&[address(60), address(90)], &[], &[]]);
    assert_eq!(tell(&answer, &plain, ResponseTtl::AsReceived, 512), expected);
}

#[test]
fn what_stands_in_front_in_the_buffer_stays() {
    let asked = question("a.test", 1);
    let answer = keep(&message(0x8180, &asked, [&[address(60)], &[], &[]]));
    let query = message(0x0100, &asked, [&[], &[], &[]]);
    let mut out = vec![0xee; 700];
    answer.write(
        &Query::parse(&query).unwrap().header,
        ResponseOptions::new(ResponseTtl::Uniform(9), 512),
        &mut out,
    );
    assert_eq!(out[..700], [0xee; 700]);
    assert_eq!(out[700..], message(0x8180, &asked, [&[address(9)], &[], &[]]));
}

#[test]
fn authentic_data_is_told_to_who_asked_for_it() {
    let asked = question("a.test", 1);
    let answer = keep(&message(0x81a0, &asked, [&[address(60)], &[], &[]]));
    let unauthentic = keep(&message(0x8180, &asked, [&[address(60)], &[], &[]]));
    for (flags, opt_flags, told) in
        [(0x0100, None, false), (0x0120, None, true), (0x0100, Some(0), false), (0x0100, Some(0x8000), true)]
    {
        let opts: Vec<_> = opt_flags.into_iter().map(|flags| opt(1232, flags, &[])).collect();
        let query = message(flags, &asked, [&[], &[], &opts]);
        let ad = |answer| {
            Header::read(&tell(answer, &query, ResponseTtl::AsReceived, 512)).unwrap().flags.0 & 0x20 != 0
        };
        assert_eq!(ad(&answer), told, "flags {flags:04x}, OPT {opt_flags:?}");
        assert!(!ad(&unauthentic));
    }
}

#[test]
fn opt_and_what_stands_behind_it_is_left_out() {
    let asked = question("a.test", 1);
    let tsig = record(&name("key"), 250, 0, &[name("hmac-sha256"), vec![0; 16]].concat());
    let sections: [&[Vec<u8>]; 3] =
        [&[address(60)], &[], &[address(70), opt(1232, 0, &[0, 10, 0, 1, 7]), tsig]];
    let answer = keep(&message(0x8180, &asked, sections));
    let query = message(0x0100, &asked, [&[], &[], &[]]);
    let expected = message(0x8180, &asked, [&[address(60)], &[], &[address(70)]]);
    assert_eq!(tell(&answer, &query, ResponseTtl::AsReceived, 512), expected);
}

#[test]
fn a_response_code_above_15_is_not_told_as_its_low_bits() {
    let asked = question("a.test", 1);
    let answer = keep(&message(0x8180, &asked, [&[], &[], &[opt(1232, 1 << 24, &[])]]));
    assert_eq!(answer.rcode(), Rcode::SERVFAIL);
}

#[test]
fn a_message_the_upstream_cut_stays_cut() {
    let asked = question("a.test", 1);
    let answer = keep(&message(0x8380, &asked, [&[address(60)], &[], &[]]));
    let query = message(0x0100, &asked, [&[], &[], &[]]);
    assert_eq!(Header::read(&tell(&answer, &query, ResponseTtl::AsReceived, 512)).unwrap().flags.0, 0x8380);
}

#[test]
fn records_are_cut_from_the_end_of_the_message() {
    let asked = question("a.test", 16);
    let text = |size: usize| record(QNAME, 16, 60, &[[99; 100].repeat(size), vec![]].concat());
    let sections: [&[Vec<u8>]; 3] = [&[text(1), text(1)], &[text(1)], &[text(1), text(1)]];
    let answer = keep(&message(0x8180, &asked, sections));
    // Header and question are 24 octets, a record 112, OPT 11.
    let plain = message(0x0100, &asked, [&[], &[], &[]]);
    let with_opt = message(0x0100, &asked, [&[], &[], &[opt(4096, 0, &[])]]);
    for (query, limit, counts, len) in [
        (&plain, 584, [1, 2, 1, 2], 584),
        (&plain, 583, [1, 2, 1, 1], 472),
        (&plain, 512, [1, 2, 1, 1], 472),
        (&with_opt, 595, [1, 2, 1, 3], 595),
        (&with_opt, 594, [1, 2, 1, 2], 483),
    ] {
        let told = tell(&answer, query, ResponseTtl::AsReceived, limit);
        let header = Header::read(&told).unwrap();
        assert_eq!([header.qdcount, header.ancount, header.nscount, header.arcount], counts, "limit {limit}");
        assert_eq!(told.len(), len, "limit {limit}");
        assert_eq!(header.flags.0 & 0x0200 != 0, len < 584, "limit {limit}");
    }
    let big = keep(&message(0x8180, &asked, [&[text(6), text(1)], &[], &[text(1)]]));
    let header = Header::read(&tell(&big, &plain, ResponseTtl::AsReceived, 512)).unwrap();
    assert_eq!([header.ancount, header.arcount], [0, 0], "the first record is too large");
}

#[test]
fn what_opt_says_counts_against_the_limit() {
    let asked = question("a.test", 16);
    let text = record(QNAME, 16, 60, &[99; 100]);
    let answer = keep(&message(0x8180, &asked, [&vec![text; 6], &[], &[]]));
    let query = message(0x0100, &asked, [&[], &[], &[opt(4096, 0, &[0, 11, 0, 0])]]);
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
        let mut told = Vec::new();
        answer.write(&Query::parse(&query).unwrap().header, options, &mut told);
        assert_eq!(usize::from(Header::read(&told).unwrap().ancount), records, "{options:?}");
        assert!(told.len() <= options.max_len);
        assert!(told.ends_with(&opt(options.udp_size, 0, &edns_options)), "{options:?}");
    }
}

#[test]
fn thirty_records_that_came_uncompressed_fit_512_octets() {
    let asked = question("x.test", 1);
    let records = vec![record(&name("x.test"), 1, 30, &[192, 0, 2, 1]); 30];
    let packet = message(0x8180, &asked, [&records, &[], &[]]);
    assert!(packet.len() > 512);
    let told = tell(&keep(&packet), &message(0x0100, &asked, [&[], &[], &[]]), ResponseTtl::AsReceived, 512);
    let header = Header::read(&told).unwrap();
    assert_eq!((header.ancount, header.flags.0 & 0x0200), (30, 0));
    assert_eq!(told.windows(2).filter(|octets| *octets == [0xc0, 12]).count(), 30);
}

#[test]
fn of_199_addresses_52_fit_867_octets_to_the_last_one() {
    let asked = question("large.example.com", 1);
    let answer = keep(&message(0x8180, &asked, [&vec![address(10); 199], &[], &[]]));
    let told = tell(&answer, &message(0x0100, &asked, [&[], &[], &[]]), ResponseTtl::AsReceived, 867);
    assert_eq!((told.len(), Header::read(&told).unwrap().ancount), (867, 52));
}

#[test]
fn whatever_the_limit_and_the_sections_an_answer_stays_within_and_says_when_it_is_cut() {
    let asked = question("large.example.com", 33);
    let srv = |target: &str| record(QNAME, 33, 10, &[vec![0; 6], name(target)].concat());
    let targets: Vec<String> =
        (1..=199).map(|number| format!("10-0-0-{number}.default.pod.k8s.example.com")).collect();
    let services: Vec<Vec<u8>> = targets.iter().map(|target| srv(target)).collect();
    let addresses: Vec<Vec<u8>> =
        targets.iter().map(|target| record(&name(target), 1, 10, &[10, 0, 0, 1])).collect();
    let plain = message(0x0100, &asked, [&[], &[], &[]]);
    let with_opt = message(0x0100, &asked, [&[], &[], &[opt(4096, 0, &[])]]);
    for (answers, additionals) in [(199, 0), (0, 199), (32, 32), (199, 199)] {
        let sections = [&services[..answers], &[], &addresses[..additionals]];
        let answer = keep(&message(0x8180, &asked, sections));
        for (query, limit) in (512..=4096).step_by(12).flat_map(|limit| [(&plain, limit), (&with_opt, limit)])
        {
            let told = tell(&answer, query, ResponseTtl::AsReceived, limit);
            let header = Header::read(&told).unwrap();
            let opts = u16::from(query.len() != plain.len());
            let left = usize::from(header.ancount + header.arcount - opts);
            assert!(told.len() <= limit);
            assert_eq!(header.flags.0 & 0x0200 != 0, left < answers + additionals, "{limit}");
            assert!(
                header.arcount == opts || usize::from(header.ancount) == answers,
                "additional records go first"
            );
            assert_eq!(told.ends_with(&opt(1232, 0, &[])), opts == 1, "OPT is the last of all");
        }
    }
}

#[test]
fn as_many_addresses_fit_as_from_coredns_itself() {
    let all = captured("answer-coredns-120-addresses");
    let cut = captured("answer-coredns-cut-to-512");
    let answer = keep(&all);
    let asked = question("many.example.test", 1);
    let told = tell(&answer, &message(0x0100, &asked, [&[], &[], &[]]), ResponseTtl::AsReceived, 512);
    assert_eq!(Header::read(&told).unwrap().ancount, 29);
    assert_eq!(Header::read(&cut).unwrap().ancount, 29);
    assert!(told.len() <= cut.len(), "{} octets, CoreDNS needs {}", told.len(), cut.len());
}

#[test]
fn owners_that_came_uncompressed_point_at_what_was_there_before() {
    let asked = question("a.b.test", 33);
    let srv = |owner: &str, target: &str| record(&name(owner), 33, 30, &[vec![0; 6], name(target)].concat());
    let a = |owner: &[u8]| record(owner, 1, 30, &[192, 0, 2, 1]);
    let sections: [&[Vec<u8>]; 3] = [
        &[srv("A.b.test", "x.b.test")],
        &[a(&name("test")), a(&[0]), a(&[0])],
        &[
            a(&name("x.b.test")),
            a(&name("x.b.test")),
            a(&name("other.zone")),
            a(&name("other.zone")),
            a(&name("xb.test")),
        ],
    ];
    let answer = keep(&message(0x8180, &asked, sections));
    let plain = message(0x0100, &asked, [&[], &[], &[]]);
    // The question is at 12, test. at 16; x.b.test is first an owner at 115, other.zone at 149.
    let shorter: [&[Vec<u8>]; 3] = [
        &[record(QNAME, 33, 30, &[vec![0; 6], name("x.b.test")].concat())],
        &[a(&[0xc0, 16]), a(&[0]), a(&[0])],
        &[
            a(&[1, b'x', 0xc0, 14]),
            a(&[0xc0, 100]),
            a(&name("other.zone")),
            a(&[0xc0, 134]),
            a(&[2, b'x', b'b', 0xc0, 16]),
        ],
    ];
    let told = tell(&answer, &plain, ResponseTtl::AsReceived, 512);
    assert_eq!(told, message(0x8180, &asked, shorter));
    assert_eq!(answer.message_len(), told.len());
}

#[test]
fn a_message_with_any_compression_is_kept_as_it_came() {
    let asked = question("a.test", 1);
    let packet = message(0x8180, &asked, [&[record(&name("a.test"), 1, 30, &[1; 4]), address(30)], &[], &[]]);
    let told = tell(&keep(&packet), &message(0x0100, &asked, [&[], &[], &[]]), ResponseTtl::AsReceived, 512);
    assert_eq!(told, packet);
}
