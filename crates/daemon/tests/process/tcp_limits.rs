//! Limits on client TCP connections, and clients that only occupy them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use testkit::client::QueryOptions;
use testkit::clock::now;

use crate::fixture::{DaemonCommand, DaemonProcess, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::responses::data;
use crate::tcp_pipelining::{closed_after, framed};

/// The response time of another client in the meantime.
const PROMPT: Duration = Duration::from_millis(50);
/// Queries in a row that must all be answered so fast. On a busy machine one row may fail; a server
/// that stalled clients delay fails every one.
const ROW: usize = 20;
/// Below the limit per client.
const PER_CLIENT: u8 = 100;

const REFUSED: &str = "nodelocaldns_tcp_connections_refused_total";
const EVICTED: &str = "nodelocaldns_tcp_connections_evicted_total";
const TIMED_OUT: &str = "nodelocaldns_tcp_connections_timed_out_total";
const OPEN: &str = "nodelocaldns_tcp_connections";

/// The address of a client that is not stalled.
const OTHER_CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Connections from `clients` addresses that send one octet and no more.
fn stalled(daemon: &DaemonProcess, clients: u8, each: u8) -> Vec<TcpStream> {
    let sources = (0..clients).map(|client| Ipv4Addr::new(127, 0, 1, client + 1));
    let streams = sources.flat_map(|source| (0..each).map(move |_| source)).map(|source| {
        let mut stream = daemon.connect_from(source);
        // The server may have closed it already.
        stream.write_all(&[0]).ok();
        stream
    });
    streams.collect()
}

/// Sends a query and reads the response.
fn query_over(stream: &mut TcpStream, name: &str) {
    stream.write_all(&framed(1, name)).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))]).unwrap();
}

/// Queries over a new connection; returns the response time.
fn query_from(source: Ipv4Addr, daemon: &DaemonProcess, name: &str) -> Duration {
    let started = now();
    query_over(&mut daemon.connect_from(source), name);
    started.elapsed()
}

/// True when queries in a row, over UDP and TCP, hits and misses, are answered promptly.
fn is_prompt(daemon: &DaemonProcess, row: &mut usize) -> bool {
    *row += 1;
    (0..ROW).all(|number| {
        let name = format!("ok-{row}-{}.example.", number / 2);
        daemon.query(&name).elapsed < PROMPT && query_from(OTHER_CLIENT, daemon, &name) < PROMPT
    })
}

fn stalled_clients_delay_no_other(clients: u8) {
    linux::raise_descriptor_limit().unwrap();
    let upstream = upstream();
    let daemon = DaemonProcess::with_two_workers(&forward_corefile(&upstream, "force_tcp"));
    let count = u64::from(clients) * u64::from(PER_CLIENT);
    let mut stalled_streams = stalled(&daemon, clients, PER_CLIENT);
    let complete = now();
    let mut row = 0;
    assert!(
        wait_until(WAIT_LIMIT, || is_prompt(&daemon, &mut row)),
        "no row of queries was answered promptly"
    );
    for stream in &mut stalled_streams {
        let after = closed_after(stream, complete);
        assert!(after < Duration::from_secs(12), "closed after {after:?}");
    }
    assert!(daemon.wait_for_metric(OPEN, 0));
    // Idle connections may time out as well; these are gone long before.
    assert_eq!((daemon.metric(TIMED_OUT), daemon.metric(REFUSED), daemon.metric(EVICTED)), (count, 0, 0));
}

#[test]
fn stalled_clients_300_of_them_delay_no_other_and_are_all_disconnected() {
    stalled_clients_delay_no_other(3);
}

#[test]
fn stalled_clients_3000_of_them_delay_no_other_and_are_all_disconnected() {
    stalled_clients_delay_no_other(30);
}

#[test]
fn a_client_at_its_limit_loses_its_longest_idle_connections_and_no_other_client_does() {
    let upstream = upstream();
    // A connection of one worker may have to be evicted for one of the other.
    let daemon = DaemonProcess::with_two_workers(&forward_corefile(&upstream, "force_tcp"));
    let mut other = daemon.connect_from(OTHER_CLIENT);
    query_over(&mut other, "ok-1.example.");
    let stalled_streams = stalled(&daemon, 1, 200);
    assert!(daemon.wait_for_metric(&format!("{EVICTED}{{limit=\"client\"}}"), 200 - 128));
    let is_closed = |stream: &&TcpStream| {
        stream.set_nonblocking(true).unwrap();
        matches!(stream.peek(&mut [0; 1]), Ok(0))
    };
    assert!(wait_until(WAIT_LIMIT, || stalled_streams.iter().filter(is_closed).count() == 200 - 128));
    query_over(&mut other, "ok-1.example.");
    assert_eq!((daemon.metric(REFUSED), daemon.metric(&format!("{EVICTED}{{limit=\"process\"}}"))), (0, 0));
}

#[test]
fn connections_with_queries_in_flight_are_never_evicted() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let source = Ipv4Addr::new(127, 0, 1, 1);
    let mut busy: Vec<TcpStream> = (0..128).map(|_| daemon.connect_from(source)).collect();
    for stream in &mut busy {
        stream.write_all(&framed(1, "slow1500-1.example.")).unwrap();
    }
    assert!(wait_until(WAIT_LIMIT, || daemon.metric("coredns_dns_requests_total{proto=\"tcp\"}") == 128));
    let mut refused = daemon.connect_from(source);
    assert!(closed_after(&mut refused, now()) < Duration::from_secs(1));
    for stream in &mut busy {
        stream.read_exact(&mut [0; 2]).unwrap();
    }
    assert_eq!((daemon.metric(&format!("{REFUSED}{{limit=\"client\"}}")), daemon.metric(EVICTED)), (1, 0));
}

/// CPU seconds used by the process.
fn cpu_seconds(daemon: &DaemonProcess) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[test]
fn with_few_descriptors_misses_are_answered_and_tcp_recovers_when_connections_close() {
    let upstream = upstream();
    let daemon = DaemonCommand::new(&forward_corefile(&upstream, "force_tcp"))
        .descriptors(64)
        .spawn()
        .wait_until_ready();
    let stalled_streams = stalled(&daemon, 20, 5);
    let (started, before): (Instant, f64) = (now(), cpu_seconds(&daemon));
    for number in 0..ROW {
        assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
    }
    // An evicted connection counts as open until its task has ended.
    assert!(wait_until(WAIT_LIMIT, || daemon.metric(EVICTED) >= 100 - 32));
    assert!(wait_until(WAIT_LIMIT, || daemon.metric(OPEN) <= 32), "the rest is for upstreams and endpoints");
    drop(stalled_streams);
    let back = daemon.query_with("ok-back.example.", &QueryOptions::tcp());
    assert!(back.elapsed < Duration::from_secs(1), "{:?}", back.elapsed);
    let (took, share) = (cpu_seconds(&daemon) - before, started.elapsed().as_secs_f64());
    assert!(took < 0.2 + share / 2.0, "{took} s of CPU time in {share} s");
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}
