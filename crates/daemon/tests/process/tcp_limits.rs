//! More clients over TCP than there is room for, and clients that only keep others out.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use testkit::client::QueryOptions;
use testkit::clock::now;

use crate::fixture::{DaemonCommand, DaemonProcess, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::responses::data;
use crate::tcp_pipelining::{closed_after, framed};

/// What another client's answer may take while a crowd stands around.
const PROMPT: Duration = Duration::from_millis(50);
/// Questions in a row that must all be answered so fast. Where the machine is busy with something else a row may fail; a
/// server that a crowd holds up fails every one.
const ROW: usize = 20;
/// Fewer than one client may have.
const OF_ONE_CLIENT: u8 = 100;

const REFUSED: &str = "nodelocaldns_tcp_connections_refused_total";
const EVICTED: &str = "nodelocaldns_tcp_connections_evicted_total";
const TIMED_OUT: &str = "nodelocaldns_tcp_connections_timed_out_total";
const OPEN: &str = "nodelocaldns_tcp_connections";

/// No client of the crowds.
const BYSTANDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Connections from `clients` addresses that say one octet and no more.
fn stalled(daemon: &DaemonProcess, clients: u8, each: u8) -> Vec<TcpStream> {
    let sources = (0..clients).map(|client| Ipv4Addr::new(127, 0, 1, client + 1));
    let crowd = sources.flat_map(|source| (0..each).map(move |_| source)).map(|source| {
        let mut stream = daemon.connect_from(source);
        // The server may have closed it already.
        stream.write_all(&[0]).unwrap_or_default();
        stream
    });
    crowd.collect()
}

/// Asks and waits for the answer.
fn ask_over(stream: &mut TcpStream, name: &str) {
    stream.write_all(&framed(1, name)).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))]).unwrap();
}

/// Asks over a fresh connection.
fn ask_from(source: Ipv4Addr, daemon: &DaemonProcess, name: &str) -> Duration {
    let asked = now();
    ask_over(&mut daemon.connect_from(source), name);
    asked.elapsed()
}

/// True when questions in a row, over UDP and TCP, hits and misses, are answered promptly.
fn is_prompt(daemon: &DaemonProcess, row: &mut usize) -> bool {
    *row += 1;
    (0..ROW).all(|number| {
        let name = format!("ok-{row}-{}.example.", number / 2);
        daemon.query(&name).elapsed < PROMPT && ask_from(BYSTANDER, daemon, &name) < PROMPT
    })
}

fn stalled_clients_delay_nobody(clients: u8) {
    linux::raise_descriptor_limit().unwrap();
    let upstream = upstream();
    let daemon = DaemonCommand::new(&forward_corefile(&upstream, "force_tcp"))
        .arg("-workers=2")
        .spawn()
        .wait_until_ready();
    let count = u64::from(clients) * u64::from(OF_ONE_CLIENT);
    let mut crowd = stalled(&daemon, clients, OF_ONE_CLIENT);
    let complete = now();
    let mut row = 0;
    assert!(wait_until(WAIT_LIMIT, || is_prompt(&daemon, &mut row)), "no row of answers was prompt");
    for stream in &mut crowd {
        let after = closed_after(stream, complete);
        assert!(after < Duration::from_secs(12), "closed after {after:?}");
    }
    assert!(daemon.wait_for_metric(OPEN, 0));
    // Each asked once and then had nothing to say may time out as well; these are gone long before.
    assert_eq!((daemon.metric(TIMED_OUT), daemon.metric(REFUSED), daemon.metric(EVICTED)), (count, 0, 0));
}

#[test]
fn stalled_clients_300_of_them_delay_nobody_and_are_all_hung_up_on() {
    stalled_clients_delay_nobody(3);
}

#[test]
fn stalled_clients_3000_of_them_delay_nobody_and_are_all_hung_up_on() {
    stalled_clients_delay_nobody(30);
}

#[test]
fn a_client_with_too_many_connections_loses_those_idle_longest_and_no_other_client_does() {
    let upstream = upstream();
    // A connection of one worker may have to make room for one of the other.
    let daemon = DaemonCommand::new(&forward_corefile(&upstream, "force_tcp"))
        .arg("-workers=2")
        .spawn()
        .wait_until_ready();
    let mut other = daemon.connect_from(BYSTANDER);
    ask_over(&mut other, "ok-1.example.");
    let crowd = stalled(&daemon, 1, 200);
    assert!(daemon.wait_for_metric(&format!("{EVICTED}{{limit=\"client\"}}"), 200 - 128));
    let hung_up_on = |stream: &&TcpStream| {
        stream.set_nonblocking(true).unwrap();
        matches!(stream.peek(&mut [0; 1]), Ok(0))
    };
    assert!(wait_until(WAIT_LIMIT, || crowd.iter().filter(hung_up_on).count() == 200 - 128));
    ask_over(&mut other, "ok-1.example.");
    assert_eq!((daemon.metric(REFUSED), daemon.metric(&format!("{EVICTED}{{limit=\"process\"}}"))), (0, 0));
}

#[test]
fn connections_with_open_questions_are_never_given_up_for_a_newcomer() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let source = Ipv4Addr::new(127, 0, 1, 1);
    let mut asking: Vec<TcpStream> = (0..128).map(|_| daemon.connect_from(source)).collect();
    for stream in &mut asking {
        stream.write_all(&framed(1, "slow1500-1.example.")).unwrap();
    }
    assert!(wait_until(WAIT_LIMIT, || daemon.metric("coredns_dns_requests_total{proto=\"tcp\"}") == 128));
    let mut newcomer = daemon.connect_from(source);
    assert!(closed_after(&mut newcomer, now()) < Duration::from_secs(1));
    for stream in &mut asking {
        stream.read_exact(&mut [0; 2]).unwrap();
    }
    assert_eq!((daemon.metric(&format!("{REFUSED}{{limit=\"client\"}}")), daemon.metric(EVICTED)), (1, 0));
}

/// Seconds of processor time that the process has taken.
fn processor_time(daemon: &DaemonProcess) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[test]
fn with_few_descriptors_misses_are_answered_on_and_tcp_is_back_when_the_crowd_is_gone() {
    let upstream = upstream();
    let daemon = DaemonCommand::new(&forward_corefile(&upstream, "force_tcp"))
        .descriptors(64)
        .spawn()
        .wait_until_ready();
    let crowd = stalled(&daemon, 20, 5);
    let (started, before): (Instant, f64) = (now(), processor_time(&daemon));
    for number in 0..ROW {
        assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
    }
    assert!(daemon.metric(OPEN) <= 32, "the others are upstreams' and endpoints'");
    assert!(daemon.metric(EVICTED) >= 100 - 32);
    drop(crowd);
    let back = daemon.query_with("ok-back.example.", &QueryOptions::tcp());
    assert!(back.elapsed < Duration::from_secs(1), "{:?}", back.elapsed);
    let (took, share) = (processor_time(&daemon) - before, started.elapsed().as_secs_f64());
    assert!(took < 0.2 + share / 2.0, "{took} s of processor time in {share} s");
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}
