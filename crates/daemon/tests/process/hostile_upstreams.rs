//! Upstreams that are silent, refuse, break off or lie: each client is answered in time, with the answer to its own
//! question or with none, and those who ask for honest names do not notice.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use testkit::ResponseCode;
use testkit::client::{QueryOptions, Response};
use testkit::upstream::{
    Blackhole, ClosedPort, LabelScript, ResponseOrder, ServerOptions, Transport, Upstream,
};

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, loopback};
use crate::responses::{code, data, extended_error};

/// Hostile names in a row.
const CROWD: usize = 50;
/// A stub resolver that waits 5 s has its answer before that.
const STUB_PATIENCE: Duration = Duration::from_secs(5);
/// Lies and broken connections cost no more than this.
const LIES_END: Duration = Duration::from_secs(2);
/// What an honest name may take after the hostile ones.
const PROMPT: Duration = Duration::from_millis(50);
/// The pause between two attempts at an upstream that refuses, and what may pass behind the second.
const REFUSED_BY: Duration = Duration::from_millis(50 + 100);
/// Where the machine is busy with something else a round may take too long; a server that hostile names hold up takes
/// too long in every one.
const ROUNDS: usize = 3;
/// Two attempts, and each may have to be made once more on a fresh connection.
const MOST_ASKED: usize = 4;
/// Each may have been made by UDP before.
const MOST_ASKED_BY_UDP: usize = 6;
/// Connections of one worker to one upstream, as soon as it has seen the end of others.
const MOST_OPEN: u64 = 16;

/// RFC 8914: No Reachable Authority, and Network Error.
const EXTENDED_ERRORS: [u16; 2] = [22, 23];

/// What clients hear of a hostile name.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// SERVFAIL, and why.
    Failure,
    /// So many records.
    Answers(usize),
    /// One address, or SERVFAIL: what is behind an answer does not make it a wrong one.
    AnswerOrFailure,
    /// What there is of it, with TC.
    Cut,
}

/// Every second client comes by TCP.
fn options(number: usize) -> QueryOptions {
    let transport = if number.is_multiple_of(2) { Transport::Udp } else { Transport::Tcp };
    QueryOptions { transport, edns: Some(1232), ..QueryOptions::default() }
}

fn check(name: &str, answer: &Response, told: Told) {
    assert_eq!(answer.message.queries.len(), 1, "{name}");
    assert_eq!(answer.message.queries[0].name.to_ascii(), name, "the question of somebody else");
    let truncated = answer.message.metadata.truncation;
    let found = (code(answer), data(answer).len(), truncated);
    match told {
        Told::AnswerOrFailure if code(answer) == ResponseCode::NoError => {
            assert_eq!(data(answer), ["192.0.2.1"])
        }
        Told::Failure | Told::AnswerOrFailure => {
            assert_eq!(found, (ResponseCode::ServFail, 0, false), "{name}");
            let error = extended_error(answer);
            assert!(error.is_some_and(|error| EXTENDED_ERRORS.contains(&error)), "{name}: {error:?}");
        }
        Told::Answers(count) if truncated => assert!(data(answer).len() < count, "{name}"),
        Told::Answers(count) => assert_eq!(found, (ResponseCode::NoError, count, false), "{name}"),
        Told::Cut => assert_eq!(found, (ResponseCode::NoError, 0, true), "{name}"),
    }
}

/// Asks for hostile names, all at once, and checks what comes.
fn crowd(daemon: &DaemonProcess, names: &[String], (told, limit): (Told, Duration)) {
    thread::scope(|scope| {
        for (number, name) in names.iter().enumerate() {
            scope.spawn(move || {
                let answer = daemon.query_with(name, &options(number));
                check(name, &answer, told);
                assert!(answer.elapsed < limit, "{name}: {:?}", answer.elapsed);
            });
        }
    });
}

/// How long the slower of two clients waits for an honest name that nobody asked for before.
fn honest(daemon: &DaemonProcess, name: &str) -> Duration {
    let took = [0, 1].map(|number| {
        let answer = daemon.query_with(&format!("ok-{number}-{name}"), &options(number));
        check(&format!("ok-{number}-{name}"), &answer, Told::Answers(1));
        assert_eq!(data(&answer), ["192.0.2.1"]);
        answer.elapsed
    });
    took.into_iter().max().unwrap()
}

/// Fifty hostile names of a kind, then an honest one.
fn withstands(daemon: &DaemonProcess, upstream: &Upstream, behaviour: &str, wanted: (Told, Duration)) {
    let by_udp = upstream.queries().first().is_some_and(|question| question.transport == Transport::Udp);
    let most_asked = if by_udp { MOST_ASKED_BY_UDP } else { MOST_ASKED };
    let mut took = Duration::MAX;
    for round in 0..ROUNDS {
        let before = upstream.connections().accepted;
        let names: Vec<String> =
            (0..CROWD).map(|number| format!("{behaviour}-{round}-{number}.example.")).collect();
        crowd(daemon, &names, wanted);
        took = honest(daemon, &format!("{behaviour}-{round}.example."));
        let questions = upstream.queries();
        for name in &names {
            let asked = questions.iter().filter(|question| question.is_for(name)).count();
            assert!(asked <= most_asked, "{name} was asked {asked} times");
        }
        let dialled = upstream.connections().accepted - before;
        let most = u64::try_from(most_asked * CROWD).unwrap() + MOST_OPEN;
        assert!(dialled <= most, "{behaviour}: {dialled} connections");
        assert!(upstream.wait_for_connections(WAIT_LIMIT, |now| now.open <= MOST_OPEN), "{behaviour}");
        if took <= PROMPT {
            return;
        }
    }
    panic!("{behaviour}: an honest name took {took:?} afterwards");
}

/// A kind of hostility, what is told, and by when.
type Kind = (&'static str, Told, Duration);

/// Each kind of hostility. Over UDP connections do not break, and the end of one is a silence.
fn kinds(by_udp: bool) -> Vec<Kind> {
    let broken_by = if by_udp { STUB_PATIENCE } else { LIES_END };
    let failures = ["garbage", "wrongid", "wrongq", "wrongclass", "cut", "counts", "rdlen", "lensmall"];
    let answers = ["garbagegood", "wrongidgood", "wrongqgood", "wrongclassgood", "spoof", "poison"];
    let lies = failures.map(|behaviour| (behaviour, Told::Failure, LIES_END));
    let right = answers.map(|behaviour| (behaviour, Told::Answers(1), LIES_END));
    let others = [
        ("trunc", Told::Cut, LIES_END),
        ("huge", Told::Answers(1000), LIES_END),
        ("cnameloop", Told::Answers(2), LIES_END),
        ("rst", Told::Failure, broken_by),
        ("fin", Told::Failure, broken_by),
        ("lenbig", Told::AnswerOrFailure, STUB_PATIENCE),
        ("silent", Told::Failure, STUB_PATIENCE),
    ];
    [lies.as_slice(), &right, &others].concat()
}

/// Each kind at one of a few upstreams, so that what has to be waited for is waited for at the same time.
fn withstands_all(order: ResponseOrder, options: &str) {
    const AT_A_TIME: usize = 2;
    let kinds = kinds(options.contains("prefer_udp"));
    thread::scope(|scope| {
        for first in 0..AT_A_TIME {
            let some = kinds.iter().skip(first).step_by(AT_A_TIME);
            scope.spawn(move || {
                let server_options = ServerOptions { order, ..ServerOptions::default() };
                let upstream =
                    Upstream::start_with(loopback(), server_options, LabelScript::default()).unwrap();
                let daemon = DaemonProcess::forwarding_to(&upstream, options);
                honest(&daemon, "first.example.");
                for (behaviour, told, limit) in some {
                    withstands(&daemon, &upstream, behaviour, (*told, *limit));
                }
                assert!(daemon.metric("nodelocaldns_upstream_mismatches_total") > 0);
                let victim = daemon.query("ok-victim.example.");
                assert_eq!(data(&victim), ["192.0.2.1"], "what nobody asked for was believed");
            });
        }
    });
}

#[test]
fn no_hostility_over_tcp_is_believed_or_waited_for() {
    withstands_all(ResponseOrder::InOrder, "force_tcp");
}

#[test]
fn no_hostility_over_shared_streams_is_believed_or_waited_for() {
    withstands_all(ResponseOrder::OutOfOrder, "force_tcp");
}

#[test]
fn no_hostility_over_udp_is_believed_or_waited_for() {
    withstands_all(ResponseOrder::InOrder, "prefer_udp");
}

/// A block that forwards to an address where no server is.
fn forwarding_to(to: SocketAddr, options: &str) -> DaemonProcess {
    DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n errors\n cache 30\n forward . {to} {{\n {options}\n }}\n prometheus @:9253\n ready @:{READY}\n }}"
    ))
}

/// Two dials at most for a name, probes left out.
fn costs_two_dials(to: SocketAddr, transport: &str) {
    let daemon = forwarding_to(to, &format!("{transport}\n max_fails 0"));
    let dials = || daemon.metric(&format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}"));
    let mut slowest = Duration::MAX;
    for round in 0..ROUNDS {
        let took = (0..10).map(|number| {
            let (name, before) = (format!("ok-{round}-{number}.example."), dials());
            let answer = daemon.query_with(&name, &options(number));
            check(&name, &answer, Told::Failure);
            assert!((1..=2).contains(&(dials() - before)), "{transport}: {} dials", dials() - before);
            answer.elapsed
        });
        slowest = took.max().unwrap();
        if slowest <= REFUSED_BY {
            return;
        }
    }
    panic!("{transport}: {slowest:?}");
}

#[test]
fn an_upstream_that_refuses_is_dialled_twice_for_a_name_and_clients_hear_of_it_at_once() {
    let closed = ClosedPort::bind(loopback()).unwrap();
    thread::scope(|scope| {
        for transport in ["force_tcp", "prefer_udp"] {
            scope.spawn(|| costs_two_dials(closed.addr(), transport));
        }
    });
}

#[test]
fn a_host_that_is_gone_leaves_no_client_without_an_answer() {
    let deaf = Blackhole::bind(loopback()).unwrap();
    thread::scope(|scope| {
        for transport in ["force_tcp", "prefer_udp"] {
            let to = deaf.addr();
            scope.spawn(move || {
                let daemon = forwarding_to(to, transport);
                let names: Vec<String> = (0..CROWD).map(|number| format!("ok-{number}.example.")).collect();
                crowd(&daemon, &names, (Told::Failure, STUB_PATIENCE));
                let dials = daemon.metric(&format!("coredns_proxy_conn_cache_misses_total{{to=\"{to}\"}}"));
                let names = u64::try_from(CROWD).unwrap();
                // Others are probes, half a second apart and each as long as it may take.
                assert!(dials <= 2 * names + 20, "{transport}: {dials} dials");
            });
        }
    });
}
