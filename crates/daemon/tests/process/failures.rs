//! Failing upstreams: clients get SERVFAIL with an Extended DNS Error.

use std::thread;

use testkit::client::QueryOptions;
use testkit::upstream::{ClosedPort, Transport, Upstream};
use testkit::{RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonProcess, READY, loopback, unique_address, upstream};
use crate::responses::{code, data, extended_error, with_edns};

/// RFC 8914: No Reachable Authority, and Network Error.
const NO_REACHABLE_AUTHORITY: u16 = 22;
const NETWORK_ERROR: u16 = 23;

#[test]
fn a_refused_connection_gives_servfail() {
    let closed = ClosedPort::bind(loopback()).unwrap();
    let to = closed.addr();
    // Without `max_fails 0` health checks would dial as well.
    for (options, proto) in [("force_tcp\n max_fails 0", "tcp"), ("prefer_udp\n max_fails 0", "udp")] {
        let daemon = DaemonProcess::forwarding_to_addr(to, options);
        let refused = daemon.query_with("ok-1.example.", &with_edns());
        assert_eq!(code(&refused), ResponseCode::ServFail, "{proto}");
        assert_eq!(extended_error(&refused), Some(NETWORK_ERROR));
        let opened = format!("coredns_proxy_conn_cache_misses_total{{proto=\"{proto}\",to=\"{to}\"}}");
        assert!((1..=2).contains(&daemon.metric(&opened)), "{proto}: {}", daemon.metric(&opened));
        let line = daemon.wait_for_log("plugin/errors");
        assert!(line.starts_with("[ERROR] plugin/errors: 2 ok-1.example. A: "), "{line}");
        assert!(line.ends_with("connection refused"), "{line}");
    }
}

/// No response and a late one give SERVFAIL; the late one is cached.
fn silence(daemon: &DaemonProcess, upstream: &Upstream) {
    let late = "slow4700-1.example.";
    thread::scope(|scope| {
        for name in ["silent-1.example.", late] {
            scope.spawn(move || {
                let response = daemon.query_with(name, &with_edns());
                assert_eq!(code(&response), ResponseCode::ServFail, "{name}");
                assert_eq!(extended_error(&response), Some(NO_REACHABLE_AUTHORITY), "{name}");
            });
        }
    });
    assert!(daemon.wait_for_metric("nodelocaldns_late_responses_total", 1));
    let attempts = upstream.query_count(late);
    assert_eq!(data(&daemon.query(late)), ["192.0.2.1"]);
    assert_eq!(upstream.query_count(late), attempts, "the late response was cached");
    let line = daemon.wait_for_log("silent-1.example.");
    assert!(line.starts_with("[ERROR] plugin/errors: 2 silent-1.example. A: read tcp"), "{line}");
    assert!(line.ends_with("i/o timeout"), "{line}");
}

/// Mismatched responses are ignored, and the right one behind them is used.
fn mismatches(daemon: &DaemonProcess, options: &QueryOptions) {
    thread::scope(|scope| {
        for name in ["wrongid-1.example.", "wrongq-1.example.", "garbage-1.example."] {
            scope.spawn(move || {
                let response = daemon.query_with(name, options);
                assert_eq!((code(&response), data(&response).len()), (ResponseCode::ServFail, 0), "{name}");
            });
        }
        for name in ["wrongidgood-1.example.", "wrongqgood-1.example.", "garbagegood-1.example."] {
            scope.spawn(move || {
                let response = daemon.query_with(name, options);
                assert_eq!(data(&response), ["192.0.2.1"], "{name}");
            });
        }
    });
    assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
    assert_eq!(data(&daemon.query_with("ok-1.example.", options)), ["192.0.2.1"]);
}

#[test]
fn silence_and_mismatches_give_servfail() {
    let (silent, mismatching) = (upstream(), upstream());
    let daemon = DaemonProcess::forwarding_to(&silent, "force_tcp");
    let (by_udp, by_tcp) = (
        DaemonProcess::forwarding_to(&mismatching, "prefer_udp"),
        DaemonProcess::forwarding_to(&mismatching, "force_tcp"),
    );
    thread::scope(|scope| {
        scope.spawn(|| silence(&daemon, &silent));
        scope.spawn(|| mismatches(&by_udp, &QueryOptions::default()));
        scope.spawn(|| mismatches(&by_tcp, &QueryOptions::tcp()));
    });
}

#[test]
fn a_dead_upstream_of_two_is_skipped() {
    let (dead, alive) = (ClosedPort::bind(loopback()).unwrap(), upstream());
    let corefile = format!(
        ".:{DNS} {{\n bind @\n errors\n forward . {} {} {{\n force_tcp\n policy sequential\n }}\n ready @:{READY}\n }}",
        dead.addr(),
        alive.addr()
    );
    let daemon = DaemonProcess::start(&corefile);
    for number in 0..10 {
        let response = daemon.query(&format!("ok-{number}.example."));
        assert_eq!(data(&response), ["192.0.2.1"]);
    }
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}

#[test]
fn a_recovered_upstream_is_used_at_once() {
    // An address of its own, so that no other test binds the port in the meantime.
    let closed = ClosedPort::bind((unique_address(), DNS).into()).unwrap();
    let to = closed.addr();
    let daemon = DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n forward . {to} {{\n force_tcp\n }}\n ready @:{READY}\n }}"
    ));
    assert_eq!(code(&daemon.query("ok-1.example.")), ResponseCode::ServFail);
    drop(closed);
    let recovered = Upstream::start(to).unwrap();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(recovered.queries()[0].transport, Transport::Tcp);
    assert_eq!(recovered.queries()[0].record_type, RecordType::A);
}
