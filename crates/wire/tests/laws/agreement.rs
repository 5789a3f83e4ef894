//! Agreement with hickory-proto and with `domain`. Where they differ from us, the reasons are listed.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use wire::query::Rejection;
use wire::response::ResponseType;
use wire::{Query, Response};

use crate::opinion::Opinion;
use crate::{cases, from_client, from_upstream, generate};

/// Types whose RDATA we read, and hickory-proto and `domain` do not both.
const READ_BY_US: [u16; 18] = [3, 4, 7, 8, 9, 14, 17, 18, 21, 24, 26, 30, 36, 39, 46, 47, 249, 250];

fn name_of(name: &Name) -> Vec<u8> {
    let labels = name.iter().flat_map(|label| [vec![label.len() as u8], label.to_ascii_lowercase()].concat());
    labels.chain([0]).collect()
}

/// Where the TTLs are in a message that `domain` walked.
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

/// True when any two octets that could be a pointer lead through the header, through a TTL, through more than 126
/// pointers, or into the octets they came from: names others accept, which we do not relay. (So for messages with many more
/// pointers to follow than octets, which nothing here makes.)
fn has_odd_pointers(packet: &[u8], records: usize) -> bool {
    let ttls = ttls(packet, records);
    let stays =
        |start: usize, end: usize| start >= 12 && ttls.iter().all(|ttl| end <= *ttl || *ttl + 4 <= start);
    let is_odd = |first: usize| {
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
    (12..packet.len()).filter(|at| packet[*at] >= 0xc0).any(is_odd)
}

/// Reasons for which we turn down what both others can decode, beyond what makes it no query at all.
fn may_reject_query(packet: &[u8], seen: &Opinion) -> bool {
    let counts: Vec<_> = packet[4..12].chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
    counts[1] > 1
        || counts[2] > 1
        || counts[3] > 2
        || seen.qtype == 41
        || seen.qname_has_pointers
        || may_reject_records(packet, seen)
}

fn may_reject_records(packet: &[u8], seen: &Opinion) -> bool {
    seen.opts().any(|opt| opt.owner != [0])
        || seen.real_records().any(|record| READ_BY_US.contains(&record.rtype))
        || has_odd_pointers(packet, seen.records.len())
}

fn query_law(packet: &[u8]) -> TestCaseResult {
    let ours = Query::parse(packet);
    let is_query = packet.len() >= 12 && packet[2] & 0x80 == 0;
    prop_assert_eq!(matches!(ours, Err(Rejection::Drop)), !is_query);
    let is_other_opcode = is_query && packet[2] & 0x78 != 0;
    prop_assert_eq!(matches!(ours, Err(Rejection::NotImplemented)), is_other_opcode);
    let seen = Opinion::of_domain(packet);
    let decoded = Message::from_vec(packet);
    let query = match (ours, &seen, &decoded) {
        (Ok(query), ..) => query,
        (Err(Rejection::BadVersion), Some(seen), _) => {
            prop_assert!(seen.opt.is_some_and(|(_, version, ..)| version != 0));
            return Ok(());
        }
        (Err(Rejection::FormatError), Some(seen), Ok(_)) if seen.is_readable() => {
            prop_assert!(may_reject_query(packet, seen), "only we reject this");
            return Ok(());
        }
        _ => return Ok(()),
    };
    let Some(seen) = seen else {
        return Err(TestCaseError::fail("domain cannot walk what we accept"));
    };
    prop_assert_eq!(query.name.as_wire(), &seen.qname[..]);
    prop_assert_eq!((query.qtype.0, query.qclass.0), (seen.qtype, seen.qclass));
    prop_assert_eq!(&query.header.question.to_ascii_lowercase()[..seen.qname.len()], &seen.qname[..]);
    let edns = query.header.edns.map(|edns| (edns.udp_size, edns.version, edns.dnssec_ok));
    prop_assert_eq!(edns, seen.opt.map(|(size, version, dnssec_ok, _)| (size, version, dnssec_ok)));
    match decoded {
        Ok(message) => {
            prop_assert_eq!(message.metadata.id, query.header.id);
            prop_assert_eq!(message.queries.len(), 1);
            prop_assert_eq!(name_of(message.queries[0].name()), seen.qname);
            prop_assert_eq!(u16::from(message.queries[0].query_type), query.qtype.0);
            prop_assert_eq!(message.edns.is_some(), query.header.edns.is_some());
        }
        // The one reason for hickory-proto to fail where we accept: an option that it knows, with octets that it
        // does not (RFC 6891 section 6.1.2 has us ignore what we do not understand, and we understand none).
        Err(_) => prop_assert!(seen.records.len() == 1 && seen.opt.is_some(), "hickory-proto rejects this"),
    }
    Ok(())
}

fn response_law(packet: &[u8]) -> TestCaseResult {
    let seen = Opinion::of_domain(packet);
    let decoded = Message::from_vec(packet);
    let Ok(response) = Response::parse(packet) else {
        if let (Some(seen), Ok(_)) = (&seen, &decoded)
            && seen.is_readable()
        {
            let is_response = packet[2] & 0xf8 == 0x80;
            let excused = !is_response || seen.qname_has_pointers || may_reject_records(packet, seen);
            prop_assert!(excused, "only we reject this");
        }
        return Ok(());
    };
    let Some(seen) = seen else {
        return Err(TestCaseError::fail("domain cannot walk what we accept"));
    };
    prop_assert!(seen.names_are_readable(), "domain cannot read RDATA that we accept");
    prop_assert!(seen.opts().count() <= 1 && seen.opts().all(|opt| opt.section == 2 && opt.owner == [0]));
    prop_assert_eq!(response.min_ttl, seen.real_records().map(|record| record.ttl).min());
    let rcode = seen.opt.map_or_else(|| u16::from(packet[3] & 0x0f), |(.., rcode)| rcode);
    prop_assert_eq!(response.rcode.0, rcode);
    let question = [&seen.qname[..], &seen.qtype.to_be_bytes()[..], &seen.qclass.to_be_bytes()[..]].concat();
    prop_assert!(response.matches_question(&question));
    if let Ok(Some(pruned)) = response.scrub() {
        let pruned =
            Response::parse(&pruned).map_err(|_| TestCaseError::fail("we cannot read what we wrote"))?;
        prop_assert!(pruned.header.ancount < response.header.ancount);
        prop_assert_eq!(pruned.scrub(), Ok(None));
    }
    if let Ok(message) = decoded {
        let reaches = rcode == 0 && chain_reaches(&message);
        // Where a CNAME is not alone, as it must be (RFC 1034 section 3.6.2), we follow it and look no further.
        if response.response_type == ResponseType::Positive || !has_forks(&message) {
            prop_assert_eq!(response.response_type == ResponseType::Positive, reaches);
        }
    }
    Ok(())
}

/// Whether any path of CNAMEs leads from the question to a record of its type, by hickory-proto's reading.
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

/// Whether an owner of a CNAME owns something else too, or there are more CNAMEs than we follow.
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
    fn queries_are_read_as_others_read_them(packet in from_client()) {
        query_law(&packet)?;
    }

    #[test]
    fn responses_are_read_as_others_read_them(packet in from_upstream()) {
        response_law(&packet)?;
    }

    #[test]
    fn whole_messages_are_accepted(query in generate::query(), response in generate::response()) {
        let seen = Opinion::of_domain(&query).unwrap();
        let bad_version = seen.opt.is_some_and(|(_, version, ..)| version != 0);
        prop_assert!(Query::parse(&query).is_ok() || bad_version || may_reject_query(&query, &seen));
        prop_assert!(Response::parse(&response).is_ok());
    }
}
