//! Cache misses: few upstream queries on few connections.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use testkit::client::uninterrupted;

use hickory_proto::rr::rdata::opt::EdnsOption;
use testkit::client::QueryOptions;
use testkit::upstream::{LabelScript, ResponseOrder, Script, ScriptStep, ServerOptions, Transport, Upstream};
use testkit::{Message, RecordType, ResponseCode};

use crate::fixture::{DaemonProcess, WAIT_LIMIT, forward_corefile, loopback, upstream};
use crate::responses::{code, data, with_edns};

/// Connections of one worker to one upstream: shared ones, those of hedges included, and those that
/// wait for their last responses.
const MAX_CONNECTIONS: u64 = 16 + 32;

/// `name` with the letters in upper case whose bit in `number` is set.
fn spelled(name: &str, number: usize) -> String {
    let letter = |(place, letter): (usize, char)| match number >> (place % 6) & 1 {
        1 => letter.to_ascii_uppercase(),
        _ => letter,
    };
    name.chars().enumerate().map(letter).collect()
}

/// A query with an ID, a spelling, and a client subnet or a cookie of its own.
fn distinct_query(name: &str, number: usize) -> Vec<u8> {
    let id = 1000 + 7 * u16::try_from(number).unwrap();
    let mut query = with_edns().message(id, &spelled(name, number), RecordType::A).unwrap();
    let octet = u8::try_from(number).unwrap();
    let option = match number % 2 {
        0 => EdnsOption::Unknown(8, vec![0, 1, 24, 0, 192, 0, octet]),
        _ => EdnsOption::Unknown(10, vec![octet; 8]),
    };
    query.edns.as_mut().unwrap().options_mut().insert(option);
    query.to_vec().unwrap()
}

/// Sixty clients query the same name at once, each with its own ID, spelling and options.
fn query_from_sixty_clients(daemon: &DaemonProcess, name: &str) {
    let clients: Vec<(UdpSocket, Vec<u8>)> =
        (0..60).map(|number| (daemon.udp_socket(WAIT_LIMIT), distinct_query(name, number))).collect();
    for (socket, query) in &clients {
        socket.send(query).unwrap();
    }
    for (socket, query) in &clients {
        let mut response = [0; 512];
        let length = uninterrupted(|| socket.recv(&mut response)).unwrap();
        let response = &response[..length];
        assert_eq!(response[..2], query[..2], "the client's own ID");
        let question = 12..12 + name.len() + 5;
        assert_eq!(response[question.clone()], query[question], "the client's own spelling");
        assert_eq!(Message::from_vec(response).unwrap().answers.len(), 1);
    }
}

#[test]
fn sixty_queries_with_one_question_are_coalesced() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    query_from_sixty_clients(&daemon, "slow300-same.example.");
    assert_eq!(upstream.query_count("slow300-same.example."), 1);
    assert_eq!(daemon.metric("nodelocaldns_coalesced_queries_total"), 59);
}

/// Queries 256 different names at once.
fn query_many_names(daemon: &DaemonProcess, workers: u64, upstream: &Upstream) {
    let sockets: Vec<UdpSocket> = (0..32).map(|_| daemon.udp_socket(WAIT_LIMIT)).collect();
    let socket_of = |number: u16| &sockets[usize::from(number) % sockets.len()];
    for number in 0..256 {
        let name = format!("slow20-{number}.example.");
        let query = QueryOptions::default().message(number, &name, RecordType::A).unwrap();
        socket_of(number).send(&query.to_vec().unwrap()).unwrap();
    }
    let mut answered = HashSet::new();
    for number in 0..256 {
        let mut response = [0; 512];
        let length = uninterrupted(|| socket_of(number).recv(&mut response)).unwrap();
        let response = Message::from_vec(&response[..length]).unwrap();
        let name = response.queries[0].name.to_ascii();
        assert_eq!(name, format!("slow20-{}.example.", response.metadata.id));
        assert_eq!(
            (response.metadata.response_code, response.answers.len()),
            (ResponseCode::NoError, 1),
            "{name}"
        );
        answered.insert(response.metadata.id);
    }
    assert_eq!(answered.len(), 256);
    let connections = upstream.connections();
    assert!(connections.max_open <= workers * MAX_CONNECTIONS, "{connections:?}");
    assert!(upstream.queries().iter().all(|query| query.transport == Transport::Tcp));
}

#[test]
fn many_queries_share_few_connections() {
    for order in [ResponseOrder::InOrder, ResponseOrder::OutOfOrder] {
        let server_options = ServerOptions { order, ..ServerOptions::default() };
        let upstream = Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
        let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
        query_many_names(&daemon, 1, &upstream);
    }
    let upstream = upstream();
    let daemon = DaemonProcess::with_two_workers(&forward_corefile(&upstream, "force_tcp"));
    query_many_names(&daemon, 2, &upstream);
}

#[test]
fn force_tcp_uses_no_udp() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    for number in 0..10 {
        daemon.query(&format!("ok-{number}.example."));
        daemon.query_with(&format!("ok-tcp-{number}.example."), &QueryOptions::tcp());
    }
    let queries = upstream.queries();
    assert_eq!(queries.len(), 20);
    assert!(queries.iter().all(|query| query.transport == Transport::Tcp));
    let accepted = upstream.connections().accepted;
    assert!(accepted < 20, "{accepted} connections for 20 queries, none of which waited for another");
}

#[test]
fn an_idle_connection_closed_by_the_upstream_fails_no_query() {
    let server_options = ServerOptions { idle: Duration::from_millis(100), ..ServerOptions::default() };
    let upstream = Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    for number in 1..=3 {
        assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
        let closed = |now: testkit::upstream::Connections| now.accepted == number && now.open == 0;
        assert!(upstream.wait_for_connections(WAIT_LIMIT, closed));
    }
    assert_eq!(upstream.queries().len(), 3);
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(daemon.metric("nodelocaldns_upstream_failures_total"), 0);
}

/// Ends the connection at the second of every three queries; responds to the others.
struct EndConnection {
    count: AtomicUsize,
    end: ScriptStep,
}

impl Script for EndConnection {
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep> {
        match self.count.fetch_add(1, Ordering::Relaxed) % 3 {
            1 => vec![self.end.clone()],
            _ => LabelScript::default().steps(query, transport),
        }
    }
}

#[test]
fn a_query_on_a_lost_connection_is_retried_transparently() {
    for end in [ScriptStep::Close, ScriptStep::Reset] {
        let script = EndConnection { count: AtomicUsize::new(0), end };
        let upstream = Upstream::start_with(loopback(), ServerOptions::default(), script).unwrap();
        let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
        assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
        let retried = daemon.query("ok-2.example.");
        assert_eq!((code(&retried), data(&retried)), (ResponseCode::NoError, vec!["192.0.2.1".to_owned()]));
        let queries = upstream.queries();
        let retried = queries.iter().filter(|query| query.is_for("ok-2.example."));
        let connections: Vec<u64> = retried.map(|query| query.connection).collect();
        assert!(matches!(connections[..], [lost, other] if lost != other), "{connections:?}");
        assert_eq!(daemon.warnings(), Vec::<String>::new());
        assert_eq!(daemon.metric("nodelocaldns_upstream_retries_total"), 1);
        assert_eq!(daemon.metric("nodelocaldns_upstream_failures_total"), 0);
    }
}

#[test]
fn two_workers_share_one_upstream_query_and_its_response() {
    let upstream = upstream();
    let daemon = DaemonProcess::with_two_workers(&forward_corefile(&upstream, "force_tcp"));
    query_from_sixty_clients(&daemon, "slow300-same.example.");
    for _ in 0..20 {
        daemon.query("slow300-same.example.");
    }
    assert_eq!(upstream.query_count("slow300-same.example."), 1);
    assert_eq!(daemon.metric("coredns_cache_hits_total"), 20);
}
