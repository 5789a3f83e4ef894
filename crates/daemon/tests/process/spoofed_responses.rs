//! Upstreams that answer what was not asked, lie about lengths, or say more than they were asked.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{Name, RData, Record};
use testkit::Message;
use testkit::client::QueryOptions;
use testkit::upstream::{LabelScript, ResponseOrder, Script, ScriptStep, ServerOptions, Transport, Upstream};

use crate::fixture::{DaemonProcess, loopback};
use crate::responses::data;

/// What no client may hear of.
const FALSE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// A stub resolver that waits 5 s has its answer before that.
const STUB_PATIENCE: Duration = Duration::from_secs(5);

/// Does to questions what the first label of their name says, or what [`LabelScript`] do.
struct Hostile;

impl Script for Hostile {
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep> {
        let name = &query.queries[0].name;
        let label = String::from_utf8_lossy(name.iter().next().unwrap_or_default()).to_lowercase();
        let behaviour = label.split('-').next().unwrap();
        let good = answer(query, Ipv4Addr::new(192, 0, 2, 1)).to_vec().unwrap();
        let bad = answer(query, FALSE).to_vec().unwrap();
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
            ("circle", _) => vec![ScriptStep::Send(circle(query).to_vec().unwrap())],
            _ => LabelScript::default().steps(query, transport),
        }
    }
}

fn answer(query: &Message, address: Ipv4Addr) -> Message {
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

/// The name beside `name` that has the label `label` instead of its first.
fn beside(name: &Name, label: &str) -> Name {
    Name::from_ascii(label).unwrap().append_domain(&name.base_name()).unwrap()
}

/// The answer, and in every section the address of another name.
fn poisoned(query: &Message) -> Message {
    let mut reply = answer(query, Ipv4Addr::new(192, 0, 2, 1));
    let name = &query.queries[0].name;
    let address = |label| Record::from_rdata(beside(name, label), 300, RData::from(FALSE));
    reply.answers.push(address("ok-answer"));
    reply.authorities.push(address("ok-authority"));
    let server = RData::NS(NS(beside(name, "ok-additional")));
    reply.authorities.push(Record::from_rdata(name.base_name(), 300, server));
    reply.additionals.push(address("ok-additional"));
    reply
}

/// Two names that are each other's.
fn circle(query: &Message) -> Message {
    let mut reply = answer(query, FALSE);
    let (one, other) = (query.queries[0].name.clone(), beside(&query.queries[0].name, "other"));
    let link =
        |from: &Name, to: &Name| Record::from_rdata(from.clone(), 300, RData::CNAME(CNAME(to.clone())));
    reply.answers = vec![link(&one, &other), link(&other, &one)];
    reply
}

/// A daemon that asks over UDP and one that asks over TCP, each with an upstream of its own.
fn scenes() -> [(&'static str, Upstream, DaemonProcess); 2] {
    ["prefer_udp", "force_tcp"].map(|options| {
        let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
        let upstream = Upstream::start_with(loopback(), server_options, Hostile).unwrap();
        let daemon = DaemonProcess::forwarding_to(&upstream, options);
        (options, upstream, daemon)
    })
}

#[test]
fn answers_to_something_else_are_never_told() {
    let scenes = scenes();
    thread::scope(|scope| {
        for (options, _, daemon) in &scenes {
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
                    let told = daemon.query_with(&name, &QueryOptions::tcp());
                    assert!(told.elapsed < STUB_PATIENCE, "{name}, {options}: {:?}", told.elapsed);
                    assert!(!data(&told).contains(&FALSE.to_string()), "{name}, {options}");
                    if is_good {
                        assert_eq!(data(&told), ["192.0.2.1"], "{name}, {options}");
                    }
                });
            }
            scope.spawn(move || {
                for number in 0..50 {
                    // It may share the fate of a connection that others had broken under it twice.
                    let honest = daemon.query(&format!("ok-{number}.example."));
                    assert!(honest.elapsed < STUB_PATIENCE, "{options}: {:?}", honest.elapsed);
                    assert!(!data(&honest).contains(&FALSE.to_string()), "{options}");
                }
            });
        }
    });
    for (options, _, daemon) in &scenes {
        assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0, "{options}");
        assert_eq!(daemon.metric("coredns_panics_total"), 0, "{options}");
        assert_eq!(data(&daemon.query("ok-after.example.")), ["192.0.2.1"], "{options}");
    }
}

#[test]
fn poison_reaches_nobody() {
    for (options, upstream, daemon) in scenes() {
        let told = daemon.query("poison-1.example.");
        assert_eq!(data(&told), ["192.0.2.1"], "{options}");
        for name in ["ok-answer.example.", "ok-authority.example.", "ok-additional.example."] {
            assert_eq!(data(&daemon.query(name)), ["192.0.2.1"], "{options}: {name}");
            assert_eq!(upstream.query_count(name), 1, "{options}: {name}");
        }
    }
}

#[test]
fn circles_and_giants_are_passed_on() {
    for (options, upstream, daemon) in scenes() {
        for _ in 0..2 {
            let circle = daemon.query("circle-1.example.");
            assert_eq!(data(&circle).len(), 2, "{options}: both links");
            assert!(circle.elapsed < Duration::from_secs(1), "{options}: {:?}", circle.elapsed);
        }
        assert_eq!(
            upstream.query_count("circle-1.example."),
            2,
            "{options}: it leads nowhere, and is not kept"
        );
        let giant = daemon.query_with("big-1900-1.example.", &QueryOptions::tcp());
        assert_eq!((data(&giant).len(), giant.message.metadata.truncation), (1900, false), "{options}");
        let cut = daemon.query("big-1900-1.example.");
        assert!(cut.octets.len() <= 512 && cut.message.metadata.truncation, "{options}");
    }
}
