//! Parsing of queries: accepted questions and OPT records, and every rejection.

use wire::Query;
use wire::edns::Edns;
use wire::header::{Class, RecordType};
use wire::name::NameBuffer;
use wire::query::Rejection;

use crate::message_builder::{header, message, name, opt, question, record};

fn rejected(packet: &[u8]) -> Rejection {
    Query::parse(packet, &mut NameBuffer::new()).unwrap_err()
}

#[test]
fn the_question_keeps_its_case_and_qname_is_lower_case() {
    let wire_question = question("WwW.eXample.Test", 28);
    let packet = message(0x0130, &wire_question, [&[], &[], &[opt(4096, 0x8000, &[])]]);
    let mut buffer = NameBuffer::new();
    let query = Query::parse(&packet, &mut buffer).unwrap();
    assert_eq!(query.header.id, 0x1234);
    assert_eq!(query.header.flags.0, 0x0130);
    assert_eq!(query.header.question, wire_question);
    assert_eq!(query.name.as_wire(), name("www.example.test"));
    assert_eq!((query.qtype, query.qclass), (RecordType::AAAA, Class::IN));
    assert_eq!(
        query.header.edns,
        Some(Edns { udp_size: 4096, version: 0, dnssec_ok: true, keepalive_len: None, wants_nsid: false })
    );
}

#[test]
fn short_packets_and_responses_are_dropped() {
    let query = message(0x0100, &question("a.test", 1), [&[], &[], &[]]);
    for len in 0..12 {
        assert_eq!(rejected(&query[..len]), Rejection::Drop);
    }
    for flags in [0x8000, 0x8180, 0xffff] {
        assert_eq!(rejected(&message(flags, &question("a.test", 1), [&[], &[], &[]])), Rejection::Drop);
    }
}

#[test]
fn opcodes_other_than_query_are_not_implemented() {
    for opcode in 1..=15 {
        let packet = message(opcode << 11 | 0x0100, &question("a.test", 6), [&[], &[], &[]]);
        assert_eq!(rejected(&packet), Rejection::NotImplemented, "opcode {opcode}");
    }
    assert_eq!(
        rejected(&header(1, 4 << 11, [0; 4])),
        Rejection::NotImplemented,
        "the opcode precedes the counts"
    );
}

#[test]
fn counts_are_checked_before_records() {
    let records = record(&[0], 1, 1, &[192, 0, 2, 1]).repeat(6);
    let mut accepted = Vec::new();
    for counts in [0, 1, 2, 65535].into_iter().flat_map(|qd| (0..5).map(move |which| (qd, which))) {
        let (qd, which) = counts;
        let counts = [[qd, 0, 0, 0], [qd, 1, 1, 2], [qd, 2, 0, 0], [qd, 0, 2, 0], [qd, 0, 0, 3]][which];
        let packet = [header(1, 0, counts), question("a.test", 1), records.clone()].concat();
        let mut buffer = NameBuffer::new();
        match Query::parse(&packet, &mut buffer) {
            Ok(_) => accepted.push(counts),
            Err(rejection) => assert_eq!(rejection, Rejection::FormatError, "{counts:?}"),
        }
    }
    assert_eq!(accepted, [[1, 0, 0, 0], [1, 1, 1, 2]]);
}

#[test]
fn counts_beyond_the_packet_are_a_format_error() {
    for counts in [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 0, 2]] {
        let packet = [header(1, 0, counts), question("a.test", 1)].concat();
        assert_eq!(rejected(&packet), Rejection::FormatError, "{counts:?}");
    }
    assert_eq!(rejected(&header(1, 0x0100, [1, 0, 0, 0])), Rejection::FormatError, "no question at all");
}

#[test]
fn a_truncated_question_is_a_format_error() {
    let packet = message(0, &question("www.example.test", 1), [&[], &[], &[]]);
    for len in 12..packet.len() {
        assert_eq!(rejected(&packet[..len]), Rejection::FormatError, "{len} octets");
    }
    assert!(Query::parse(&packet, &mut NameBuffer::new()).is_ok());
}

#[test]
fn names_of_maximum_length_are_accepted() {
    let longest = [[63; 64].repeat(3), vec![61; 62], vec![0]].concat();
    assert_eq!(longest.len(), 255);
    let deepest = [[1, b'a'].repeat(127), vec![0]].concat();
    assert_eq!(deepest.len(), 255);
    for name in [vec![0], longest, deepest] {
        let packet = [header(1, 0, [1, 0, 0, 0]), name.clone(), vec![0, 1, 0, 1]].concat();
        assert_eq!(
            Query::parse(&packet, &mut NameBuffer::new()).unwrap().name.as_wire(),
            name.to_ascii_lowercase()
        );
    }
}

#[test]
fn overlong_names_and_other_label_types_are_a_format_error() {
    let too_long = [[63; 64].repeat(3), vec![62; 63], vec![0]].concat();
    assert_eq!(too_long.len(), 256);
    let too_deep = [[1, b'a'].repeat(128), vec![0]].concat();
    let to_itself = vec![0xc0, 12];
    let into_the_header = vec![1, b'a', 0xc0, 4];
    let forward = vec![0xc0, 20];
    let label_of_64 = [vec![64], vec![b'a'; 64], vec![0]].concat();
    let label_type_80 = [vec![0x80], vec![b'a'; 0x80], vec![0]].concat();
    for name in [too_long, too_deep, to_itself, into_the_header, forward, label_of_64, label_type_80] {
        let packet = [header(1, 0, [1, 0, 0, 0]), name.clone(), vec![0, 1, 0, 1, 0, 0, 0]].concat();
        assert_eq!(rejected(&packet), Rejection::FormatError, "{name:?}");
    }
}

#[test]
fn labels_may_contain_any_octet() {
    let octets: Vec<u8> = (0..=255).collect();
    for label in octets.chunks(32) {
        let name = [vec![32], label.to_vec(), vec![0]].concat();
        let packet = [header(1, 0, [1, 0, 0, 0]), name.clone(), vec![0, 1, 0, 1]].concat();
        assert_eq!(Query::parse(&packet, &mut NameBuffer::new()).unwrap().header.question[..34], name);
    }
}

#[test]
fn any_qtype_and_qclass_is_accepted_except_opt() {
    for qtype in [0, 1, 249, 250, 252, 255, 1000, 65535] {
        let packet = message(0, &question("a.test", qtype), [&[], &[], &[]]);
        assert_eq!(Query::parse(&packet, &mut NameBuffer::new()).unwrap().qtype, RecordType(qtype));
    }
    for class in [0, 3, 254, 255, 65535] {
        let mut packet = message(0, &question("a.test", 1), [&[], &[], &[]]);
        let at = packet.len() - 2;
        packet[at..].copy_from_slice(&u16::to_be_bytes(class));
        assert_eq!(Query::parse(&packet, &mut NameBuffer::new()).unwrap().qclass, Class(class));
    }
    assert_eq!(rejected(&message(0, &question("a.test", 41), [&[], &[], &[]])), Rejection::FormatError);
}

#[test]
fn meaningless_flags_and_trailing_octets_are_ignored() {
    let packet = message(0x07ff, &question("a.test", 1), [&[], &[], &[opt(1232, 0, &[])]]);
    assert_eq!(Query::parse(&packet, &mut NameBuffer::new()).unwrap().header.flags.0, 0x07ff);
    let padded = [packet, vec![0xff; 100]].concat();
    assert_eq!(Query::parse(&padded, &mut NameBuffer::new()).unwrap().header.edns.unwrap().udp_size, 1232);
}

#[test]
fn opt_is_parsed_with_any_size_flags_and_options() {
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let unknown = [0xfd, 0xe9, 0, 3, 1, 2, 3, 0, 100, 0, 0];
    for (size, flags, options) in [(0, 0, &[][..]), (65535, 0x7fff, &cookie), (512, 0xffff, &unknown)] {
        let packet = message(0, &question("a.test", 1), [&[], &[], &[opt(size, flags, options)]]);
        let edns = Edns {
            udp_size: size,
            version: 0,
            dnssec_ok: flags & 0x8000 != 0,
            keepalive_len: None,
            wants_nsid: false,
        };
        assert_eq!(Query::parse(&packet, &mut NameBuffer::new()).unwrap().header.edns, Some(edns));
    }
}

#[test]
fn the_length_of_a_keepalive_option_is_reported() {
    for (options, reported) in [
        (&[0, 11, 0, 0][..], Some(0)),
        (&[0, 11, 0, 2, 0, 100], Some(2)),
        (&[0, 11, 0, 1, 7, 0, 11, 0, 0], Some(1)),
        (&[0, 10, 0, 0, 0, 11, 0, 0], Some(0)),
        (&[0, 12, 0, 4, 0, 11, 0, 0], None),
    ] {
        let packet = message(0, &question("a.test", 1), [&[], &[], &[opt(1232, 0, options)]]);
        let edns = Query::parse(&packet, &mut NameBuffer::new()).unwrap().header.edns.unwrap();
        assert_eq!(edns.keepalive_len, reported, "{options:?}");
    }
}

#[test]
fn misplaced_or_malformed_opt_is_a_format_error() {
    let wire_question = question("a.test", 1);
    let good = opt(1232, 0, &[]);
    let owned = record(&name("a.test"), 41, 0, &[]);
    let pointed = record(&[0xc0, 12], 41, 0, &[]);
    let cut = good[..10].to_vec();
    let long_rdata = [&good[..9], &[0, 1][..]].concat();
    let long_option = opt(1232, 0, &[0, 3, 0, 5, 1, 2, 3, 4]);
    let half_option = opt(1232, 0, &[0, 3, 0]);
    for additional in [vec![good.clone(), good.clone()], vec![good.clone(), opt(512, 0, &[])]] {
        assert_eq!(rejected(&message(0, &wire_question, [&[], &[], &additional])), Rejection::FormatError);
    }
    for broken in [owned, pointed, cut, long_rdata, long_option, half_option] {
        let packet = message(0, &wire_question, [&[], &[], std::slice::from_ref(&broken)]);
        assert_eq!(rejected(&packet), Rejection::FormatError, "{broken:?}");
    }
    let one = std::slice::from_ref(&good);
    assert_eq!(rejected(&message(0, &wire_question, [one, &[], &[]])), Rejection::FormatError);
    assert_eq!(rejected(&message(0, &wire_question, [&[], one, &[]])), Rejection::FormatError);
}

#[test]
fn edns_versions_above_0_are_a_bad_version() {
    for version in [1, 2, 255] {
        let opt = opt(1232, version << 16, &[]);
        let packet = message(0, &question("a.test", 1), [&[], &[], &[opt]]);
        assert_eq!(rejected(&packet), Rejection::BadVersion, "version {version}");
    }
}

#[test]
fn other_records_are_validated_and_ignored() {
    let wire_question = question("a.test", 1);
    let address = record(&[0xc0, 12], 1, 60, &[192, 0, 2, 1]);
    let packet = message(0, &wire_question, [&[], &[], &[address.clone(), opt(1400, 0, &[])]]);
    assert_eq!(Query::parse(&packet, &mut NameBuffer::new()).unwrap().header.edns.unwrap().udp_size, 1400);
    let packet =
        message(0, &wire_question, [std::slice::from_ref(&address), &[], std::slice::from_ref(&address)]);
    assert_eq!(Query::parse(&packet, &mut NameBuffer::new()).unwrap().header.edns, None);
    let short_address = record(&[0xc0, 12], 1, 60, &[192, 0, 2]);
    let broken_text = record(&[0xc0, 12], 16, 60, &[9, b'a']);
    for broken in [short_address, broken_text] {
        let packet = message(0, &wire_question, [&[], &[], &[broken]]);
        assert_eq!(rejected(&packet), Rejection::FormatError);
    }
}
