//! Upstreams over UDP: unpredictable ports and IDs, spoofed responses, truncation.

use std::collections::HashSet;

use testkit::client::QueryOptions;
use testkit::upstream::Transport;
use testkit::{RecordType, ResponseCode};

use crate::fixture::{DaemonProcess, upstream};
use crate::responses::{code, data};

/// Queries whose IDs and ports are examined.
const SAMPLE: usize = 200;
/// Source ports of two workers, with those of hedges on a busy machine.
const MAX_PORTS: usize = 16;
/// Values of the sample that may repeat by chance: there are 65,536 IDs.
const BY_CHANCE: usize = 8;

#[test]
fn queries_have_random_ids_and_share_a_few_ports() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    for number in 0..SAMPLE {
        daemon.query(&format!("ok-{number}.example."));
    }
    let queries = upstream.queries();
    assert_eq!(queries.len(), SAMPLE);
    assert!(queries.iter().all(|query| query.transport == Transport::Udp));
    let ids: Vec<u16> = queries.iter().map(|query| query.message.metadata.id).collect();
    let distinct: HashSet<u16> = ids.iter().copied().collect();
    assert!(distinct.len() >= SAMPLE - BY_CHANCE, "{} distinct", distinct.len());
    let steps: Vec<u16> = ids.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let near = steps.iter().filter(|step| **step < 256 || **step > u16::MAX - 256).count();
    assert!(near < 2 * BY_CHANCE, "{near} of {} steps are small", steps.len());
    let distinct: HashSet<u16> = steps.iter().copied().collect();
    assert!(distinct.len() >= steps.len() - 2 * BY_CHANCE, "steps repeat: {}", distinct.len());
    // Two for each worker at a time.
    let ports: HashSet<u16> = queries.iter().map(|query| query.peer.port()).collect();
    assert!(ports.len() <= MAX_PORTS, "{} ports", ports.len());
}

#[test]
fn spoofed_responses_are_ignored_and_the_right_one_is_used() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    let response = daemon.query("spoof-1.example.");
    assert_eq!(data(&response), ["192.0.2.1"]);
    assert_eq!(upstream.queries().len(), 1);
    assert_eq!(daemon.metric("nodelocaldns_upstream_mismatches_total"), 2);
}

#[test]
fn a_truncated_response_is_fetched_over_tcp_and_cached_whole() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    assert_eq!(data(&daemon.query("tc-1.example.")), ["192.0.2.1"]);
    let transports: Vec<Transport> = upstream.queries().iter().map(|query| query.transport).collect();
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
fn the_upstream_transport_is_that_of_the_client() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "expire 10s");
    daemon.query("ok-udp.example.");
    daemon.query_with("ok-tcp.example.", &QueryOptions::tcp());
    let transports: Vec<Transport> = upstream.queries().iter().map(|query| query.transport).collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
}

#[test]
fn response_codes_of_the_upstream_are_relayed() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
    for (name, wanted, authorities) in [
        ("nxdomain-1.example.", ResponseCode::NXDomain, 1),
        ("nodata-1.example.", ResponseCode::NoError, 1),
        ("servfail-1.example.", ResponseCode::ServFail, 0),
        ("refused-1.example.", ResponseCode::Refused, 0),
    ] {
        let response = daemon.query(name);
        assert_eq!((code(&response), response.message.authorities.len()), (wanted, authorities), "{name}");
        assert!(data(&response).is_empty());
    }
    let aaaa = daemon.client().query("ok-1.example.", RecordType::AAAA, &QueryOptions::default()).unwrap();
    assert_eq!(data(&aaaa), ["2001:db8::1"]);
}
