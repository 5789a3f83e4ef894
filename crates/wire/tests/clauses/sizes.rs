//! How much of an answer fits, beside what CoreDNS fits into the same room.

use wire::answer::{ResponseOptions, ResponseTtl};
use wire::frame;
use wire::header::{Flags, Header};
use wire::{Answer, Query, Response};

use crate::builder::{message, name, opt, question, record};

const A: u16 = 1;
const SRV: u16 = 33;
const QNAME: &[u8] = &[0xc0, 12];

/// Addresses of `owner`, which is written out in each.
fn addresses(owner: &str, count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|last| record(&name(owner), A, 10, &[127, 0, 0, last])).collect()
}

/// Addresses of as many owners.
fn glue(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|last| record(&name(&format!("10-0-0-{last}.test")), A, 10, &[10, 0, 0, last])).collect()
}

/// Services at as many targets.
fn services(count: u8) -> Vec<Vec<u8>> {
    let target = |last| name(&format!("10-0-0-{last}.default.pod.test"));
    (0..count).map(|last| record(QNAME, SRV, 10, &[vec![0; 6], target(last)].concat())).collect()
}

/// The answer for a client that takes `limit` octets, and its header.
fn told(asked: &[u8], sections: [&[Vec<u8>]; 3], limit: usize, with_opt: bool) -> (Vec<u8>, Header) {
    let response = message(0x8180, asked, sections);
    let answer = Answer::from_response(&Response::parse(&response).unwrap());
    let opts: Vec<_> = with_opt.then(|| opt(4096, 0, &[])).into_iter().collect();
    let query = message(0x0100, asked, [&[], &[], &opts]);
    let mut out = Vec::new();
    answer.write(
        &Query::parse(&query).unwrap().header,
        ResponseOptions::new(ResponseTtl::AsReceived, limit),
        &mut out,
    );
    let header = Header::read(&out).unwrap();
    (out, header)
}

#[test]
fn records_of_one_owner_take_sixteen_octets_each() {
    let asked = question("a.example.test", A);
    let (message, header) = told(&asked, [&addresses("a.example.test", 30), &[], &[]], 512, false);
    assert_eq!((message.len(), header.ancount, header.flags.has(Flags::TC)), (512, 30, false));
    for record in message[12 + asked.len()..].chunks(16) {
        assert_eq!(record[..2], *QNAME);
    }
}

#[test]
fn of_120_addresses_no_fewer_fit_than_from_coredns() {
    // Measured at CoreDNS 1.13 with a name of 13 octets; its OPT carried back a cookie of 12 octets.
    for (limit, with_opt, count, len) in
        [(512, false, 30, 509), (1232, true, 73, 1220), (4096, true, 120, 1972), (65535, true, 120, 3292)]
    {
        let asked = question("many.t.test", A);
        let (message, header) = told(&asked, [&addresses("many.t.test", 120), &[], &[]], limit, with_opt);
        assert!(header.ancount >= count, "{} of {count} in {limit} octets", header.ancount);
        let for_as_many = message.len() - 16 * usize::from(header.ancount - count);
        assert!(for_as_many <= len, "{for_as_many} octets for {count}, where CoreDNS needs {len}");
        assert_eq!(header.flags.has(Flags::TC), header.ancount < 120);
    }
}

#[test]
fn a_limit_that_is_met_exactly_is_met() {
    let asked = question("large.example.com", A);
    let all = addresses("large.example.com", 199);
    for (limit, count, len) in [(867, 52, 867), (866, 51, 851), (883, 53, 883)] {
        let (message, header) = told(&asked, [&all, &[], &[]], limit, false);
        assert_eq!((header.ancount, message.len()), (count, len), "limit {limit}");
        assert!(header.flags.has(Flags::TC));
    }
}

#[test]
fn crowds_of_any_section_stay_below_the_limit() {
    let asked = question("_dns._tcp.test", SRV);
    let (many, some, one) = (services(199), services(32), services(1));
    let (much_glue, some_glue) = (glue(199), glue(32));
    for sections in [[&many[..], &[], &[]], [&one, &[], &much_glue], [&some, &[], &some_glue]] {
        let all = sections.iter().map(|section| section.len()).sum::<usize>();
        for (limit, with_opt) in [(512, false), (512, true), (1232, true), (4096, true)] {
            let (message, header) = told(&asked, sections, limit, with_opt);
            let opt = u16::from(with_opt);
            let kept = usize::from(header.ancount + header.nscount + header.arcount - opt);
            assert!(message.len() <= limit, "{} octets for {limit}", message.len());
            assert!(kept > 0);
            assert_eq!(header.flags.has(Flags::TC), kept < all, "{kept} of {all} in {limit} octets");
            assert!(kept < all || limit == 4096, "{kept} of {all} in {limit} octets");
            assert!(!with_opt || message.ends_with(&opt_of_ours()), "OPT is kept, and is last");
        }
    }
}

fn opt_of_ours() -> Vec<u8> {
    opt(1232, 0, &[])
}

#[test]
fn no_answer_is_longer_than_its_limit() {
    for (asked, records) in [
        (question("_dns._tcp.test", SRV), services(199)),
        (question("large.example.com", A), addresses("large.example.com", 250)),
    ] {
        for limit in (1024..=4096).step_by(12) {
            let (message, header) = told(&asked, [&records, &[], &glue(32)], limit, true);
            assert!(message.len() <= limit, "{} octets for {limit}", message.len());
            assert!(limit - message.len() < 64, "{} octets for {limit}: a record more fits", message.len());
            assert!(header.flags.has(Flags::TC));
        }
    }
}

#[test]
fn an_answer_as_long_as_a_stream_can_tell_is_told_whole() {
    let asked = question("a.test", 65280);
    let room = 65535 - 12 - asked.len() - 12;
    let longest = record(QNAME, 65280, 10, &vec![0xc0; room]);
    let (told, header) = told(&asked, [std::slice::from_ref(&longest), &[], &[]], 65535, false);
    assert_eq!(told, message(0x8180, &asked, [&[longest], &[], &[]]));
    assert_eq!((told.len(), header.flags.has(Flags::TC)), (65535, false));
    assert!(frame::push(&told, &mut Vec::new()));
}
