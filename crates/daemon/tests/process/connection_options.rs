//! Connection options of `forward`: age, idle timeout, number, source address; and connections to
//! hostile upstreams.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, Builder};
use std::time::Duration;

use testkit::client::QueryOptions;
use testkit::clock::now;
use testkit::upstream::{ClosedPort, LabelScript, ReceivedQuery, Transport, Upstream};
use testkit::{Message, ResponseCode};

use crate::fixture::{
    DNS, DaemonProcess, READY, WAIT_LIMIT, loopback, out_of_order_upstream, query_names, unique_address,
    upstream,
};
use crate::responses::{code, data};

/// Connections of one worker to one upstream, silent ones included.
const MAX_CONNECTIONS: u64 = 16;

/// Queries all `names` from one socket, with `window` in flight.
fn query_all(daemon: &DaemonProcess, names: &[String], window: usize) -> Vec<Message> {
    let responses = query_names(&daemon.udp_socket(WAIT_LIMIT), names, window, &QueryOptions::default());
    responses.into_iter().map(|response| response.message).collect()
}

fn names(behaviour: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{behaviour}-{number}.example.")).collect()
}

#[test]
fn a_busy_connection_is_not_used_beyond_max_age() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp\n expire 500ms\n max_age 500ms");
    let mut number = 0;
    let started = now();
    while upstream.connections().accepted < 4 {
        assert!(started.elapsed() < WAIT_LIMIT);
        assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
        number += 1;
    }
    let mut ages: HashMap<u64, Vec<ReceivedQuery>> = HashMap::new();
    for query in upstream.queries() {
        ages.entry(query.connection).or_default().push(query);
    }
    for (connection, queries) in ages {
        let used = queries.last().unwrap().received_at - queries.first().unwrap().received_at;
        assert!(used < Duration::from_secs(1), "{connection}: {used:?}");
    }
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(
        daemon.metric("nodelocaldns_upstream_retries_total"),
        0,
        "connections were retired before the upstream closed them"
    );
}

#[test]
fn an_idle_connection_is_closed_when_it_expires() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp\n expire 200ms");
    for number in 1..=2 {
        assert_eq!(data(&daemon.query(&format!("ok-{number}.example."))), ["192.0.2.1"]);
        assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.accepted == number && now.open == 0));
    }
    assert_eq!(daemon.metric("nodelocaldns_upstream_retries_total"), 0, "we closed them");
}

#[test]
fn source_address_is_used_for_upstream_queries() {
    let upstream = upstream();
    let source = unique_address();
    let daemon = DaemonProcess::forwarding_to(&upstream, &format!("prefer_udp\n source_address {source}"));
    assert_eq!(data(&daemon.query("tc-1.example.")), ["192.0.2.1"]);
    let sources: Vec<_> = upstream.queries().iter().map(|one| (one.transport, one.peer.ip())).collect();
    assert_eq!(sources, [(Transport::Udp, source.into()), (Transport::Tcp, source.into())]);
}

#[test]
fn a_refused_dial_is_shared_by_the_queries_waiting_for_it() {
    let closed = ClosedPort::bind(loopback()).unwrap();
    let to = closed.addr();
    let daemon = DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n forward . {to} {{\n force_tcp\n }}\n prometheus @:9253\n ready @:{READY}\n }}"
    ));
    let started = now();
    let responses = query_all(&daemon, &names("ok", 200), 200);
    assert!(responses.iter().all(|response| response.metadata.response_code == ResponseCode::ServFail));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let dials = daemon.metric(&format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}"));
    assert!(dials <= 200, "{dials} dials for 200 queries");
}

#[test]
fn every_client_gets_the_response_to_its_own_question() {
    thread::scope(|scope| {
        for upstream in [upstream(), out_of_order_upstream(loopback(), LabelScript::default())] {
            scope.spawn(move || assert_own_responses(&upstream));
        }
    });
}

fn assert_own_responses(upstream: &Upstream) {
    let daemon = DaemonProcess::forwarding_to(upstream, "force_tcp");
    query_all(&daemon, &names("ok", 8), 8);
    let ordinary = ["ok", "slow20", "drip", "big-40"];
    let hostile = ["wrongid", "wrongq", "garbage", "rst", "fin", "silent"];
    let mixed: Vec<String> = (0..10)
        .flat_map(|round| {
            let all = ordinary.iter().chain(&hostile);
            all.map(move |behaviour| format!("{behaviour}-{round}.mixed.example."))
        })
        .collect();
    for response in query_all(&daemon, &mixed, mixed.len()) {
        let name = response.queries[0].name.to_ascii();
        // An ordinary name may fail when its connection is lost twice because of others.
        if hostile.iter().any(|behaviour| name.starts_with(behaviour)) {
            assert_eq!(response.metadata.response_code, ResponseCode::ServFail, "{name}");
        }
    }
    assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
    let ordinary = daemon.query("ok-after.example.");
    assert_eq!((code(&ordinary), data(&ordinary)), (ResponseCode::NoError, vec!["192.0.2.1".to_owned()]));
    assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.open <= MAX_CONNECTIONS));
}

/// The address of a Service whose first connections lead to a dead pod and the others to `pod`.
fn service_with_dead_pod(pod: SocketAddr) -> SocketAddr {
    // Below the time of any hedge.
    const DEAD: Duration = Duration::from_millis(300);
    let listener = TcpListener::bind(loopback()).unwrap();
    let service = listener.local_addr().unwrap();
    let serving = Builder::new().name(format!("service {service}")).spawn(move || {
        let (mut dead, mut first) = (Vec::new(), None);
        for stream in listener.incoming().map_while(Result::ok) {
            if first.get_or_insert_with(now).elapsed() < DEAD {
                dead.push(stream);
                continue;
            }
            let back = TcpStream::connect(pod).unwrap();
            for (mut from, mut to) in
                [(stream.try_clone().unwrap(), back.try_clone().unwrap()), (back, stream)]
            {
                let relaying = Builder::new().spawn(move || {
                    // Either side may close or reset the connection.
                    io::copy(&mut from, &mut to).ok();
                    to.shutdown(Shutdown::Both).ok();
                });
                drop(relaying.unwrap());
            }
        }
    });
    drop(serving.unwrap());
    service
}

#[test]
fn queries_sent_to_a_dead_pod_are_retried_at_another_and_later_ones_avoid_it() {
    let upstream = upstream();
    let service = service_with_dead_pod(upstream.addr());
    let daemon = DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n forward . {service} {{\n force_tcp\n }}\n prometheus @:9253\n ready @:{READY}\n }}"
    ));
    let responses = query_all(&daemon, &names("ok", 64), 64);
    assert!(responses.iter().all(|response| response.answers.len() == 1));
    for number in 0..20 {
        let later = daemon.query(&format!("ok-later-{number}.example."));
        assert_eq!(data(&later), ["192.0.2.1"]);
        assert!(later.elapsed < Duration::from_secs(1), "{:?}", later.elapsed);
    }
    assert!(upstream.connections().max_open <= MAX_CONNECTIONS, "{:?}", upstream.connections());
}

/// RFC 5452 section 9.2: unpredictable IDs; RFC 7766 section 6.2.1: distinct ones on a connection.
#[test]
fn a_thousand_queries_share_few_connections_and_have_distinct_ids() {
    const SLOW: Duration = Duration::from_millis(60);
    let upstream = out_of_order_upstream(loopback(), LabelScript::default());
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let responses = query_all(&daemon, &names("slow60", 1000), 1000);
    assert!(responses.iter().all(|response| response.answers.len() == 1));
    assert!(upstream.connections().max_open <= MAX_CONNECTIONS, "{:?}", upstream.connections());
    let mut open: HashMap<(u64, u16), ReceivedQuery> = HashMap::new();
    for query in upstream.queries() {
        let id = query.message.metadata.id;
        if let Some(before) = open.get(&(query.connection, id)) {
            assert!(
                query.received_at - before.received_at >= SLOW,
                "{} and {} share an ID",
                before.name,
                query.name
            );
        }
        open.insert((query.connection, id), query);
    }
}
