//! Hostile upstreams: silent, refusing, resetting or sending mismatched responses. Each client gets
//! the response to its own question or SERVFAIL, and other names are answered.

use std::collections::HashMap;
use std::thread;

use testkit::ResponseCode;
use testkit::client::{QueryOptions, Response};
use testkit::upstream::{LabelScript, ServerOptions, Transport, Upstream};

use crate::fixture::{DaemonProcess, WAIT_LIMIT, loopback};
use crate::responses::{code, data, extended_error};

/// Queries of one kind at once.
const BURST: usize = 50;
/// Ordinary names queried at the same time.
const BESIDE: usize = 10;
/// A query is sent twice, or hedged, and once more when its connection breaks or is out of step.
const MAX_ATTEMPTS: usize = 2 + 1;
/// Twice over UDP, from two sockets, then twice over TCP; once more if the first has timed out by then.
const MAX_ATTEMPTS_UDP: usize = 4 + 1;
/// Without any response, the second of the two follows after the others.
const UNANSWERED: [&str; 2] = ["silent", "lenbig"];
/// Shared connections of one worker to one upstream.
const MAX_SHARED: u64 = 16;
/// With those for a single query, and those that wait for their last responses.
const MAX_OPEN: u64 = MAX_SHARED + 32 + 32;

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

/// Queries hostile names and ordinary ones beside them, all at once, and checks the responses.
fn query_burst(daemon: &DaemonProcess, hostile: &[String], expected: Expected, ordinary: &[String]) {
    let hostile = hostile.iter().map(|name| (name, expected));
    let ordinary = ordinary.iter().map(|name| (name, Expected::Answers(1)));
    thread::scope(|scope| {
        for (number, (name, expected)) in hostile.chain(ordinary).enumerate() {
            scope.spawn(move || check(name, &daemon.query_with(name, &options(number)), expected));
        }
    });
}

/// How often each name was queried.
fn attempts<'a>(upstream: &Upstream, names: impl Iterator<Item = &'a String>) -> Vec<usize> {
    let mut attempts: HashMap<String, usize> = HashMap::new();
    for query in upstream.queries() {
        *attempts.entry(query.name).or_default() += 1;
    }
    names.map(|name| attempts[name]).collect()
}

/// Fifty hostile names of one kind with ten ordinary ones.
fn withstands(daemon: &DaemonProcess, upstream: &Upstream, behaviour: &str, expected: Expected) {
    let before = upstream.connections().accepted;
    let count = |counter: &str| daemon.metric(&format!("nodelocaldns_upstream_{counter}_total"));
    let counts = || [count("retransmissions"), count("suspect_connections")];
    let counted_before = counts();
    let named = |kind: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{kind}-{behaviour}-{number}.example.")).collect()
    };
    let (hostile, ordinary) = (named(behaviour, BURST), named("ok", BESIDE));
    query_burst(daemon, &hostile, expected, &ordinary);
    let by_udp = upstream.queries().first().is_some_and(|query| query.transport == Transport::Udp);
    let sent = attempts(upstream, hostile.iter().chain(&ordinary));
    let counted = counts();
    let [retransmitted, suspected] = [0, 1].map(|counter| counted[counter] - counted_before[counter]);
    let most = if by_udp { MAX_ATTEMPTS_UDP } else { MAX_ATTEMPTS };
    let most = most + usize::from(UNANSWERED.contains(&behaviour));
    // A query on a suspect connection is repeated on one that responds.
    let most = most + usize::from(suspected > 0);
    // Octets that are not acknowledged in time are taken for lost, so that their query has not been
    // sent as far as the kernel tells. On a busy machine only the acknowledgment is late.
    let excess: usize = sent.iter().map(|sent| sent.saturating_sub(most)).sum();
    assert!(
        u64::try_from(excess).unwrap() <= retransmitted,
        "{behaviour}: more than {most} attempts and {retransmitted} retransmissions: {sent:?}"
    );
    let connections = upstream.connections();
    let most = u64::try_from(2 * (BURST + BESIDE)).unwrap();
    assert!(connections.accepted - before <= most, "{behaviour}: two dials for each query: {connections:?}");
    assert!(connections.max_open <= MAX_OPEN, "{behaviour}: {connections:?}");
}

/// All behaviours. Over UDP there is no connection to break: the upstream is silent instead.
fn cases() -> Vec<(&'static str, Expected)> {
    let failures = [
        "garbage",
        "wrongid",
        "wrongq",
        "wrongclass",
        "cut",
        "counts",
        "rdlen",
        "lensmall",
        "rst",
        "fin",
        "silent",
    ];
    let responses = ["garbagegood", "wrongidgood", "wrongqgood", "wrongclassgood", "spoof", "poison"];
    let failures = failures.map(|behaviour| (behaviour, Expected::ServFail));
    let right = responses.map(|behaviour| (behaviour, Expected::Answers(1)));
    let others = [
        ("trunc", Expected::Truncated),
        ("huge", Expected::Answers(1000)),
        ("cnameloop", Expected::Answers(2)),
        ("lenbig", Expected::AnswerOrServFail),
    ];
    [failures.as_slice(), &right, &others].concat()
}

/// The cases are shared among a few upstreams, so that timeouts elapse at the same time.
fn withstands_all(options: &str) {
    const AT_A_TIME: usize = 2;
    let cases = cases();
    thread::scope(|scope| {
        for first in 0..AT_A_TIME {
            let some = cases.iter().skip(first).step_by(AT_A_TIME);
            scope.spawn(move || {
                let upstream =
                    Upstream::start_with(loopback(), ServerOptions::default(), LabelScript::default())
                        .unwrap();
                let daemon = DaemonProcess::forwarding_to(&upstream, options);
                assert_eq!(data(&daemon.query("ok-first.example.")), ["192.0.2.1"]);
                for (behaviour, expected) in some {
                    withstands(&daemon, &upstream, behaviour, *expected);
                }
                assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
                let victim = daemon.query("ok-victim.example.");
                assert_eq!(data(&victim), ["192.0.2.1"], "a record of another name was cached");
                assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.open <= MAX_SHARED));
            });
        }
    });
}

#[test]
fn hostile_responses_over_tcp_are_rejected() {
    withstands_all("force_tcp");
}

#[test]
fn hostile_responses_over_udp_are_rejected() {
    withstands_all("prefer_udp");
}
