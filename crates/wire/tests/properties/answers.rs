//! Properties of answers: a client gets the upstream's records with its own ID, TTLs and size.

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::editable::EditableResponse;
use wire::edns::{DEFAULT_UDP_SIZE, Edns, ExtendedError, OPT_LEN, OptRecord};
use wire::header::{Flags, Header, Rcode};
use wire::name::{Name, NameBuffer, PresentationFormat};
use wire::query::{Rejection, RequestHeader};
use wire::{Answer, Query, Response, reply};

use crate::reference::Reference;
use crate::{cases, from_client, from_upstream, generators};

/// A client's query: ID, flags, the letters of QNAME whose case is swapped, OPT.
type Client = (u16, u16, u64, Option<(u16, bool)>);

fn client() -> impl Strategy<Value = Client> {
    (any::<u16>(), any::<u16>(), any::<u64>(), proptest::option::of((any::<u16>(), any::<bool>())))
}

fn ttl() -> impl Strategy<Value = ResponseTtl> {
    prop_oneof![Just(ResponseTtl::AsReceived), any::<u32>().prop_map(ResponseTtl::Uniform)]
}

/// The question of `response` with the case of some letters swapped.
fn question(response: &Response<'_>, swapped: u64) -> Vec<u8> {
    let len = Reference::parse(&response.packet).unwrap().qname.len();
    let mut question = response.packet[12..12 + len + 4].to_vec();
    for (at, octet) in question[..len].iter_mut().enumerate() {
        if swapped >> (at % 64) & 1 == 1 && octet.is_ascii_alphabetic() {
            *octet ^= 0x20;
        }
    }
    question
}

fn header<'q>(client: &Client, question: &'q [u8]) -> RequestHeader<'q> {
    let (id, flags, _, opt) = *client;
    let edns = opt.map(|(udp_size, dnssec_ok)| Edns {
        udp_size,
        version: 0,
        dnssec_ok,
        keepalive_len: None,
        wants_nsid: false,
    });
    RequestHeader { id, flags: Flags(flags), question, edns }
}

/// The records before OPT, as hickory-proto decodes them; nothing where it fails, or treats another
/// record of the additional section specially.
fn records(packet: &[u8]) -> Option<Vec<Record>> {
    let message = Message::from_vec(packet).ok()?;
    let reference = Reference::parse(packet)?;
    let before_opt =
        reference.records.iter().position(|record| record.rtype == 41).unwrap_or(reference.records.len());
    let mut records = [message.answers, message.authorities, message.additionals].concat();
    (records.len() == reference.real_records().count()).then(|| {
        records.truncate(before_opt);
        records
    })
}

fn expected_flags(response: &Response<'_>, client: &Client, truncated: bool) -> u16 {
    let received = response.header.flags.0;
    let (_, request_flags, _, opt) = client;
    let authentic = request_flags & 0x20 != 0 || opt.is_some_and(|(_, dnssec_ok)| dnssec_ok);
    let rcode = if response.rcode.0 > 15 { 2 } else { received & 0x0f };
    0x8080
        | received & 0x0600
        | if truncated { 0x0200 } else { 0 }
        | request_flags & 0x0110
        | if authentic { received & 0x20 } else { 0 }
        | rcode
}

fn check_relayed(packet: &[u8], client: &Client, ttl: ResponseTtl) -> TestCaseResult {
    let Ok(response) = Response::parse(packet) else {
        return Ok(());
    };
    let question = question(&response, client.2);
    let mut sent = vec![0xee; 3];
    Answer::from_response(&response).write(
        &header(client, &question),
        ResponseOptions::new(ttl, 65535),
        &mut sent,
    );
    let sent = sent.split_off(3);
    let header = Header::read(&sent).unwrap();
    let reference = Reference::parse(&sent);
    prop_assert!(reference.is_some(), "domain cannot parse the response");
    let reference = reference.unwrap();
    prop_assert_eq!(header.id, client.0);
    prop_assert_eq!(header.flags.0, expected_flags(&response, client, false));
    prop_assert_eq!(&sent[12..12 + question.len()], &question[..]);
    let opt = client.3.map(|(_, dnssec_ok)| (DEFAULT_UDP_SIZE, 0, dnssec_ok, header.flags.0 & 0x0f));
    prop_assert_eq!(reference.opt, opt);
    prop_assert_eq!(
        reference.records.last().map(|last| last.rtype == 41),
        reference.records.last().map(|_| opt.is_some())
    );
    if let Some(mut before) = records(&response.packet) {
        if let ResponseTtl::Uniform(ttl) = ttl {
            before.iter_mut().for_each(|record| record.ttl = ttl);
        }
        prop_assert_eq!(records(&sent), Some(before));
    }
    Ok(())
}

fn check_truncation(packet: &[u8], client: &Client, limits: &[usize]) -> TestCaseResult {
    let Ok(response) = Response::parse(packet) else {
        return Ok(());
    };
    let question = question(&response, client.2);
    let header = header(client, &question);
    let answer = Answer::from_response(&response);
    let opt_len = if header.edns.is_some() { OPT_LEN } else { 0 };
    let mut whole = Vec::new();
    answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(7), 65535 + OPT_LEN), &mut whole);
    prop_assert_eq!(whole.len(), answer.message_len() + opt_len);
    if let Some(expanded) = EditableResponse::new(&response).and_then(EditableResponse::into_response) {
        let is_whole = expanded.header.flags.has(Flags::TC) == response.header.flags.has(Flags::TC);
        let expanded = Answer::from_response(&expanded).uncompressed_len();
        prop_assert!(!is_whole || answer.uncompressed_len() == expanded);
    }
    let all = Reference::parse(&whole).unwrap().records;
    let whole_records = records(&whole);
    for limit in limits {
        let mut sent = Vec::new();
        answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(7), *limit), &mut sent);
        prop_assert!(sent.len() <= *limit, "{} octets for a limit of {limit}", sent.len());
        let reference = Reference::parse(&sent);
        prop_assert!(reference.is_some(), "domain cannot parse the truncated response");
        let reference = reference.unwrap();
        let truncated = reference.records.len() < all.len();
        prop_assert_eq!(truncated, whole.len() > *limit);
        prop_assert_eq!(Header::read(&sent).unwrap().flags.0, expected_flags(&response, client, truncated));
        prop_assert_eq!(reference.opt.is_some(), header.edns.is_some());
        let remaining = reference.real_records().count();
        for (is, was) in reference.real_records().zip(&all) {
            prop_assert_eq!((is.section, &is.owner, is.rtype), (was.section, &was.owner, was.rtype));
        }
        let body = sent.len() - opt_len;
        prop_assert_eq!(
            &sent[12..body],
            &whole[12..body],
            "a truncated answer is the beginning of the whole one"
        );
        if let (Some(whole), true) = (&whole_records, truncated) {
            let first: Vec<_> = whole.iter().take(remaining).cloned().collect();
            prop_assert_eq!(records(&sent), Some(first));
        }
        if truncated {
            // Truncation is minimal: one octet more holds either as many records or fits exactly.
            let mut next = Vec::new();
            answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(7), *limit + 1), &mut next);
            let more = Reference::parse(&next).unwrap().records.len() - reference.records.len();
            prop_assert!(more == 0 || next.len() == *limit + 1, "a record that fits was removed");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn without_truncation_only_ttls_id_flags_question_and_opt_change(
        packet in from_upstream(),
        client in client(),
        ttl in ttl(),
    ) {
        check_relayed(&packet, &client, ttl)?;
    }

    #[test]
    fn truncation_removes_whole_records_and_sets_tc(
        packet in prop_oneof![3 => generators::response(), 1 => from_upstream()],
        client in client(),
        limits in vec(512..4096_usize, 1..8),
    ) {
        check_truncation(&packet, &client, &limits)?;
    }

    #[test]
    fn error_responses_are_valid_for_hickory_and_domain(packet in from_client(), rcode in 0..24_u16) {
        let mut out = Vec::new();
        let mut buffer = NameBuffer::new();
        match Query::parse(&packet, &mut buffer) {
            Ok(query) => {
                let opt = OptRecord { error: Some(ExtendedError::CACHED_ERROR), ..OptRecord::DEFAULT };
                reply::error(&query.header, Rcode(rcode), opt, &mut out);
                let reference = Reference::parse(&out).unwrap();
                prop_assert_eq!(&reference.qname[..], query.name.as_wire());
                prop_assert_eq!(reference.opt.is_some(), query.header.edns.is_some());
                if let Some((.., sent)) = reference.opt {
                    prop_assert_eq!(sent, rcode);
                }
                let message = Message::from_vec(&out).unwrap();
                prop_assert_eq!(message.metadata.id, query.header.id);
                prop_assert!(message.answers.is_empty() && message.authorities.is_empty());
            }
            Err(Rejection::Drop) => {
                reply::rejection(&packet, Rejection::Drop, &mut out);
                prop_assert!(out.is_empty());
            }
            Err(rejection) => {
                reply::rejection(&packet, rejection, &mut out);
                let header = Header::read(&out).unwrap();
                prop_assert_eq!(header.id, Header::read(&packet).unwrap().id);
                prop_assert!(header.flags.has(Flags::QR));
                prop_assert_eq!(out.len(), if rejection == Rejection::BadVersion { 12 + OPT_LEN } else { 12 });
                prop_assert!(Message::from_vec(&out).is_ok());
            }
        }
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..600), text in any::<String>()) {
        let mut buffer = NameBuffer::new();
        if let Ok(query) = Query::parse(&octets, &mut buffer) {
            prop_assert!(query.header.question.len() <= octets.len());
        }
        if let Ok(response) = Response::parse(&octets) {
            prop_assert!(response.matches_question(&octets) || response.packet.len() <= octets.len());
        }
        let shown = PresentationFormat(&octets).to_string();
        prop_assert!(shown.bytes().all(|octet| octet.is_ascii_graphic()));
        if let Ok(name) = Name::parse(&text) {
            prop_assert_eq!(Name::parse(&name.to_string()), Ok(name.clone()));
            prop_assert!(name.covers(name.as_wire()) && Name::root().covers(name.as_wire()));
            prop_assert!(!name.covers(&octets) || octets.ends_with(name.as_wire()));
        }
    }
}
