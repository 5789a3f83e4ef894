//! Clients that mean harm or know no better: whatever they send, the next client is answered.

use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use socket2::SockRef;
use testkit::RecordType;
use testkit::client::{Client, ClientError, QueryOptions};
use testkit::clock::now;
use testkit::upstream::Upstream;

use crate::fixture::{DaemonProcess, WAIT_LIMIT, upstream};
use crate::responses::data;
use crate::tcp_pipelining::{closed_after, framed, send};

/// Of a reply that must not come.
const A_WHILE: Duration = Duration::from_millis(200);

/// A daemon, its upstream, and a client that asks for what it needs.
struct Scene {
    upstream: Upstream,
    daemon: DaemonProcess,
    asked: usize,
}

impl Scene {
    fn new() -> Self {
        let upstream = upstream();
        let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
        Self { upstream, daemon, asked: 0 }
    }

    /// Another client is answered, over UDP and TCP, a name it asked before and a new one.
    fn serves_on(&mut self, after: &str) {
        self.asked += 1;
        for name in ["ok-known.example.".to_owned(), format!("ok-after-{}.example.", self.asked)] {
            for options in [QueryOptions::default(), QueryOptions::tcp()] {
                let answer = self.daemon.query_with(&name, &options);
                assert_eq!(data(&answer), ["192.0.2.1"], "{name} after {after}");
                assert!(
                    answer.elapsed < Duration::from_secs(1),
                    "{name} after {after}: {:?}",
                    answer.elapsed
                );
            }
        }
    }

    fn udp(&self) -> Client {
        Client { timeout: A_WHILE, ..self.daemon.client() }
    }

    /// Nothing but what the other client asked has reached the upstream.
    fn upstream_was_spared(&self) {
        let names =
            self.upstream.queries().into_iter().map(|asked| asked.message.queries[0].name.to_string());
        assert_eq!(names.filter(|name| !name.starts_with("ok-")).collect::<Vec<_>>(), Vec::<String>::new());
    }
}

/// A message: flags, counts, and what follows.
fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x12, 0x34];
    octets.extend(flags.to_be_bytes());
    octets.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    octets.extend_from_slice(rest);
    octets
}

const QUESTION: &[u8] = b"\x04evil\x07example\0\0\x01\0\x01";
const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";

#[test]
fn senseless_messages_get_formerr_and_go_nowhere() {
    let mut scene = Scene::new();
    let two_opts = [QUESTION, OPT, OPT].concat();
    let pointer = |at: u8| [&[0xc0, at][..], &[0, 1, 0, 1]].concat();
    let senseless = [
        ("a huge QDCOUNT", message(0x0100, [65535, 0, 0, 0], QUESTION)),
        ("huge counts", message(0x0100, [65535; 4], QUESTION)),
        ("no question", message(0x0100, [0; 4], &[])),
        ("a question that is not there", message(0x0100, [1, 0, 0, 0], &[])),
        ("a name that points at itself", message(0x0100, [1, 0, 0, 0], &pointer(12))),
        ("a name that points behind itself", message(0x0100, [1, 0, 0, 0], &pointer(14))),
        ("names in a circle", message(0x0100, [1, 0, 0, 0], &[&[1, b'a'], &pointer(12)[..]].concat())),
        ("a reserved label", message(0x0100, [1, 0, 0, 0], b"\x80evil\0\0\x01\0\x01")),
        ("a label without end", message(0x0100, [1, 0, 0, 0], b"\x3fevil")),
        ("two OPT", message(0x0100, [1, 0, 0, 2], &two_opts)),
        ("OPT as an answer", message(0x0100, [1, 1, 0, 0], &[QUESTION, OPT].concat())),
        ("OPT with an owner", message(0x0100, [1, 0, 0, 1], &[QUESTION, b"\x01a", OPT].concat())),
        ("OPT that is asked for", message(0x0100, [1, 0, 0, 0], b"\x04evil\0\0\x29\0\x01")),
    ];
    for (what, octets) in &senseless {
        let reply = scene.udp().exchange_octets(octets).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(reply, message(0x8101, [0; 4], &[]), "{what}");
        let mut pipeline = scene.daemon.connect();
        pipeline.send_octets(octets).unwrap();
        assert_eq!(pipeline.receive_octets().unwrap(), reply, "{what}, by TCP");
    }
    scene.serves_on("senseless messages");
    scene.upstream_was_spared();
}

#[test]
fn every_opcode_but_query_gets_notimp_and_goes_nowhere() {
    let mut scene = Scene::new();
    for opcode in 1..16 {
        let asked = message(opcode << 11 | 0x07b0, [1, 0, 0, 1], &[QUESTION, OPT].concat());
        let wanted = message(0x8104 | opcode << 11, [0; 4], &[]);
        assert_eq!(scene.udp().exchange_octets(&asked).unwrap(), wanted, "opcode {opcode}");
        let mut pipeline = scene.daemon.connect();
        pipeline.send_octets(&asked).unwrap();
        assert_eq!(pipeline.receive_octets().unwrap(), wanted, "opcode {opcode} by TCP");
    }
    scene.serves_on("every opcode");
    scene.upstream_was_spared();
}

#[test]
fn responses_and_scraps_get_silence() {
    let mut scene = Scene::new();
    for flags in [0x8000, 0x8180, 0x8583, 0xffff] {
        let response = message(flags, [1, 0, 0, 0], QUESTION);
        assert!(matches!(scene.udp().exchange_octets(&response), Err(ClientError::Timeout)), "{flags:04x}");
    }
    for len in [0, 1, 2, 11] {
        let scrap = vec![0; len];
        assert!(matches!(scene.udp().exchange_octets(&scrap), Err(ClientError::Timeout)), "{len} octets");
    }
    assert_eq!(scene.daemon.metric("nodelocaldns_rejected_packets_total{reason=\"dropped\"}"), 8);
    scene.serves_on("responses");
    scene.upstream_was_spared();
}

#[test]
fn garbage_by_the_thousand_hurts_nobody() {
    let mut scene = Scene::new();
    let mut random = StdRng::seed_from_u64(7);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(scene.daemon.client().server).unwrap();
    for _ in 0..5 {
        for _ in 0..1000 {
            let mut octets = vec![0; random.random_range(0..600)];
            random.fill_bytes(&mut octets);
            // Junk behind a sound header comes further than junk alone.
            if octets.len() > 12 && random.random() {
                octets.splice(..12, message(0x0100, [1, 0, 0, random.random_range(0..3)], &[]));
            }
            socket.send(&octets).unwrap();
        }
        scene.serves_on("garbage");
    }
    assert_eq!(scene.daemon.metric("coredns_panics_total"), 0);
    assert_eq!(scene.daemon.warnings(), Vec::<String>::new());
}

#[test]
fn lies_about_lengths_end_a_connection_and_no_other() {
    let mut scene = Scene::new();
    let good = framed(7, "ok-1.example.");
    let mut short = good.clone();
    short[1] -= 5;
    let mut long = good.clone();
    long[1] += 40;
    let bystander = scene.daemon.connect();
    let mut liars = Vec::new();
    for (what, octets) in [
        ("half a prefix", vec![0]),
        ("a length and nothing", vec![0xff, 0xff]),
        ("too short a length", short),
        ("too long a length", long),
        ("a length of 0", [&good[..], &[0, 0]].concat()),
        ("a length of 11", [&[0, 11][..], &good].concat()),
        ("octets that are no DNS at all", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        for half_closes in [true, false] {
            let pipeline = scene.daemon.connect();
            send(&pipeline, &octets);
            if half_closes {
                pipeline.stream().shutdown(Shutdown::Write).unwrap();
            }
            liars.push((what, pipeline, now()));
            scene.serves_on(what);
        }
    }
    for (what, pipeline, since) in liars {
        pipeline.stream().set_read_timeout(Some(WAIT_LIMIT)).unwrap();
        // There may be an answer to what could be read; then comes the end.
        let mut rest = Vec::new();
        drop(pipeline.stream().read_to_end(&mut rest));
        assert!(since.elapsed() < Duration::from_secs(6), "{what}: {:?}", since.elapsed());
        assert!(rest.len() <= 2 + 47, "{what}: {rest:?}");
    }
    drop(bystander);
    assert!(scene.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
}

#[test]
fn a_flood_on_one_connection_is_answered_in_its_turn_and_delays_nobody() {
    let mut scene = Scene::new();
    let mut pipeline = scene.daemon.connect();
    let mut writing = pipeline.stream().try_clone().unwrap();
    let flood = std::thread::Builder::new()
        .spawn(move || {
            for id in 0..5000 {
                writing.write_all(&framed(id, "ok-flood.example.")).unwrap();
            }
            writing.shutdown(Shutdown::Write).unwrap();
        })
        .unwrap();
    scene.serves_on("the start of a flood");
    let mut ids: Vec<u16> = (0..5000).map(|_| pipeline.receive().unwrap().message.metadata.id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..5000), "each is answered once");
    assert!(matches!(pipeline.receive(), Err(ClientError::Closed)));
    flood.join().unwrap();
    scene.serves_on("a flood");
}

/// Octets of memory that are the process's own.
fn resident(daemon: &DaemonProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn who_never_reads_is_bounded_in_memory_and_hung_up_on() {
    let mut scene = Scene::new();
    scene.daemon.query_with("big-4000-1.example.", &QueryOptions::tcp());
    let before = resident(&scene.daemon);
    // Of 64 KiB each, and too large for the cache: all that may be open is open when answers come.
    let greedy: Vec<_> = (0..8)
        .map(|_| {
            let pipeline = scene.daemon.connect();
            pipeline.stream().set_write_timeout(Some(A_WHILE)).unwrap();
            let queries = framed(1, "big-4000-1.example.").repeat(10_000);
            // Its own questions are left unread sooner or later.
            drop(pipeline.stream().write_all(&queries));
            pipeline
        })
        .collect();
    scene.serves_on("those who do not read");
    let grown = resident(&scene.daemon).saturating_sub(before);
    assert!(grown < 8 * (9 << 18) + (4 << 20), "{grown} octets for 8 connections");
    assert!(scene.daemon.wait_for_metric("nodelocaldns_tcp_connections_timed_out_total", 8));
    assert!(scene.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
    drop(greedy);
}

#[test]
fn resets_and_urgent_octets_hurt_nobody() {
    let mut scene = Scene::new();
    for name in ["ok-1.example.", "slow300-1.example."] {
        for _ in 0..50 {
            let pipeline = scene.daemon.connect();
            send(&pipeline, &framed(1, name));
            SockRef::from(pipeline.stream()).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    scene.serves_on("resets");
    let mut urgent = scene.daemon.connect();
    SockRef::from(urgent.stream()).send_out_of_band(&[0xff]).unwrap();
    send(&urgent, &framed(9, "ok-1.example."));
    assert_eq!(urgent.receive().unwrap().message.metadata.id, 9, "an urgent octet is not part of the stream");
    scene.serves_on("an urgent octet");
    assert_eq!(scene.daemon.metric("coredns_panics_total"), 0);
    drop(urgent);
    assert!(scene.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
}

#[test]
fn transfers_by_any_transport_are_refused_and_go_nowhere() {
    let mut scene = Scene::new();
    for transfer in [RecordType::AXFR, RecordType::IXFR] {
        for options in [QueryOptions::default(), QueryOptions::tcp()] {
            let reply = scene.daemon.client().query("evil.example.", transfer, &options).unwrap();
            assert_eq!(u16::from(reply.message.metadata.response_code), 5);
        }
    }
    scene.serves_on("transfers");
    scene.upstream_was_spared();
}

#[test]
fn a_crowd_that_hangs_up_at_once_leaves_nothing() {
    let mut scene = Scene::new();
    for _ in 0..500 {
        let mut stream = std::net::TcpStream::connect(scene.daemon.client().server).unwrap();
        stream.write_all(&[0, 40, 0]).unwrap();
    }
    scene.serves_on("a crowd that hangs up");
    assert!(scene.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
    let mut last = scene.daemon.connect();
    last.send_octets(&[0; 11]).unwrap();
    assert!(closed_after(&mut last.stream().try_clone().unwrap(), now()) < Duration::from_secs(1));
}
