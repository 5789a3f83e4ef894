//! Coalescing of queries for an expired or failing name.

use std::net::UdpSocket;
use std::time::{Duration, Instant};
use testkit::client::uninterrupted;

use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::{LabelScript, Upstream};
use testkit::{Message, RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, loopback, out_of_order_upstream};
use crate::responses::data;

/// Queries at once, and how many share a socket: as many responses as its receive buffer holds.
const CLIENTS: usize = 1000;
const PER_SOCKET: usize = 100;

/// An upstream whose records have a TTL of 1 s, and a daemon with that minimum TTL.
fn daemon_with_ttl_1(mode: &str) -> (Upstream, DaemonProcess) {
    let upstream = out_of_order_upstream(loopback(), LabelScript { ttl: 1, ..LabelScript::default() });
    let corefile = format!(
        ".:{DNS} {{
            bind @
            cache {{
                success 9984 30 1
                {mode}
            }}
            forward . {} {{
                force_tcp
            }}
            ready @:{READY}
        }}",
        upstream.addr()
    );
    let daemon = DaemonProcess::with_two_workers(&corefile);
    (upstream, daemon)
}

fn send(socket: &UdpSocket, id: usize, name: &str) {
    let query = QueryOptions::default().message(u16::try_from(id).unwrap(), name, RecordType::A).unwrap();
    socket.send(&query.to_vec().unwrap()).unwrap();
}

fn receive(socket: &UdpSocket) -> Message {
    let mut response = [0; 512];
    let length = uninterrupted(|| socket.recv(&mut response)).unwrap();
    Message::from_vec(&response[..length]).unwrap()
}

/// A thousand queries for a name that has just expired; the upstream gets one, or two if a slow
/// response is hedged.
fn query_expired_name(mode: &str) {
    let name = "slow200-expired.example.";
    let (upstream, daemon) = daemon_with_ttl_1(mode);
    let first = daemon.query(name);
    assert_eq!(data(&first), ["192.0.2.1"]);
    let expires = now() + Duration::from_secs(1);
    // Time itself is the condition: a query would refresh the entry.
    std::thread::sleep(expires.saturating_duration_since(now()));
    let before = upstream.query_count(name);
    let started = now();
    let sockets: Vec<UdpSocket> = (0..CLIENTS / PER_SOCKET).map(|_| daemon.udp_socket(WAIT_LIMIT)).collect();
    for (number, socket) in (0..CLIENTS).map(|number| (number, &sockets[number % sockets.len()])) {
        send(socket, number, name);
    }
    for socket in &sockets {
        for _ in 0..PER_SOCKET {
            let response = receive(socket);
            assert_eq!(
                (response.metadata.response_code, response.answers.len()),
                (ResponseCode::NoError, 1),
                "{mode}"
            );
        }
    }
    assert!(upstream.wait_for_queries(WAIT_LIMIT, |queries| queries.len() > before));
    let count = upstream.query_count(name) - before;
    // On a busy machine the new entry may expire as well before all are sent.
    let most = 2 + usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!((1..=most).contains(&count), "{mode}: count {count} times for {CLIENTS} clients");
}

#[test]
fn a_thousand_queries_for_an_expired_name_are_coalesced() {
    for mode in ["", "serve_stale 1h immediate", "serve_stale 1h verify"] {
        query_expired_name(mode);
    }
}

/// Queries `name` a hundred times a second for three seconds; all get SERVFAIL.
fn query_repeatedly(daemon: &DaemonProcess, name: &str) -> Duration {
    const INTERVAL: Duration = Duration::from_millis(10);
    let (socket, started): (UdpSocket, Instant) = (daemon.udp_socket(WAIT_LIMIT), now());
    for number in 0..300_u32 {
        send(&socket, 1, name);
        assert_eq!(receive(&socket).metadata.response_code, ResponseCode::ServFail);
        // Time itself is the condition.
        std::thread::sleep((started + INTERVAL * number).saturating_duration_since(now()));
    }
    started.elapsed()
}

#[test]
fn a_failing_name_is_queried_at_most_once_a_second() {
    let (upstream, daemon) = daemon_with_ttl_1("");
    let name = "servfail-1.example.";
    let took = query_repeatedly(&daemon, name);
    let count = upstream.query_count(name);
    assert!((1..=took.as_secs() + 1).contains(&u64::try_from(count).unwrap()), "{count} in {took:?}");
    drop(upstream);
    // With a closed upstream a query makes two dials.
    let took = query_repeatedly(&daemon, "ok-1.example.");
    let count = daemon.metric("nodelocaldns_upstream_failures_total");
    assert!((1..=2 * (took.as_secs() + 1)).contains(&count), "{count} dials in {took:?}");
}
