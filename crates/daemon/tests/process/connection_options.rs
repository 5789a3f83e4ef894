//! Connections to upstreams: `expire`, `source_address`, and hostile names beside ordinary ones.

use std::thread;

use testkit::client::QueryOptions;
use testkit::upstream::{LabelScript, Transport, Upstream};
use testkit::{Message, ResponseCode};

use crate::fixture::{
    DaemonProcess, WAIT_LIMIT, loopback, out_of_order_upstream, query_names, unique_address, upstream,
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
        let is_hostile = hostile.iter().any(|behaviour| name.starts_with(behaviour));
        let code = if is_hostile { ResponseCode::ServFail } else { ResponseCode::NoError };
        assert_eq!(
            (response.metadata.response_code, response.answers.is_empty()),
            (code, is_hostile),
            "{name}"
        );
    }
    assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
    let ordinary = daemon.query("ok-after.example.");
    assert_eq!((code(&ordinary), data(&ordinary)), (ResponseCode::NoError, vec!["192.0.2.1".to_owned()]));
    assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.open <= MAX_CONNECTIONS));
}
