//! Upstreams that do not answer as they should: the client hears of it in time, and why.

use std::thread;
use std::time::Duration;

use testkit::client::QueryOptions;
use testkit::upstream::{ClosedPort, Transport, Upstream};
use testkit::{RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonProcess, READY, loopback, unique_address, upstream};
use crate::responses::{code, data, extended_error, with_edns};

/// RFC 8914: No Reachable Authority, and Network Error.
const NO_REACHABLE_AUTHORITY: u16 = 22;
const NETWORK_ERROR: u16 = 23;

/// A stub resolver that waits 5 s has its answer before that.
const STUB_PATIENCE: Duration = Duration::from_secs(5);

/// Who lies costs no more than this, whether the truth follows or not.
const LIES_END: Duration = Duration::from_secs(2);

#[test]
fn an_upstream_that_refuses_is_told_at_once() {
    let closed = ClosedPort::bind(loopback()).unwrap();
    let to = closed.addr();
    // Without `max_fails 0` probes would be dialled for too.
    for (options, proto) in [("force_tcp\n max_fails 0", "tcp"), ("prefer_udp\n max_fails 0", "udp")] {
        let corefile = format!(
            ".:{DNS} {{\n bind @\n errors\n cache 30\n forward . {to} {{\n {options}\n }}\n ready @:{READY}\n }}"
        );
        let daemon = DaemonProcess::start(&corefile);
        let refused = daemon.query_with("ok-1.example.", &with_edns());
        assert_eq!(code(&refused), ResponseCode::ServFail, "{proto}");
        assert_eq!(extended_error(&refused), Some(NETWORK_ERROR));
        assert!(refused.elapsed < Duration::from_secs(1), "{:?}", refused.elapsed);
        let opened = format!("coredns_proxy_conn_cache_misses_total{{proto=\"{proto}\",to=\"{to}\"}}");
        assert!((1..=2).contains(&daemon.metric(&opened)), "{proto}: {}", daemon.metric(&opened));
        let line = daemon.wait_for_log("plugin/errors");
        assert!(line.starts_with("[ERROR] plugin/errors: 2 ok-1.example. A: "), "{line}");
        assert!(line.ends_with("connection refused"), "{line}");
    }
}

/// Neither silence nor an answer that comes too late; the late one is kept for the next who asks.
fn silence(daemon: &DaemonProcess, upstream: &Upstream) {
    let late = "slow4700-1.example.";
    thread::scope(|scope| {
        for name in ["silent-1.example.", late] {
            scope.spawn(move || {
                let answer = daemon.query_with(name, &with_edns());
                assert_eq!(code(&answer), ResponseCode::ServFail, "{name}");
                assert_eq!(extended_error(&answer), Some(NO_REACHABLE_AUTHORITY), "{name}");
                assert!(answer.elapsed < STUB_PATIENCE, "{name}: {:?}", answer.elapsed);
            });
        }
    });
    assert!(daemon.wait_for_metric("nodelocaldns_late_responses_total", 1));
    let asked = upstream.query_count(late);
    assert_eq!(data(&daemon.query(late)), ["192.0.2.1"]);
    assert_eq!(upstream.query_count(late), asked, "the late answer was kept");
    let line = daemon.wait_for_log("silent-1.example.");
    assert!(line.starts_with("[ERROR] plugin/errors: 2 silent-1.example. A: read tcp"), "{line}");
    assert!(line.ends_with("i/o timeout"), "{line}");
}

/// Answers to something else are never believed, and the right one behind them is.
fn lies(daemon: &DaemonProcess, options: &QueryOptions) {
    thread::scope(|scope| {
        for name in ["wrongid-1.example.", "wrongq-1.example.", "garbage-1.example."] {
            scope.spawn(move || {
                let answer = daemon.query_with(name, options);
                assert_eq!((code(&answer), data(&answer).len()), (ResponseCode::ServFail, 0), "{name}");
                assert!(answer.elapsed < LIES_END, "{name}: {:?}", answer.elapsed);
            });
        }
        for name in ["wrongidgood-1.example.", "wrongqgood-1.example.", "garbagegood-1.example."] {
            scope.spawn(move || {
                let answer = daemon.query_with(name, options);
                assert_eq!(data(&answer), ["192.0.2.1"], "{name}");
                assert!(answer.elapsed < LIES_END, "{name}: {:?}", answer.elapsed);
            });
        }
    });
    assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
    assert_eq!(data(&daemon.query_with("ok-1.example.", options)), ["192.0.2.1"]);
}

#[test]
fn neither_silence_nor_lies_cost_more_than_a_stub_waits() {
    let (silent, lying) = (upstream(), upstream());
    let patient = DaemonProcess::forwarding_to(&silent, "force_tcp");
    let (by_udp, by_tcp) = (
        DaemonProcess::forwarding_to(&lying, "prefer_udp"),
        DaemonProcess::forwarding_to(&lying, "force_tcp"),
    );
    thread::scope(|scope| {
        scope.spawn(|| silence(&patient, &silent));
        scope.spawn(|| lies(&by_udp, &QueryOptions::default()));
        scope.spawn(|| lies(&by_tcp, &QueryOptions::tcp()));
    });
}

#[test]
fn one_dead_upstream_of_two_is_passed_over() {
    let (dead, alive) = (ClosedPort::bind(loopback()).unwrap(), upstream());
    let corefile = format!(
        ".:{DNS} {{\n bind @\n errors\n forward . {} {} {{\n force_tcp\n policy sequential\n }}\n ready @:{READY}\n }}",
        dead.addr(),
        alive.addr()
    );
    let daemon = DaemonProcess::start(&corefile);
    for number in 0..10 {
        let answer = daemon.query(&format!("ok-{number}.example."));
        assert_eq!(data(&answer), ["192.0.2.1"]);
        assert!(answer.elapsed < Duration::from_secs(1));
    }
    assert_eq!(daemon.warnings(), Vec::<String>::new());
}

#[test]
fn an_upstream_that_comes_back_is_used_at_once() {
    // Of its own, so that no socket of another test is where it comes back.
    let closed = ClosedPort::bind((unique_address(), DNS).into()).unwrap();
    let to = closed.addr();
    let daemon = DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n forward . {to} {{\n force_tcp\n }}\n ready @:{READY}\n }}"
    ));
    assert_eq!(code(&daemon.query("ok-1.example.")), ResponseCode::ServFail);
    drop(closed);
    let back = Upstream::start(to).unwrap();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(back.queries()[0].transport, Transport::Tcp);
    assert_eq!(back.queries()[0].record_type, RecordType::A);
}
