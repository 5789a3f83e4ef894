//! Exact values of counters after known traffic.

use std::net::SocketAddr;

use testkit::RecordType;
use testkit::client::QueryOptions;

use crate::fixture::{DNS, DaemonProcess, forward_corefile, unique_address, upstream};
use crate::responses::{data, with_edns};

#[test]
fn known_traffic_increments_each_counter_exactly() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let (ip, to) = (daemon.ip, upstream.addr());
    let server = format!("server=\"dns://{ip}:{DNS}\"");

    daemon.query("ok-1.example.");
    daemon.query("ok-1.example.");
    daemon.query_with("ok-1.example.", &QueryOptions::tcp());
    daemon.query_with("OK-1.EXAMPLE.", &with_edns());
    daemon.query_with("ok-1.example.", &QueryOptions { dnssec_ok: true, ..QueryOptions::default() });
    daemon.client().query("ok-1.example.", RecordType::AAAA, &QueryOptions::default()).unwrap();
    daemon.query("nxdomain-1.example.");
    daemon.query("nxdomain-1.example.");
    daemon.query("refused-1.example.");
    daemon.query("refused-1.example.");
    daemon.client().query("ok-1.example.", RecordType::AXFR, &QueryOptions::tcp()).unwrap();

    let zone = format!("{server},zone=\".\"");
    for (wanted, count) in [
        (format!("coredns_dns_requests_total{{{zone}}}"), 11),
        (format!("coredns_dns_requests_total{{{zone},proto=\"udp\",family=\"1\",type=\"A\",view=\"\"}}"), 8),
        (format!("coredns_dns_requests_total{{{zone},proto=\"tcp\",type=\"A\"}}"), 1),
        (format!("coredns_dns_requests_total{{{zone},proto=\"udp\",type=\"AAAA\"}}"), 1),
        (format!("coredns_dns_requests_total{{{zone},proto=\"tcp\",type=\"AXFR\"}}"), 1),
        (format!("coredns_dns_do_requests_total{{{zone}}}"), 1),
        (format!("coredns_dns_responses_total{{{zone}}}"), 11),
        (format!("coredns_dns_responses_total{{{zone},rcode=\"NOERROR\",plugin=\"cache\"}}"), 6),
        (format!("coredns_dns_responses_total{{{zone},rcode=\"NXDOMAIN\",plugin=\"cache\"}}"), 2),
        (format!("coredns_dns_responses_total{{{zone},rcode=\"REFUSED\",plugin=\"cache\"}}"), 2),
        (format!("coredns_dns_responses_total{{{zone},rcode=\"REFUSED\",plugin=\"\"}}"), 1),
        (format!("coredns_dns_request_duration_seconds_count{{{zone}}}"), 11),
        (format!("coredns_dns_request_size_bytes_count{{{zone},proto=\"udp\"}}"), 9),
        (format!("coredns_dns_response_size_bytes_count{{{zone},proto=\"tcp\"}}"), 2),
        (format!("coredns_cache_requests_total{{{server},zones=\".\"}}"), 10),
        (format!("coredns_cache_hits_total{{{server},type=\"success\"}}"), 3),
        (format!("coredns_cache_hits_total{{{server},type=\"denial\"}}"), 1),
        (format!("coredns_cache_misses_total{{{server}}}"), 6),
        (format!("coredns_cache_entries{{{server},type=\"success\"}}"), 3),
        (format!("coredns_cache_entries{{{server},type=\"denial\"}}"), 1),
        (format!("coredns_proxy_request_duration_seconds_count{{proxy_name=\"forward\",to=\"{to}\"}}"), 6),
        (format!("coredns_proxy_request_duration_seconds_count{{to=\"{to}\",rcode=\"NOERROR\"}}"), 3),
        (format!("coredns_proxy_request_duration_seconds_count{{to=\"{to}\",rcode=\"NXDOMAIN\"}}"), 1),
        (format!("coredns_proxy_request_duration_seconds_count{{to=\"{to}\",rcode=\"REFUSED\"}}"), 2),
        (
            format!(
                "coredns_proxy_conn_cache_misses_total{{proxy_name=\"forward\",to=\"{to}\",proto=\"tcp\"}}"
            ),
            1,
        ),
        (
            format!(
                "coredns_proxy_conn_cache_hits_total{{proxy_name=\"forward\",to=\"{to}\",proto=\"tcp\"}}"
            ),
            5,
        ),
        ("coredns_panics_total".to_owned(), 0),
    ] {
        assert_eq!(daemon.metric(&wanted), count, "{wanted}");
    }
    assert_eq!(upstream.queries().len(), 6);
    assert!(!daemon.metrics_page().to_lowercase().contains("example"), "query names are not labels");
}

#[test]
fn a_server_block_without_prometheus_counts_only_its_cache() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp").replace("prometheus @:9253", "");
    let daemon = DaemonProcess::start(&corefile);
    assert_eq!(data(&daemon.query("ok-1.example.")), data(&daemon.query("ok-1.example.")));
    assert_eq!(daemon.metric("coredns_dns_requests_total"), 0);
    assert_eq!(
        (daemon.metric("coredns_cache_hits_total"), daemon.metric("coredns_cache_misses_total")),
        (1, 1)
    );
}

#[test]
fn upstream_states_are_shown_by_server_block() {
    let (working, refusing) = (upstream(), SocketAddr::from((unique_address(), 5399)));
    let corefile = format!(
        "{}first.test:{DNS} {{\n bind @\n forward . {refusing} {{\n max_fails 1\n }}\n}}\n",
        forward_corefile(&working, "")
    );
    let daemon = DaemonProcess::start(&corefile);
    let server = format!("server=\"dns://{}:{DNS}\"", daemon.ip);
    let of = |zones: &str, to: SocketAddr, state: &str| {
        let block = format!("{server},zones=\"{zones}\",from=\".\"");
        format!("nodelocaldns_upstream_state{{{block},to=\"{to}\",state=\"{state}\"}}")
    };
    assert_eq!(daemon.metric("nodelocaldns_upstream_state"), 2, "one state of each upstream");
    assert_eq!(daemon.metric(&of(".", working.addr(), "up")), 1);
    assert_eq!(daemon.metric(&of("first.test.", refusing, "up")), 1);
    daemon.query("ok-1.first.test.");
    assert!(daemon.wait_for_metric(&of("first.test.", refusing, "down"), 1), "{}", daemon.metrics_page());
    assert_eq!(daemon.metric(&of("first.test.", refusing, "up")), 0);
    assert_eq!(daemon.metric(&of(".", working.addr(), "up")), 1);
}
