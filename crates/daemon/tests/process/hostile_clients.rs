//! Hostile and broken clients: whatever they send, other clients are answered.

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

/// How long to wait for a response that must not arrive.
const NO_RESPONSE_TIME: Duration = Duration::from_millis(200);

/// A daemon, its upstream and an ordinary client.
struct Fixture {
    upstream: Upstream,
    daemon: DaemonProcess,
    rounds: usize,
}

impl Fixture {
    fn new() -> Self {
        let upstream = upstream();
        let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
        Self { upstream, daemon, rounds: 0 }
    }

    /// Another client is answered over UDP and TCP, a hit and a miss.
    fn assert_serving(&mut self, after: &str) {
        self.rounds += 1;
        for name in ["ok-known.example.".to_owned(), format!("ok-after-{}.example.", self.rounds)] {
            for options in [QueryOptions::default(), QueryOptions::tcp()] {
                let response = self.daemon.query_with(&name, &options);
                assert_eq!(data(&response), ["192.0.2.1"], "{name} after {after}");
                assert!(
                    response.elapsed < Duration::from_secs(1),
                    "{name} after {after}: {:?}",
                    response.elapsed
                );
            }
        }
    }

    fn udp(&self) -> Client {
        Client { timeout: NO_RESPONSE_TIME, ..self.daemon.client() }
    }

    /// Only the queries of the ordinary client have reached the upstream.
    fn assert_not_forwarded(&self) {
        let names =
            self.upstream.queries().into_iter().map(|query| query.message.queries[0].name.to_string());
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
fn malformed_queries_get_formerr_and_are_not_forwarded() {
    let mut fixture = Fixture::new();
    let two_opts = [QUESTION, OPT, OPT].concat();
    let pointer = |at: u8| [&[0xc0, at][..], &[0, 1, 0, 1]].concat();
    let malformed = [
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
        ("OPT in the answer section", message(0x0100, [1, 1, 0, 0], &[QUESTION, OPT].concat())),
        ("OPT with an owner", message(0x0100, [1, 0, 0, 1], &[QUESTION, b"\x01a", OPT].concat())),
        ("OPT as the question", message(0x0100, [1, 0, 0, 0], b"\x04evil\0\0\x29\0\x01")),
    ];
    for (what, octets) in &malformed {
        let reply = fixture.udp().exchange_octets(octets).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(reply, message(0x8101, [0; 4], &[]), "{what}");
        let mut pipeline = fixture.daemon.connect();
        pipeline.send_octets(octets).unwrap();
        assert_eq!(pipeline.receive_octets().unwrap(), reply, "{what}, by TCP");
    }
    fixture.assert_serving("malformed queries");
    fixture.assert_not_forwarded();
}

#[test]
fn every_opcode_but_query_gets_notimp_and_is_not_forwarded() {
    let mut fixture = Fixture::new();
    for opcode in 1..16 {
        let query = message(opcode << 11 | 0x07b0, [1, 0, 0, 1], &[QUESTION, OPT].concat());
        let wanted = message(0x8104 | opcode << 11, [0; 4], &[]);
        assert_eq!(fixture.udp().exchange_octets(&query).unwrap(), wanted, "opcode {opcode}");
        let mut pipeline = fixture.daemon.connect();
        pipeline.send_octets(&query).unwrap();
        assert_eq!(pipeline.receive_octets().unwrap(), wanted, "opcode {opcode} by TCP");
    }
    fixture.assert_serving("every opcode");
    fixture.assert_not_forwarded();
}

#[test]
fn responses_and_incomplete_headers_are_dropped() {
    let mut fixture = Fixture::new();
    for flags in [0x8000, 0x8180, 0x8583, 0xffff] {
        let response = message(flags, [1, 0, 0, 0], QUESTION);
        assert!(matches!(fixture.udp().exchange_octets(&response), Err(ClientError::Timeout)), "{flags:04x}");
    }
    for len in [0, 1, 2, 11] {
        let incomplete = vec![0; len];
        assert!(
            matches!(fixture.udp().exchange_octets(&incomplete), Err(ClientError::Timeout)),
            "{len} octets"
        );
    }
    assert_eq!(fixture.daemon.metric("nodelocaldns_rejected_packets_total{reason=\"dropped\"}"), 8);
    fixture.assert_serving("responses");
    fixture.assert_not_forwarded();
}

#[test]
fn thousands_of_random_packets_do_not_affect_other_clients() {
    let mut fixture = Fixture::new();
    let mut random = StdRng::seed_from_u64(7);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(fixture.daemon.client().server).unwrap();
    for _ in 0..5 {
        for _ in 0..1000 {
            let mut octets = vec![0; random.random_range(0..600)];
            random.fill_bytes(&mut octets);
            // Random octets behind a valid header get further than without.
            if octets.len() > 12 && random.random() {
                octets.splice(..12, message(0x0100, [1, 0, 0, random.random_range(0..3)], &[]));
            }
            socket.send(&octets).unwrap();
        }
        fixture.assert_serving("garbage");
    }
    assert_eq!(fixture.daemon.metric("coredns_panics_total"), 0);
    assert_eq!(fixture.daemon.warnings(), Vec::<String>::new());
}

#[test]
fn wrong_tcp_lengths_close_their_own_connection_only() {
    let mut fixture = Fixture::new();
    let good = framed(7, "ok-1.example.");
    let mut short = good.clone();
    short[1] -= 5;
    let mut long = good.clone();
    long[1] += 40;
    let bystander = fixture.daemon.connect();
    let mut closing = Vec::new();
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
            let pipeline = fixture.daemon.connect();
            send(&pipeline, &octets);
            if half_closes {
                pipeline.stream().shutdown(Shutdown::Write).unwrap();
            }
            closing.push((what, pipeline, now()));
            fixture.assert_serving(what);
        }
    }
    for (what, pipeline, since) in closing {
        pipeline.stream().set_read_timeout(Some(WAIT_LIMIT)).unwrap();
        // A response to what could be parsed may come first. A reset is as good as end of file.
        let mut rest = Vec::new();
        pipeline.stream().read_to_end(&mut rest).ok();
        assert!(since.elapsed() < Duration::from_secs(6), "{what}: {:?}", since.elapsed());
        assert!(rest.len() <= 2 + 47, "{what}: {rest:?}");
    }
    drop(bystander);
    assert!(fixture.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
}

#[test]
fn a_flood_on_one_connection_is_answered_and_delays_no_other_client() {
    let mut fixture = Fixture::new();
    let mut pipeline = fixture.daemon.connect();
    let mut writing = pipeline.stream().try_clone().unwrap();
    let flood = std::thread::Builder::new()
        .spawn(move || {
            for id in 0..5000 {
                writing.write_all(&framed(id, "ok-flood.example.")).unwrap();
            }
            writing.shutdown(Shutdown::Write).unwrap();
        })
        .unwrap();
    fixture.assert_serving("the start of a flood");
    let mut ids: Vec<u16> = (0..5000).map(|_| pipeline.receive().unwrap().message.metadata.id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..5000), "each is answered once");
    assert!(matches!(pipeline.receive(), Err(ClientError::Closed)));
    flood.join().unwrap();
    fixture.assert_serving("a flood");
}

/// Anonymous resident memory in octets.
fn resident(daemon: &DaemonProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_client_that_never_reads_is_bounded_in_memory_and_disconnected() {
    let mut fixture = Fixture::new();
    fixture.daemon.query_with("big-4000-1.example.", &QueryOptions::tcp());
    let before = resident(&fixture.daemon);
    // Responses of 64 KiB, too large for the cache: all are in flight when they arrive.
    let greedy: Vec<_> = (0..8)
        .map(|_| {
            let pipeline = fixture.daemon.connect();
            pipeline.stream().set_write_timeout(Some(NO_RESPONSE_TIME)).unwrap();
            let queries = framed(1, "big-4000-1.example.").repeat(10_000);
            // The write times out when the server stops reading.
            pipeline.stream().write_all(&queries).ok();
            pipeline
        })
        .collect();
    fixture.assert_serving("clients that do not read");
    let grown = resident(&fixture.daemon).saturating_sub(before);
    assert!(grown < 8 * (9 << 18) + (4 << 20), "{grown} octets for 8 connections");
    assert!(fixture.daemon.wait_for_metric("nodelocaldns_tcp_connections_timed_out_total", 8));
    assert!(fixture.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
    drop(greedy);
}

#[test]
fn resets_and_urgent_data_do_not_affect_other_clients() {
    let mut fixture = Fixture::new();
    for name in ["ok-1.example.", "slow300-1.example."] {
        for _ in 0..50 {
            let pipeline = fixture.daemon.connect();
            send(&pipeline, &framed(1, name));
            SockRef::from(pipeline.stream()).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    fixture.assert_serving("resets");
    let mut urgent = fixture.daemon.connect();
    SockRef::from(urgent.stream()).send_out_of_band(&[0xff]).unwrap();
    send(&urgent, &framed(9, "ok-1.example."));
    assert_eq!(urgent.receive().unwrap().message.metadata.id, 9, "an urgent octet is not part of the stream");
    fixture.assert_serving("an urgent octet");
    assert_eq!(fixture.daemon.metric("coredns_panics_total"), 0);
    drop(urgent);
    assert!(fixture.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
}

#[test]
fn transfers_over_udp_and_tcp_are_refused_and_not_forwarded() {
    let mut fixture = Fixture::new();
    for transfer in [RecordType::AXFR, RecordType::IXFR] {
        for options in [QueryOptions::default(), QueryOptions::tcp()] {
            let reply = fixture.daemon.client().query("evil.example.", transfer, &options).unwrap();
            assert_eq!(u16::from(reply.message.metadata.response_code), 5);
        }
    }
    fixture.assert_serving("transfers");
    fixture.assert_not_forwarded();
}

#[test]
fn connections_closed_at_once_leave_no_state() {
    let mut fixture = Fixture::new();
    for _ in 0..500 {
        let mut stream = std::net::TcpStream::connect(fixture.daemon.client().server).unwrap();
        stream.write_all(&[0, 40, 0]).unwrap();
    }
    fixture.assert_serving("connections closed at once");
    assert!(fixture.daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
    let mut last = fixture.daemon.connect();
    last.send_octets(&[0; 11]).unwrap();
    assert!(closed_after(&mut last.stream().try_clone().unwrap(), now()) < Duration::from_secs(1));
}
