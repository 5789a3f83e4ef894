//! Hostile upstreams: silent, refusing, resetting or sending mismatched responses. Each client gets
//! the response to its own question or SERVFAIL in time, and other names are not affected.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use testkit::ResponseCode;
use testkit::client::{QueryOptions, Response};
use testkit::upstream::{
    Blackhole, ClosedPort, LabelScript, ResponseOrder, ServerOptions, Transport, Upstream,
};

use crate::fixture::{DaemonProcess, STUB_TIMEOUT, WAIT_LIMIT, loopback};
use crate::responses::{code, data, extended_error};

/// Queries of one kind at once.
const BURST: usize = 50;
/// Limit for mismatches and lost connections.
const MISMATCH_LIMIT: Duration = Duration::from_secs(2);
/// The response time of an ordinary name after the hostile ones.
const PROMPT: Duration = Duration::from_millis(50);
/// The pause between two dials of a refusing upstream, and some time after the second.
const REFUSED_LIMIT: Duration = Duration::from_millis(50 + 100);
/// On a busy machine one round may take too long; a server that hostile names delay takes too long
/// in every one.
const ROUNDS: usize = 3;
/// Two attempts, each of which may be retried on a new connection.
const MAX_ATTEMPTS: usize = 4;
/// Each may have been sent over UDP before.
const MAX_ATTEMPTS_UDP: usize = 6;
/// Connections of one worker to one upstream, once it has closed others.
const MAX_OPEN: u64 = 16;

/// RFC 8914: No Reachable Authority, and Network Error.
const EXTENDED_ERRORS: [u16; 2] = [22, 23];

/// The expected response to a hostile name.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// With an Extended DNS Error.
    ServFail,
    /// Number of records.
    Answers(usize),
    /// One address or SERVFAIL: octets after a response do not invalidate it.
    AnswerOrServFail,
    /// TC and no records.
    Truncated,
}

/// Every second client uses TCP.
fn options(number: usize) -> QueryOptions {
    let transport = if number.is_multiple_of(2) { Transport::Udp } else { Transport::Tcp };
    QueryOptions { transport, edns: Some(1232), ..QueryOptions::default() }
}

fn check(name: &str, response: &Response, expected: Expected) {
    assert_eq!(response.message.queries.len(), 1, "{name}");
    assert_eq!(response.message.queries[0].name.to_ascii(), name, "the question of another client");
    let truncated = response.message.metadata.truncation;
    let found = (code(response), data(response).len(), truncated);
    match expected {
        Expected::AnswerOrServFail if code(response) == ResponseCode::NoError => {
            assert_eq!(data(response), ["192.0.2.1"])
        }
        Expected::ServFail | Expected::AnswerOrServFail => {
            assert_eq!(found, (ResponseCode::ServFail, 0, false), "{name}");
            let error = extended_error(response);
            assert!(error.is_some_and(|error| EXTENDED_ERRORS.contains(&error)), "{name}: {error:?}");
        }
        Expected::Answers(count) if truncated => assert!(data(response).len() < count, "{name}"),
        Expected::Answers(count) => assert_eq!(found, (ResponseCode::NoError, count, false), "{name}"),
        Expected::Truncated => assert_eq!(found, (ResponseCode::NoError, 0, true), "{name}"),
    }
}

/// Queries hostile names, all at once, and checks the responses.
fn query_burst(daemon: &DaemonProcess, names: &[String], (expected, limit): (Expected, Duration)) {
    thread::scope(|scope| {
        for (number, name) in names.iter().enumerate() {
            scope.spawn(move || {
                let response = daemon.query_with(name, &options(number));
                check(name, &response, expected);
                assert!(response.elapsed < limit, "{name}: {:?}", response.elapsed);
            });
        }
    });
}

/// The response time of the slower of two clients for an ordinary name that is not cached.
fn query_ordinary(daemon: &DaemonProcess, name: &str) -> Duration {
    let took = [0, 1].map(|number| {
        let response = daemon.query_with(&format!("ok-{number}-{name}"), &options(number));
        check(&format!("ok-{number}-{name}"), &response, Expected::Answers(1));
        assert_eq!(data(&response), ["192.0.2.1"]);
        response.elapsed
    });
    took.into_iter().max().unwrap()
}

/// Fifty hostile names of one kind, then an ordinary one.
fn withstands(daemon: &DaemonProcess, upstream: &Upstream, behaviour: &str, wanted: (Expected, Duration)) {
    let by_udp = upstream.queries().first().is_some_and(|query| query.transport == Transport::Udp);
    let max_attempts = if by_udp { MAX_ATTEMPTS_UDP } else { MAX_ATTEMPTS };
    let mut took = Duration::MAX;
    for round in 0..ROUNDS {
        let before = upstream.connections().accepted;
        let names: Vec<String> =
            (0..BURST).map(|number| format!("{behaviour}-{round}-{number}.example.")).collect();
        query_burst(daemon, &names, wanted);
        took = query_ordinary(daemon, &format!("{behaviour}-{round}.example."));
        let queries = upstream.queries();
        for name in &names {
            let attempts = queries.iter().filter(|query| query.is_for(name)).count();
            assert!(attempts <= max_attempts, "{name} was queried {attempts} times");
        }
        let dialled = upstream.connections().accepted - before;
        let most = u64::try_from(max_attempts * BURST).unwrap() + MAX_OPEN;
        assert!(dialled <= most, "{behaviour}: {dialled} connections");
        assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.open <= MAX_OPEN), "{behaviour}");
        if took <= PROMPT {
            return;
        }
    }
    panic!("{behaviour}: an ordinary name took {took:?} afterwards");
}

/// Behaviour of the upstream, expected response, and time limit.
type Case = (&'static str, Expected, Duration);

/// All behaviours. Over UDP there is no connection to break: the upstream is silent instead.
fn cases(by_udp: bool) -> Vec<Case> {
    let broken_by = if by_udp { STUB_TIMEOUT } else { MISMATCH_LIMIT };
    let failures = ["garbage", "wrongid", "wrongq", "wrongclass", "cut", "counts", "rdlen", "lensmall"];
    let responses = ["garbagegood", "wrongidgood", "wrongqgood", "wrongclassgood", "spoof", "poison"];
    let mismatched = failures.map(|behaviour| (behaviour, Expected::ServFail, MISMATCH_LIMIT));
    let right = responses.map(|behaviour| (behaviour, Expected::Answers(1), MISMATCH_LIMIT));
    let others = [
        ("trunc", Expected::Truncated, MISMATCH_LIMIT),
        ("huge", Expected::Answers(1000), MISMATCH_LIMIT),
        ("cnameloop", Expected::Answers(2), MISMATCH_LIMIT),
        ("rst", Expected::ServFail, broken_by),
        ("fin", Expected::ServFail, broken_by),
        ("lenbig", Expected::AnswerOrServFail, STUB_TIMEOUT),
        ("silent", Expected::ServFail, STUB_TIMEOUT),
    ];
    [mismatched.as_slice(), &right, &others].concat()
}

/// The cases are shared among a few upstreams, so that timeouts elapse at the same time.
fn withstands_all(order: ResponseOrder, options: &str) {
    const AT_A_TIME: usize = 2;
    let cases = cases(options.contains("prefer_udp"));
    thread::scope(|scope| {
        for first in 0..AT_A_TIME {
            let some = cases.iter().skip(first).step_by(AT_A_TIME);
            scope.spawn(move || {
                let server_options = ServerOptions { order, ..ServerOptions::default() };
                let upstream =
                    Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
                let daemon = DaemonProcess::forwarding_to(&upstream, options);
                query_ordinary(&daemon, "first.example.");
                for (behaviour, expected, limit) in some {
                    withstands(&daemon, &upstream, behaviour, (*expected, *limit));
                }
                assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
                let victim = daemon.query("ok-victim.example.");
                assert_eq!(data(&victim), ["192.0.2.1"], "a record of another name was cached");
            });
        }
    });
}

#[test]
fn hostile_responses_over_tcp_are_rejected_in_time() {
    withstands_all(ResponseOrder::InOrder, "force_tcp");
}

#[test]
fn hostile_responses_over_shared_connections_are_rejected_in_time() {
    withstands_all(ResponseOrder::OutOfOrder, "force_tcp");
}

#[test]
fn hostile_responses_over_udp_are_rejected_in_time() {
    withstands_all(ResponseOrder::InOrder, "prefer_udp");
}

/// At most two dials per query, without health checks.
fn assert_two_dials(to: SocketAddr, transport: &str) {
    let daemon = DaemonProcess::forwarding_to_addr(to, &format!("{transport}\n max_fails 0"));
    let dials = || daemon.metric(&format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}"));
    let mut slowest = Duration::MAX;
    for round in 0..ROUNDS {
        let took = (0..10).map(|number| {
            let (name, before) = (format!("ok-{round}-{number}.example."), dials());
            let response = daemon.query_with(&name, &options(number));
            check(&name, &response, Expected::ServFail);
            assert!((1..=2).contains(&(dials() - before)), "{transport}: {} dials", dials() - before);
            response.elapsed
        });
        slowest = took.max().unwrap();
        if slowest <= REFUSED_LIMIT {
            return;
        }
    }
    panic!("{transport}: {slowest:?}");
}

#[test]
fn a_refusing_upstream_is_dialled_at_most_twice_and_clients_get_servfail_at_once() {
    let closed = ClosedPort::bind(loopback()).unwrap();
    thread::scope(|scope| {
        for transport in ["force_tcp", "prefer_udp"] {
            scope.spawn(|| assert_two_dials(closed.addr(), transport));
        }
    });
}

#[test]
fn an_unreachable_upstream_gives_every_client_servfail_in_time() {
    let blackhole = Blackhole::bind(loopback()).unwrap();
    thread::scope(|scope| {
        for transport in ["force_tcp", "prefer_udp"] {
            let to = blackhole.addr();
            scope.spawn(move || {
                let daemon = DaemonProcess::forwarding_to_addr(to, transport);
                let names: Vec<String> = (0..BURST).map(|number| format!("ok-{number}.example.")).collect();
                query_burst(&daemon, &names, (Expected::ServFail, STUB_TIMEOUT));
                let dials = daemon.metric(&format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}"));
                let names = u64::try_from(BURST).unwrap();
                // The rest are health checks, half a second apart.
                assert!(dials <= 2 * names + 20, "{transport}: {dials} dials");
            });
        }
    });
}
