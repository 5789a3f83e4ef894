//! Upstreams over UDP: nothing that can be guessed, and nothing believed that was not asked.

use std::collections::HashSet;
use std::time::Duration;

use testkit::client::QueryOptions;
use testkit::upstream::Transport;
use testkit::{RecordType, ResponseCode};

use crate::fixture::{DaemonProcess, upstream};
use crate::responses::{code, data};

/// Questions whose ports and IDs are looked at.
const SAMPLE: usize = 200;
/// Values out of so many that may repeat by chance: ports come from 28,232, IDs from 65,536, so that one repeats at
/// most now and then.
const BY_CHANCE: usize = 8;

#[test]
fn every_question_has_a_fresh_port_and_a_fresh_id() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    for number in 0..SAMPLE {
        daemon.query(&format!("ok-{number}.example."));
    }
    let questions = upstream.queries();
    assert_eq!(questions.len(), SAMPLE);
    assert!(questions.iter().all(|question| question.transport == Transport::Udp));
    let ids: Vec<u16> = questions.iter().map(|question| question.message.metadata.id).collect();
    let ports: Vec<u16> = questions.iter().map(|question| question.peer.port()).collect();
    for values in [ids, ports] {
        let distinct: HashSet<u16> = values.iter().copied().collect();
        assert!(distinct.len() >= SAMPLE - BY_CHANCE, "{} distinct", distinct.len());
        let steps: Vec<u16> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        let near = steps.iter().filter(|step| **step < 256 || **step > u16::MAX - 256).count();
        assert!(near < 2 * BY_CHANCE, "{near} of {} steps are small", steps.len());
        let distinct: HashSet<u16> = steps.iter().copied().collect();
        assert!(distinct.len() >= steps.len() - 2 * BY_CHANCE, "steps repeat: {}", distinct.len());
    }
}

#[test]
fn false_answers_are_passed_over_and_the_right_one_is_taken() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    let answer = daemon.query("spoof-1.example.");
    assert_eq!(data(&answer), ["192.0.2.1"]);
    assert!(answer.elapsed < Duration::from_secs(1), "{:?}", answer.elapsed);
    assert_eq!(upstream.queries().len(), 1);
    assert_eq!(daemon.metric("nodelocaldns_upstream_mismatches_total"), 2);
}

#[test]
fn a_truncated_answer_is_fetched_by_tcp_and_kept_whole() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    assert_eq!(data(&daemon.query("tc-1.example.")), ["192.0.2.1"]);
    let transports: Vec<Transport> = upstream.queries().iter().map(|question| question.transport).collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);

    let cut = daemon.query("big-400-1.example.");
    assert!(cut.message.metadata.truncation);
    let kept = data(&cut).len();
    assert!((1..400).contains(&kept), "as many as fit: {kept}");
    let whole = daemon.query_with("big-400-1.example.", &QueryOptions::tcp());
    assert_eq!((data(&whole).len(), whole.message.metadata.truncation), (400, false));
    assert_eq!(upstream.query_count("big-400-1.example."), 2, "once by UDP and once by TCP");
}

#[test]
fn questions_travel_as_the_client_came() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "expire 10s");
    daemon.query("ok-udp.example.");
    daemon.query_with("ok-tcp.example.", &QueryOptions::tcp());
    let transports: Vec<Transport> = upstream.queries().iter().map(|question| question.transport).collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
}

#[test]
fn what_the_upstream_says_is_told() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    for (name, wanted, authorities) in [
        ("nxdomain-1.example.", ResponseCode::NXDomain, 1),
        ("nodata-1.example.", ResponseCode::NoError, 1),
        ("servfail-1.example.", ResponseCode::ServFail, 0),
        ("refused-1.example.", ResponseCode::Refused, 0),
    ] {
        let answer = daemon.query(name);
        assert_eq!((code(&answer), answer.message.authorities.len()), (wanted, authorities), "{name}");
        assert!(data(&answer).is_empty());
    }
    let aaaa = daemon.client().query("ok-1.example.", RecordType::AAAA, &QueryOptions::default()).unwrap();
    assert_eq!(data(&aaaa), ["2001:db8::1"]);
}
