//! Client TCP connections (RFC 7766): pipelining, out-of-order responses, timeouts.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use testkit::client::uninterrupted;

use testkit::RecordType;
use testkit::client::{ClientError, Pipeline, QueryOptions};
use testkit::clock::now;
use testkit::upstream::LabelScript;

use crate::fixture::{DNS, DaemonProcess, WAIT_LIMIT, loopback, out_of_order_upstream, upstream};
use crate::responses::data;

/// A query with its length prefix.
pub(crate) fn framed(id: u16, name: &str) -> Vec<u8> {
    let octets = QueryOptions::tcp().message(id, name, RecordType::A).unwrap().to_vec().unwrap();
    [&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets.as_slice()].concat()
}

pub(crate) fn send(pipeline: &Pipeline, octets: &[u8]) {
    pipeline.stream().write_all(octets).unwrap();
}

/// Receives `count` responses, each with an address; returns their IDs.
pub(crate) fn receive_ids(pipeline: &mut Pipeline, count: usize) -> Vec<u16> {
    let responses = (0..count).map(|_| pipeline.receive().unwrap());
    responses
        .map(|response| (response.message.metadata.id, data(&response)))
        .map(|(id, data)| {
            assert_eq!(data, ["192.0.2.1"]);
            id
        })
        .collect()
}

/// True when the server has closed the connection in order, with no octets left.
pub(crate) fn is_closed(pipeline: &Pipeline) -> bool {
    matches!(uninterrupted(|| pipeline.stream().read(&mut [0; 1])), Ok(0))
}

/// How long after `since` the server closes the connection.
pub(crate) fn closed_after(stream: &mut TcpStream, since: Instant) -> Duration {
    stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    match uninterrupted(|| stream.read(&mut [0; 1])) {
        Ok(0) => since.elapsed(),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => since.elapsed(),
        other => panic!("neither closed nor reset: {other:?}"),
    }
}

#[test]
fn a_fast_response_overtakes_a_slow_one() {
    let upstream = out_of_order_upstream(loopback(), LabelScript::default());
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    send(&pipeline, &[framed(1, "slow400-1.example."), framed(2, "ok-1.example.")].concat());
    assert_eq!(receive_ids(&mut pipeline, 2), [2, 1]);
}

#[test]
fn three_queries_in_one_segment_are_all_answered() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    let queries = [framed(1, "ok-1.example."), framed(2, "ok-2.example."), framed(3, "ok-3.example.")];
    send(&pipeline, &queries.concat());
    let mut ids = receive_ids(&mut pipeline, 3);
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    send(&pipeline, &queries.concat());
    assert_eq!(receive_ids(&mut pipeline, 3), [1, 2, 3], "cache hits are answered in order");
}

/// RFC 7766 section 8: some clients treat a length prefix on its own as an error.
#[test]
fn length_prefix_and_response_are_sent_in_one_segment() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let pipeline = daemon.connect();
    for number in 0..100 {
        // A miss and a hit.
        for id in 1..=2 {
            send(&pipeline, &framed(id, &format!("ok-{number}.example.")));
            let mut segment = [0; 512];
            let octets = uninterrupted(|| pipeline.stream().read(&mut segment)).unwrap();
            let length = usize::from(u16::from_be_bytes([segment[0], segment[1]]));
            assert_eq!(octets, 2 + length, "all in one segment");
        }
    }
}

#[test]
fn more_queries_than_the_inflight_limit_are_all_answered() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    let queries: Vec<u8> = (0..100).flat_map(|id| framed(id, &format!("slow10-{id}.example."))).collect();
    send(&pipeline, &queries);
    pipeline.stream().shutdown(Shutdown::Write).unwrap();
    let mut ids = receive_ids(&mut pipeline, 100);
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..100));
    assert!(is_closed(&pipeline));
}

#[test]
fn a_half_closed_connection_still_gets_its_responses() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    send(&pipeline, &[framed(1, "slow300-1.example."), framed(2, "slow300-2.example.")].concat());
    pipeline.stream().shutdown(Shutdown::Write).unwrap();
    let mut ids = receive_ids(&mut pipeline, 2);
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    assert!(is_closed(&pipeline));
}

#[test]
fn a_query_may_arrive_octet_by_octet() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut pipeline = daemon.connect();
    for octet in framed(1, "ok-1.example.").chunks(1) {
        send(&pipeline, octet);
    }
    assert_eq!(receive_ids(&mut pipeline, 1), [1]);
}

#[test]
fn a_peer_that_does_not_send_queries_is_disconnected() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let mut other = daemon.connect();
    let mut response = framed(7, "ok-1.example.");
    response[4] |= 0x80;
    for (what, octets) in [
        ("eleven octets", [&[0, 11], [0; 11].as_slice()].concat()),
        ("nothing", vec![0, 0]),
        ("a response", response),
    ] {
        let mut pipeline = daemon.connect();
        send(&pipeline, &octets);
        let closed = closed_after(&mut pipeline.stream().try_clone().unwrap(), now());
        assert!(closed < Duration::from_secs(1), "{what}: {closed:?}");
        assert!(matches!(pipeline.receive(), Err(ClientError::Closed)), "{what}");
    }
    send(&other, &framed(8, "ok-1.example."));
    assert_eq!(receive_ids(&mut other, 1), [8], "other clients are not affected");
}

#[test]
fn queries_before_a_broken_frame_are_answered_before_fin() {
    let upstream = out_of_order_upstream(loopback(), LabelScript::default());
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    daemon.query("ok-1.example.");
    let mut response = framed(7, "ok-1.example.");
    response[4] |= 0x80;
    for (number, broken) in [vec![0, 0], [&[0, 11], [0; 11].as_slice()].concat(), response].iter().enumerate()
    {
        let mut pipeline = daemon.connect();
        let miss = framed(1, &format!("slow300-{number}.example."));
        let hit = framed(2, "ok-1.example.");
        // What follows the broken frame cannot be trusted to be a frame.
        send(&pipeline, &[&miss, &hit, broken, &framed(3, "ok-1.example.")].map(Vec::as_slice).concat());
        assert_eq!(receive_ids(&mut pipeline, 2), [2, 1]);
        assert!(is_closed(&pipeline), "FIN and no reset");
    }
    assert!(daemon.wait_for_metric("nodelocaldns_rejected_packets_total{reason=\"dropped\"}", 3));
}

/// Sends queries with large responses and reads none, until the server stops reading.
pub(crate) fn connect_without_reading(daemon: &DaemonProcess) -> TcpStream {
    daemon.query_with("big-2000-1.example.", &QueryOptions::tcp());
    let mut greedy = TcpStream::connect(daemon.addr(DNS)).unwrap();
    greedy.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let queries = framed(1, "big-2000-1.example.").repeat(100);
    let mut sent = 0;
    while sent < 20_000_000 && greedy.write_all(&queries).is_ok() {
        sent += queries.len();
    }
    assert!(sent < 20_000_000, "the server reads on");
    greedy
}

#[test]
fn stalled_idle_and_unread_connections_time_out() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let timed_out = "nodelocaldns_tcp_connections_timed_out_total";
    let mut idle = daemon.connect();
    send(&idle, &framed(1, "ok-1.example."));
    assert_eq!(receive_ids(&mut idle, 1), [1]);
    let idle_since = now();
    let mut stalled = TcpStream::connect(daemon.addr(DNS)).unwrap();
    stalled.write_all(&[0]).unwrap();
    let mut silent = TcpStream::connect(daemon.addr(DNS)).unwrap();
    let since = now();
    let greedy = connect_without_reading(&daemon);
    let greedy_since = now();
    let other = daemon.query_with("ok-1.example.", &QueryOptions::tcp());
    assert!(other.elapsed < Duration::from_millis(500), "{:?}", other.elapsed);
    for (what, stream) in [("one octet", &mut stalled), ("nothing", &mut silent)] {
        let after = closed_after(stream, since);
        assert!((2500..4500).contains(&after.as_millis()), "{what}: closed after {after:?}");
    }
    assert!(daemon.wait_for_metric(timed_out, 3));
    let after = greedy_since.elapsed();
    assert!((3500..7000).contains(&after.as_millis()), "does not read: closed after {after:?}");
    let after = closed_after(&mut idle.stream().try_clone().unwrap(), idle_since);
    assert!((9000..12_000).contains(&after.as_millis()), "idle: closed after {after:?}");
    assert_eq!(daemon.metric(timed_out), 4);
    assert!(daemon.wait_for_metric("nodelocaldns_tcp_connections", 0));
    drop(greedy);
}
