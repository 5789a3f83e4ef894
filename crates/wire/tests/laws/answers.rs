//! What a client is told is what the upstream said, older, addressed and cut.

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::{DEFAULT_UDP_SIZE, Edns, ExtendedError, OPT_LEN, OptRecord};
use wire::header::{Flags, Header, Rcode};
use wire::name::{Name, PresentationFormat};
use wire::query::{Rejection, RequestHeader};
use wire::{Answer, Query, Response, reply};

use crate::opinion::Opinion;
use crate::{cases, from_client, from_upstream, generate};

/// Who asks: ID, flags, which letters of the name are swapped, OPT.
type Client = (u16, u16, u64, Option<(u16, bool)>);

fn client() -> impl Strategy<Value = Client> {
    (any::<u16>(), any::<u16>(), any::<u64>(), proptest::option::of((any::<u16>(), any::<bool>())))
}

fn ttl() -> impl Strategy<Value = ResponseTtl> {
    prop_oneof![Just(ResponseTtl::AsReceived), any::<u32>().prop_map(ResponseTtl::Uniform)]
}

/// The question of `response` with some letters in the other case.
fn question(response: &Response<'_>, swapped: u64) -> Vec<u8> {
    let len = Opinion::of_domain(response.packet).unwrap().qname.len();
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
    let edns = opt.map(|(udp_size, dnssec_ok)| Edns { udp_size, version: 0, dnssec_ok, keepalive_len: None });
    RequestHeader { id, flags: Flags(flags), question, edns }
}

/// The records of three sections without OPT and what stands behind it, as hickory-proto reads them; nothing where it
/// cannot, or keeps a record of the additional section apart.
fn records(packet: &[u8]) -> Option<Vec<Record>> {
    let message = Message::from_vec(packet).ok()?;
    let seen = Opinion::of_domain(packet)?;
    let kept = seen.records.iter().position(|record| record.rtype == 41).unwrap_or(seen.records.len());
    let mut records = [message.answers, message.authorities, message.additionals].concat();
    (records.len() == seen.real_records().count()).then(|| {
        records.truncate(kept);
        records
    })
}

fn expected_flags(response: &Response<'_>, client: &Client, cut: bool) -> u16 {
    let kept = response.header.flags.0;
    let (_, asked, _, opt) = client;
    let authentic = asked & 0x20 != 0 || opt.is_some_and(|(_, dnssec_ok)| dnssec_ok);
    let rcode = if response.rcode.0 > 15 { 2 } else { kept & 0x0f };
    0x8080
        | kept & 0x0600
        | if cut { 0x0200 } else { 0 }
        | asked & 0x0110
        | if authentic { kept & 0x20 } else { 0 }
        | rcode
}

fn told_law(packet: &[u8], client: &Client, ttl: ResponseTtl) -> TestCaseResult {
    let Ok(response) = Response::parse(packet) else {
        return Ok(());
    };
    let question = question(&response, client.2);
    let mut told = vec![0xee; 3];
    Answer::from_response(&response).write(
        &header(client, &question),
        ResponseOptions::new(ttl, 65535),
        &mut told,
    );
    let told = told.split_off(3);
    let header = Header::read(&told).unwrap();
    let seen = Opinion::of_domain(&told);
    prop_assert!(seen.is_some(), "domain cannot walk what we tell");
    let seen = seen.unwrap();
    prop_assert_eq!(header.id, client.0);
    prop_assert_eq!(header.flags.0, expected_flags(&response, client, false));
    prop_assert_eq!(&told[12..12 + question.len()], &question[..]);
    let opt = client.3.map(|(_, dnssec_ok)| (DEFAULT_UDP_SIZE, 0, dnssec_ok, header.flags.0 & 0x0f));
    prop_assert_eq!(seen.opt, opt);
    prop_assert_eq!(
        seen.records.last().map(|last| last.rtype == 41),
        seen.records.last().map(|_| opt.is_some())
    );
    if let Some(mut before) = records(packet) {
        if let ResponseTtl::Uniform(ttl) = ttl {
            before.iter_mut().for_each(|record| record.ttl = ttl);
        }
        prop_assert_eq!(records(&told), Some(before));
    }
    Ok(())
}

fn cut_law(packet: &[u8], client: &Client, limits: &[usize]) -> TestCaseResult {
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
    let all = Opinion::of_domain(&whole).unwrap().records;
    let whole_records = records(&whole);
    for limit in limits {
        let mut told = Vec::new();
        answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(7), *limit), &mut told);
        prop_assert!(told.len() <= *limit, "{} octets for a limit of {limit}", told.len());
        let seen = Opinion::of_domain(&told);
        prop_assert!(seen.is_some(), "domain cannot walk what we cut");
        let seen = seen.unwrap();
        let cut = seen.records.len() < all.len();
        prop_assert_eq!(cut, whole.len() > *limit);
        prop_assert_eq!(Header::read(&told).unwrap().flags.0, expected_flags(&response, client, cut));
        prop_assert_eq!(seen.opt.is_some(), header.edns.is_some());
        let kept = seen.real_records().count();
        for (is, was) in seen.real_records().zip(&all) {
            prop_assert_eq!((is.section, &is.owner, is.rtype), (was.section, &was.owner, was.rtype));
        }
        let body = told.len() - opt_len;
        prop_assert_eq!(&told[12..body], &whole[12..body], "a cut answer is the beginning of the whole one");
        if let (Some(whole), true) = (&whole_records, cut) {
            let first: Vec<_> = whole.iter().take(kept).cloned().collect();
            prop_assert_eq!(records(&told), Some(first));
        }
        if cut {
            // The next record would not have fitted: a longer limit that keeps as many does not exist below it.
            let mut next = Vec::new();
            answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(7), *limit + 1), &mut next);
            let more = Opinion::of_domain(&next).unwrap().records.len() - seen.records.len();
            prop_assert!(more == 0 || next.len() == *limit + 1, "a record that fits was left out");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn with_room_only_ttls_id_flags_question_and_opt_change(
        packet in from_upstream(),
        client in client(),
        ttl in ttl(),
    ) {
        told_law(&packet, &client, ttl)?;
    }

    #[test]
    fn what_does_not_fit_is_cut_in_whole_records_and_said_so(
        packet in prop_oneof![3 => generate::response(), 1 => from_upstream()],
        client in client(),
        limits in vec(512..4096_usize, 1..8),
    ) {
        cut_law(&packet, &client, &limits)?;
    }

    #[test]
    fn replies_of_our_own_are_read_by_others(packet in from_client(), rcode in 0..24_u16) {
        let mut out = Vec::new();
        match Query::parse(&packet) {
            Ok(query) => {
                let opt = OptRecord { error: Some(ExtendedError::CACHED_ERROR), ..OptRecord::DEFAULT };
                reply::error(&query.header, Rcode(rcode), opt, &mut out);
                let seen = Opinion::of_domain(&out).unwrap();
                prop_assert_eq!(&seen.qname[..], query.name.as_wire());
                prop_assert_eq!(seen.opt.is_some(), query.header.edns.is_some());
                if let Some((.., told)) = seen.opt {
                    prop_assert_eq!(told, rcode);
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
    fn no_octets_break_anything(octets in vec(any::<u8>(), 0..600), text in any::<String>()) {
        if let Ok(query) = Query::parse(&octets) {
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
