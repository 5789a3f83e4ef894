//! Parsing agrees with hickory-proto and `domain`, except for listed reasons.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use wire::name::NameBuffer;
use wire::query::Rejection;
use wire::response::ResponseType;
use wire::{Query, Response};

use crate::reference::{Reference, ReferenceRecord};
use crate::{cases, from_client, from_upstream, generators};

/// Types whose RDATA `wire` validates, but not both hickory-proto and `domain`.
const VALIDATED_BY_WIRE: [u16; 18] = [3, 4, 7, 8, 9, 14, 17, 18, 21, 24, 26, 30, 36, 39, 46, 47, 249, 250];

fn name_of(name: &Name) -> Vec<u8> {
    let labels = name.iter().flat_map(|label| [vec![label.len() as u8], label.to_ascii_lowercase()].concat());
    labels.chain([0]).collect()
}

/// The positions of the TTLs in a message that `domain` parsed.
fn ttls(packet: &[u8], records: usize) -> Vec<usize> {
    let name_end = |mut at: usize| loop {
        match packet[at] {
            0 => return at + 1,
            0xc0.. => return at + 2,
            len => at += 1 + usize::from(len),
        }
    };
    let mut at = name_end(12) + 4;
    let mut ttls = Vec::new();
    for _ in 0..records {
        let fixed = name_end(at);
        ttls.push(fixed + 4);
        at = fixed + 10 + usize::from(u16::from_be_bytes([packet[fixed + 8], packet[fixed + 9]]));
    }
    ttls
}

/// True when two octets that could be a pointer lead through the header, a TTL, more than 126
/// pointers, or themselves: `wire` rejects these names, others accept them. (The limit on
/// decompression steps is never reached here.)
fn has_odd_pointers(packet: &[u8], records: usize) -> bool {
    let ttls = ttls(packet, records);
    let stays =
        |start: usize, end: usize| start >= 12 && ttls.iter().all(|ttl| end <= *ttl || *ttl + 4 <= start);
    let is_rejected = |first: usize| {
        let (mut at, mut before) = (first, first);
        for _ in 0..126 {
            let target = match packet.get(at..at + 2) {
                Some(&[high, low]) if high >= 0xc0 => usize::from(u16::from_be_bytes([high, low]) & 0x3fff),
                _ => return false,
            };
            if target >= before {
                return true;
            }
            (at, before) = (target, target);
            while let Some(len @ 1..=63) = packet.get(at) {
                at += 1 + usize::from(*len);
            }
            if !stays(target, at + 1) || at >= first {
                return true;
            }
        }
        true
    };
    (12..packet.len()).filter(|at| packet[*at] >= 0xc0).any(is_rejected)
}

/// Reasons for rejecting a query that both others can decode.
fn may_reject_query(packet: &[u8], reference: &Reference) -> bool {
    let counts: Vec<_> = packet[4..12].chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
    counts[1] > 1
        || counts[2] > 1
        || counts[3] > 2
        || reference.qtype == 41
        || reference.qname_has_pointers
        || may_reject_records(packet, reference)
}

fn may_reject_records(packet: &[u8], reference: &Reference) -> bool {
    reference.opts().any(|opt| opt.owner != [0])
        || reference.real_records().any(|record| VALIDATED_BY_WIRE.contains(&record.rtype))
        || has_odd_pointers(packet, reference.records.len())
}

fn check_query(packet: &[u8]) -> TestCaseResult {
    let mut buffer = NameBuffer::new();
    let ours = Query::parse(packet, &mut buffer);
    let is_query = packet.len() >= 12 && packet[2] & 0x80 == 0;
    prop_assert_eq!(matches!(ours, Err(Rejection::Drop)), !is_query);
    let is_other_opcode = is_query && packet[2] & 0x78 != 0;
    prop_assert_eq!(matches!(ours, Err(Rejection::NotImplemented)), is_other_opcode);
    let reference = Reference::parse(packet);
    let decoded = Message::from_vec(packet);
    let query = match (ours, &reference, &decoded) {
        (Ok(query), ..) => query,
        (Err(Rejection::BadVersion), Some(reference), _) => {
            prop_assert!(reference.opt.is_some_and(|(_, version, ..)| version != 0));
            return Ok(());
        }
        (Err(Rejection::FormatError), Some(reference), Ok(_)) if reference.is_readable() => {
            prop_assert!(may_reject_query(packet, reference), "only wire rejects this");
            return Ok(());
        }
        _ => return Ok(()),
    };
    let Some(reference) = reference else {
        return Err(TestCaseError::fail("domain cannot parse an accepted message"));
    };
    prop_assert_eq!(query.name.as_wire(), &reference.qname[..]);
    prop_assert_eq!((query.qtype.0, query.qclass.0), (reference.qtype, reference.qclass));
    prop_assert_eq!(
        &query.header.question.to_ascii_lowercase()[..reference.qname.len()],
        &reference.qname[..]
    );
    let edns = query.header.edns.map(|edns| (edns.udp_size, edns.version, edns.dnssec_ok));
    prop_assert_eq!(edns, reference.opt.map(|(size, version, dnssec_ok, _)| (size, version, dnssec_ok)));
    match decoded {
        Ok(message) => {
            prop_assert_eq!(message.metadata.id, query.header.id);
            prop_assert_eq!(message.queries.len(), 1);
            prop_assert_eq!(name_of(message.queries[0].name()), reference.qname);
            prop_assert_eq!(u16::from(message.queries[0].query_type), query.qtype.0);
            prop_assert_eq!(message.edns.is_some(), query.header.edns.is_some());
        }
        // hickory-proto fails on known options with invalid data; `wire` ignores options, as RFC
        // 6891 section 6.1.2 requires for unknown ones.
        Err(_) => prop_assert!(
            reference.records.len() == 1 && reference.opt.is_some(),
            "hickory-proto rejects this"
        ),
    }
    Ok(())
}

fn check_response(packet: &[u8]) -> TestCaseResult {
    let reference = Reference::parse(packet);
    let decoded = Message::from_vec(packet);
    let Ok(response) = Response::parse(packet) else {
        if let (Some(reference), Ok(_)) = (&reference, &decoded)
            && reference.is_readable()
        {
            let is_response = packet[2] & 0xf8 == 0x80;
            let excused =
                !is_response || reference.qname_has_pointers || may_reject_records(packet, reference);
            prop_assert!(excused, "only wire rejects this");
        }
        return Ok(());
    };
    let Some(received) = reference else {
        return Err(TestCaseError::fail("domain cannot parse an accepted message"));
    };
    let Some(reference) = Reference::parse(&response.packet) else {
        return Err(TestCaseError::fail("domain cannot parse a scrubbed message"));
    };
    prop_assert!(reference.names_are_readable(), "domain cannot parse accepted RDATA");
    prop_assert!(
        reference.opts().count() <= 1 && reference.opts().all(|opt| opt.section == 2 && opt.owner == [0])
    );
    let mut rest = received.real_records();
    for kept in reference.real_records() {
        let same =
            |other: &ReferenceRecord| ReferenceRecord { readable: kept.readable, ..other.clone() } == *kept;
        prop_assert!(rest.any(same), "a record that was not received, or in another order");
    }
    let again = Response::parse(&response.packet).map(|again| again.packet.into_owned());
    prop_assert_eq!(again.as_deref(), Ok(&*response.packet), "scrubbing twice changes more");
    prop_assert_eq!(response.min_ttl, reference.real_records().map(|record| record.ttl).min());
    let rcode = reference.opt.map_or_else(|| u16::from(packet[3] & 0x0f), |(.., rcode)| rcode);
    prop_assert_eq!(response.rcode.0, rcode);
    let question =
        [&reference.qname[..], &reference.qtype.to_be_bytes()[..], &reference.qclass.to_be_bytes()[..]]
            .concat();
    prop_assert!(response.matches_question(&question));
    if let Ok(message) = Message::from_vec(&response.packet) {
        let reaches = rcode == 0 && chain_reaches(&message);
        // `wire` follows a CNAME without regard to other records of its owner (RFC 1034 section
        // 3.6.2 allows none).
        if response.response_type == ResponseType::Positive || !has_forks(&message) {
            prop_assert_eq!(response.response_type == ResponseType::Positive, reaches);
        }
    }
    Ok(())
}

/// Whether any path of CNAMEs leads from QNAME to a record of QTYPE, as hickory-proto decodes them.
fn chain_reaches(message: &Message) -> bool {
    let query = &message.queries[0];
    let of_class = |class| class == query.query_class || u16::from(query.query_class) == 255;
    let answers: Vec<_> = message.answers.iter().filter(|record| of_class(record.dns_class)).collect();
    let mut names = vec![query.name().clone()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        next += 1;
        for record in answers.iter().filter(|record| record.name == name) {
            if query.query_type == record.record_type() || query.query_type == RecordType::ANY {
                return true;
            }
            if let RData::CNAME(target) = &record.data
                && !names.contains(&target.0)
            {
                names.push(target.0.clone());
            }
        }
    }
    false
}

/// Whether an owner of a CNAME has other records, or there are more CNAMEs than `wire` follows.
fn has_forks(message: &Message) -> bool {
    let (cnames, others): (Vec<_>, Vec<_>) =
        message.answers.iter().partition(|record| record.record_type() == RecordType::CNAME);
    let owned_twice = |(at, cname): (usize, &&Record)| {
        cnames[..at].iter().chain(&others).any(|record| record.name == cname.name)
    };
    cnames.len() > 16 || cnames.iter().enumerate().any(owned_twice)
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn queries_agree_with_hickory_and_domain(packet in from_client()) {
        check_query(&packet)?;
    }

    #[test]
    fn responses_agree_with_hickory_and_domain(packet in from_upstream()) {
        check_response(&packet)?;
    }

    #[test]
    fn removing_misplaced_opt_changes_nothing_else((valid, misplaced) in generators::misplaced_opt()) {
        let response = Response::parse(&misplaced).unwrap();
        let same = Response::parse(&valid).unwrap();
        let (valid, clean) =
            (Reference::parse(&same.packet).unwrap(), Reference::parse(&response.packet).unwrap());
        prop_assert_eq!(clean.records, valid.records);
        prop_assert_eq!(clean.opt, valid.opt);
    }

    #[test]
    fn valid_messages_are_accepted(query in generators::query(), response in generators::response()) {
        let reference = Reference::parse(&query).unwrap();
        let bad_version = reference.opt.is_some_and(|(_, version, ..)| version != 0);
        prop_assert!(Query::parse(&query, &mut NameBuffer::new()).is_ok() || bad_version || may_reject_query(&query, &reference));
        prop_assert!(Response::parse(&response).is_ok());
    }
}
