//! Access control (`acl`): queries that are allowed, refused, filtered and dropped, and their counters.

use std::net::{Ipv4Addr, UdpSocket};
use testkit::client::uninterrupted;

use testkit::client::{QueryOptions, Response};
use testkit::upstream::Upstream;
use testkit::{Message, RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonProcess, WAIT_LIMIT, forward_corefile, upstream};
use crate::responses::{code, data, extended_error, with_edns};

/// Sources of clients.
const DROPPED: Ipv4Addr = Ipv4Addr::new(127, 66, 66, 66);
const REFUSED: Ipv4Addr = Ipv4Addr::new(127, 55, 55, 55);

fn start(upstream: &Upstream) -> DaemonProcess {
    let rules = format!(
        "errors
         acl corp.test inner.corp.test {{
             block type TXT
             drop net {DROPPED}
         }}
         acl {{
             filter type MX
             block net {REFUSED}/32
         }}"
    );
    DaemonProcess::start(&forward_corefile(upstream, "").replacen("errors", &rules, 1))
}

fn query(daemon: &DaemonProcess, name: &str, rtype: RecordType, options: &QueryOptions) -> Response {
    daemon.client().query(name, rtype, options).unwrap()
}

/// Sends queries for addresses of `names` from `source` at once; returns the first response.
fn first_response(daemon: &DaemonProcess, source: Ipv4Addr, names: &[&str]) -> Message {
    let socket = UdpSocket::bind((source, 0)).unwrap();
    socket.connect(daemon.addr(DNS)).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    for (id, name) in (0..).zip(names) {
        let query = QueryOptions::default().message(id, name, RecordType::A).unwrap();
        socket.send(&query.to_vec().unwrap()).unwrap();
    }
    let mut octets = [0; 512];
    let length = uninterrupted(|| socket.recv(&mut octets)).unwrap();
    Message::from_vec(&octets[..length]).unwrap()
}

#[test]
fn acl_allows_refuses_filters_and_drops_queries_over_udp_and_tcp() {
    let upstream = upstream();
    let daemon = start(&upstream);
    assert_eq!(data(&daemon.query("ok-1.inner.corp.test.")), ["192.0.2.1"]);

    for options in [with_edns(), QueryOptions { edns: Some(1232), ..QueryOptions::tcp() }] {
        for name in ["ok-1.inner.corp.test.", "ok-1.corp.test."] {
            let refused = query(&daemon, name, RecordType::TXT, &options);
            assert_eq!((code(&refused), extended_error(&refused)), (ResponseCode::Refused, Some(15)));
        }
        let filtered = query(&daemon, "ok-1.example.", RecordType::MX, &options);
        assert_eq!((code(&filtered), extended_error(&filtered)), (ResponseCode::NoError, Some(17)));
        assert!(filtered.message.all_sections().next().is_none());
    }
    let plain = query(&daemon, "ok-1.corp.test.", RecordType::TXT, &QueryOptions::default());
    assert_eq!((code(&plain), plain.message.edns), (ResponseCode::Refused, None));

    assert_eq!(
        first_response(&daemon, REFUSED, &["ok-1.example."]).metadata.response_code,
        ResponseCode::Refused
    );
    let names = ["ok-1.corp.test.", "ok-1.inner.corp.test.", "ok-2.example."];
    assert_eq!(first_response(&daemon, DROPPED, &names).metadata.id, 2, "the others have no response");
    let asked: Vec<String> = upstream.queries().into_iter().map(|query| query.name).collect();
    assert_eq!(asked, ["ok-1.inner.corp.test.", "ok-2.example."], "others are not forwarded");
}

#[test]
fn acl_counts_queries_by_zone_of_the_directive() {
    let upstream = upstream();
    let daemon = start(&upstream);
    let refused = [("ok-1.inner.corp.test.", 3), ("ok-1.corp.test.", 2)];
    for name in refused.iter().flat_map(|(name, times)| std::iter::repeat_n(*name, *times)) {
        query(&daemon, name, RecordType::TXT, &QueryOptions::default());
    }
    query(&daemon, "ok-1.example.", RecordType::MX, &QueryOptions::tcp());
    first_response(&daemon, REFUSED, &["ok-1.example."]);
    first_response(&daemon, DROPPED, &["ok-1.corp.test.", "ok-1.example."]);
    daemon.query("ok-1.example.");

    let server = format!("server=\"dns://{}:{DNS}\",view=\"\"", daemon.ip);
    let page = daemon.metrics_page();
    let mut lines: Vec<&str> = page.lines().filter(|line| line.starts_with("coredns_acl_")).collect();
    lines.sort_unstable();
    let expected = [
        format!("coredns_acl_allowed_requests_total{{{server}}} 2"),
        format!("coredns_acl_blocked_requests_total{{{server},zone=\".\"}} 1"),
        format!("coredns_acl_blocked_requests_total{{{server},zone=\"corp.test.\"}} 2"),
        format!("coredns_acl_blocked_requests_total{{{server},zone=\"inner.corp.test.\"}} 3"),
        format!("coredns_acl_dropped_requests_total{{{server},zone=\"corp.test.\"}} 1"),
        format!("coredns_acl_filtered_requests_total{{{server},zone=\".\"}} 1"),
    ];
    assert_eq!(lines, expected);
}
