//! Order of the addresses in responses.

use std::cell::RefCell;

use hickory_proto::op::Message;
use wire::address_order::{AddressOrder, Owner};
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::Edns;
use wire::header::Flags;
use wire::name::PresentationFormat;
use wire::query::RequestHeader;
use wire::{Answer, Response};

use crate::message_builder::{message, name, question, record};

const QNAME: &[u8] = &[0xc0, 12];
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const ANY: u16 = 255;
const EDNS: Edns =
    Edns { udp_size: 1232, version: 0, dnssec_ok: false, keepalive_len: None, wants_nsid: false };

/// The last address first.
struct Reversed;

impl AddressOrder for Reversed {
    fn arrange<const LEN: usize>(&self, _: &Owner<'_>, addresses: &mut [[u8; LEN]]) {
        addresses.reverse();
    }
}

/// Keeps the order and the names.
#[derive(Default)]
struct Owners(RefCell<Vec<String>>);

impl AddressOrder for Owners {
    fn arrange<const LEN: usize>(&self, owner: &Owner<'_>, _: &mut [[u8; LEN]]) {
        let name = PresentationFormat(&owner.to_lower_case().unwrap()).to_string();
        self.0.borrow_mut().push(format!("{name} {LEN}"));
    }
}

#[test]
fn the_owner_of_each_sequence_is_known() {
    let target = name("Web.Example");
    let answers = [
        record(QNAME, CNAME, 30, &target),
        record(&target, A, 30, &[192, 0, 2, 1]),
        record(&target, A, 30, &[192, 0, 2, 2]),
        record(QNAME, AAAA, 30, &[1; 16]),
        record(QNAME, AAAA, 30, &[2; 16]),
        record(&target, A, 30, &[192, 0, 2, 3]),
    ];
    let question = question("www.example", ANY);
    let response = message(0x8180, &question, [&answers, &[], &[]]);
    let answer = Answer::from_response(&Response::parse(&response).unwrap());
    let header = RequestHeader { id: 7, flags: Flags::RD, question: &question, edns: None };
    let (mut out, owners) = (Vec::new(), Owners::default());
    answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(5), 512), &mut out);
    answer.arrange_addresses(&owners, 0, &mut out);
    assert_eq!(owners.0.into_inner(), ["web.example. 4", "www.example. 16"]);
}

fn v4(last: u8) -> Vec<u8> {
    record(QNAME, A, 30, &[192, 0, 2, last])
}

/// The response with its addresses reversed, behind other octets.
fn reversed(qtype: u16, sections: [&[Vec<u8>]; 3], max_len: usize) -> Message {
    let question = question("www.example", qtype);
    let response = message(0x8180, &question, sections);
    let answer = Answer::from_response(&Response::parse(&response).unwrap());
    let header = RequestHeader { id: 7, flags: Flags::RD, question: &question, edns: Some(EDNS) };
    let mut out = vec![0xff; 3];
    answer.write(&header, ResponseOptions::new(ResponseTtl::Uniform(5), max_len), &mut out);
    let end = out.len();
    answer.arrange_addresses(&Reversed, 3, &mut out);
    let (before, response) = out.split_at(3);
    assert_eq!((out.len(), before), (end, &[0xff; 3][..]));
    Message::from_vec(response).unwrap()
}

fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn addresses_behind_aliases_are_arranged_and_nothing_else() {
    let target = name("web.example");
    let web = |last| record(&target, A, 30, &[192, 0, 2, last]);
    let answers = [record(QNAME, CNAME, 30, &target), web(1), web(2), web(3)];
    let message = reversed(A, [&answers, &[], &[]], 512);
    assert_eq!(data(&message), ["web.example.", "192.0.2.3", "192.0.2.2", "192.0.2.1"]);
    assert!(message.answers.iter().all(|record| record.ttl == 5) && message.edns.is_some());
}

#[test]
fn addresses_of_each_family_are_arranged_apart() {
    let v6 = |last| record(QNAME, AAAA, 30, &[[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 11], &[last]].concat());
    let message = reversed(ANY, [&[v4(1), v4(2), v6(1), v6(2)], &[], &[]], 512);
    assert_eq!(data(&message), ["192.0.2.2", "192.0.2.1", "2001:db8::2", "2001:db8::1"]);
}

#[test]
fn a_single_address_and_other_records_stay() {
    let text = record(QNAME, 16, 30, b"\x01x");
    let message = reversed(ANY, [&[v4(1), text.clone(), v4(2), text], &[], &[]], 512);
    assert_eq!(data(&message).len(), 4);
    assert_eq!([&data(&message)[0], &data(&message)[2]], ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn addresses_that_truncation_leaves_out_take_part() {
    let answers: Vec<_> = (0..100).map(v4).collect();
    let message = reversed(A, [&answers, &[], &[]], 512);
    let sent = data(&message);
    assert!(message.metadata.truncation && message.edns.is_some());
    assert!((20..40).contains(&sent.len()), "{}", sent.len());
    assert_eq!([&*sent[0], &*sent[1]], ["192.0.2.99", "192.0.2.98"]);
}
