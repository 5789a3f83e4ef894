//! Spoofed responses: mismatched questions, wrong lengths, records of other names.

use std::net::Ipv4Addr;
use std::thread;

use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{Name, RData, Record};
use testkit::Message;
use testkit::client::QueryOptions;
use testkit::upstream::{LabelScript, Script, ScriptStep, Transport, Upstream};

use crate::fixture::{DaemonProcess, loopback, out_of_order_upstream};
use crate::responses::data;

/// An address that no client may receive.
const SPOOFED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// Responds as the first label of the name says, else as [`LabelScript`].
struct SpoofScript;

impl Script for SpoofScript {
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep> {
        let name = &query.queries[0].name;
        let label = String::from_utf8_lossy(name.iter().next().unwrap_or_default()).to_lowercase();
        let behaviour = label.split('-').next().unwrap();
        let good = response(query, Ipv4Addr::new(192, 0, 2, 1)).to_vec().unwrap();
        let bad = response(query, SPOOFED).to_vec().unwrap();
        let end = 12 + name.len() + 4;
        let altered = |at: usize, value: u8| {
            let mut octets = bad.clone();
            octets[at] = value;
            vec![ScriptStep::Send(octets)]
        };
        match (behaviour, transport) {
            ("wrongtype", _) => altered(end - 3, 28),
            ("wrongclass", _) => altered(end - 1, 3),
            ("query", _) => altered(2, bad[2] & 0x7f),
            ("notify", _) => altered(2, bad[2] | 4 << 3),
            ("cut", _) => vec![ScriptStep::Send(bad[..bad.len() - 4].to_vec())],
            ("junk", _) => {
                let junk = (0..1000).map(|number: u16| ScriptStep::Send(number.to_be_bytes().repeat(20)));
                junk.chain([ScriptStep::Send(good)]).collect()
            }
            ("long", Transport::Tcp) => vec![ScriptStep::Raw(with_length(good.len() + 10, &good))],
            ("short", Transport::Tcp) => vec![ScriptStep::Raw(with_length(bad.len() - 5, &bad))],
            ("zero", Transport::Tcp) => vec![ScriptStep::Raw(vec![0, 0]), ScriptStep::Send(good)],
            ("poison", _) => vec![ScriptStep::Send(poisoned(query).to_vec().unwrap())],
            ("cnameloop2", _) => vec![ScriptStep::Send(cname_loop(query).to_vec().unwrap())],
            _ => LabelScript::default().steps(query, transport),
        }
    }
}

fn response(query: &Message, address: Ipv4Addr) -> Message {
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_desired = true;
    reply.metadata.recursion_available = true;
    reply.queries.clone_from(&query.queries);
    reply.answers.push(Record::from_rdata(query.queries[0].name.clone(), 300, RData::from(address)));
    reply
}

fn with_length(length: usize, octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(length).unwrap().to_be_bytes(), octets].concat()
}

/// `name` with `label` in place of its first label.
fn sibling(name: &Name, label: &str) -> Name {
    Name::from_ascii(label).unwrap().append_domain(&name.base_name()).unwrap()
}

/// The response with the address of another name in every section.
fn poisoned(query: &Message) -> Message {
    let mut reply = response(query, Ipv4Addr::new(192, 0, 2, 1));
    let name = &query.queries[0].name;
    let address = |label| Record::from_rdata(sibling(name, label), 300, RData::from(SPOOFED));
    reply.answers.push(address("ok-answer"));
    reply.authorities.push(address("ok-authority"));
    let server = RData::NS(NS(sibling(name, "ok-additional")));
    reply.authorities.push(Record::from_rdata(name.base_name(), 300, server));
    reply.additionals.push(address("ok-additional"));
    reply
}

/// A CNAME loop of two names.
fn cname_loop(query: &Message) -> Message {
    let mut reply = response(query, SPOOFED);
    let (one, other) = (query.queries[0].name.clone(), sibling(&query.queries[0].name, "other"));
    let link =
        |from: &Name, to: &Name| Record::from_rdata(from.clone(), 300, RData::CNAME(CNAME(to.clone())));
    reply.answers = vec![link(&one, &other), link(&other, &one)];
    reply
}

/// A daemon with a UDP upstream and one with a TCP upstream.
fn fixtures() -> [(&'static str, Upstream, DaemonProcess); 2] {
    ["prefer_udp", "force_tcp"].map(|options| {
        let upstream = out_of_order_upstream(loopback(), SpoofScript);
        let daemon = DaemonProcess::forwarding_to(&upstream, options);
        (options, upstream, daemon)
    })
}

#[test]
fn mismatched_responses_are_never_relayed() {
    let fixtures = fixtures();
    thread::scope(|scope| {
        for (options, _, daemon) in &fixtures {
            let by_tcp = *options == "force_tcp";
            for (behaviour, is_good) in [
                ("wrongtype", false),
                ("wrongclass", false),
                ("query", false),
                ("notify", false),
                ("cut", false),
                ("long", false),
                ("short", false),
                ("zero", false),
                ("junk", !by_tcp),
            ] {
                let name = format!("{behaviour}-1.example.");
                scope.spawn(move || {
                    let response = daemon.query_with(&name, &QueryOptions::tcp());
                    assert!(!data(&response).contains(&SPOOFED.to_string()), "{name}, {options}");
                    if is_good {
                        assert_eq!(data(&response), ["192.0.2.1"], "{name}, {options}");
                    }
                });
            }
            scope.spawn(move || {
                for number in 0..50 {
                    let ordinary = daemon.query(&format!("ok-{number}.example."));
                    assert_eq!(data(&ordinary), ["192.0.2.1"], "{options}");
                }
            });
        }
    });
    for (options, _, daemon) in &fixtures {
        assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0, "{options}");
        assert_eq!(daemon.metric("coredns_panics_total"), 0, "{options}");
        assert_eq!(data(&daemon.query("ok-after.example.")), ["192.0.2.1"], "{options}");
    }
}

#[test]
fn records_of_other_names_are_neither_relayed_nor_cached() {
    for (options, upstream, daemon) in fixtures() {
        let response = daemon.query("poison-1.example.");
        assert_eq!(data(&response), ["192.0.2.1"], "{options}");
        for name in ["ok-answer.example.", "ok-authority.example.", "ok-additional.example."] {
            assert_eq!(data(&daemon.query(name)), ["192.0.2.1"], "{options}: {name}");
            assert_eq!(upstream.query_count(name), 1, "{options}: {name}");
        }
    }
}

#[test]
fn cname_loops_and_large_responses_are_relayed() {
    for (options, upstream, daemon) in fixtures() {
        for _ in 0..2 {
            let looped = daemon.query("cnameloop2-1.example.");
            assert_eq!(data(&looped).len(), 2, "{options}: both links");
        }
        assert_eq!(upstream.query_count("cnameloop2-1.example."), 2, "{options}: a loop is not cached");
        let giant = daemon.query_with("big-1900-1.example.", &QueryOptions::tcp());
        assert_eq!((data(&giant).len(), giant.message.metadata.truncation), (1900, false), "{options}");
        let cut = daemon.query("big-1900-1.example.");
        assert!(cut.octets.len() <= 512 && cut.message.metadata.truncation, "{options}");
    }
}
