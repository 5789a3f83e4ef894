//! Packets of ours that a packet filter of the node rejects, in a network namespace of its own.

use std::net::{Ipv4Addr, SocketAddr};

use testkit::ResponseCode;
use testkit::client::QueryOptions;
use testkit::upstream::Upstream;

use crate::fixture::{DNS, DaemonProcess, WAIT_LIMIT};
use crate::namespace::{in_namespace, output_of, skip};
use crate::responses::{code, data};

const CLIENTS: &str = "nodelocaldns_packet_filter_rejects_total{peer=\"client\"}";
const UPSTREAMS: &str = "nodelocaldns_packet_filter_rejects_total{peer=\"upstream\"}";

/// Creates a chain in the output hook; false without the programs for it.
fn is_filtering() -> bool {
    let hook = "{ type filter hook output priority 0 ; }";
    output_of("ip", &["link", "set", "lo", "up"]).is_some()
        && output_of("nft", &["add", "table", "ip", "filter"]).is_some()
        && output_of("nft", &["add", "chain", "ip", "filter", "output", hook]).is_some()
}

fn add_rule(rule: &[&str]) {
    output_of("nft", &[&["add", "rule", "ip", "filter", "output"], rule].concat());
}

fn remove_rules() {
    output_of("nft", &["flush", "chain", "ip", "filter", "output"]);
}

#[test]
fn packets_rejected_by_a_packet_filter_are_counted_and_named() {
    in_namespace(|| async {
        if !is_filtering() {
            return skip("packets_rejected_by_a_packet_filter_are_counted_and_named", "no ip or nft command");
        }
        let upstream = Upstream::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
        assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
        assert_eq!((daemon.metric(CLIENTS), daemon.metric(UPSTREAMS)), (0, 0));

        let port = upstream.addr().port().to_string();
        add_rule(&["udp", "dport", &port, "drop"]);
        let failed = daemon.query_with("ok-2.example.", &QueryOptions::tcp());
        assert_eq!(code(&failed), ResponseCode::ServFail);
        assert!(daemon.metric(UPSTREAMS) > 0, "{}", daemon.metrics_page());
        assert!(
            daemon.wait_for_log("plugin/errors").ends_with("a packet filter of this node rejected the query")
        );
        daemon.wait_for_log("[WARNING] a packet filter of this node rejected 0 responses to clients and");

        remove_rules();
        add_rule(&["udp", "sport", &DNS.to_string(), "drop"]);
        // A query without a question, to which the response is FORMERR.
        daemon.udp_socket(WAIT_LIMIT).send(&[0; 12]).unwrap();
        assert!(daemon.wait_for_metric(CLIENTS, 1), "{}", daemon.metrics_page());
        assert_eq!(daemon.metric("nodelocaldns_udp_send_errors_total"), 1);
    });
}

#[test]
fn truncated_responses_are_relayed_when_tcp_is_blocked() {
    in_namespace(|| async {
        if !is_filtering() {
            return skip("truncated_responses_are_relayed_when_tcp_is_blocked", "no ip or nft command");
        }
        let upstream = Upstream::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let daemon = DaemonProcess::forwarding_to(&upstream, "");
        let prefer_udp = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
        let port = upstream.addr().port().to_string();
        for (number, action) in [&["reject", "with", "tcp", "reset"][..], &["drop"]].iter().enumerate() {
            add_rule(&[&["tcp", "dport", &port], *action].concat());
            for daemon in [&daemon, &prefer_udp] {
                let response = daemon.query(&format!("tc-{number}.example."));
                assert_eq!(code(&response), ResponseCode::NoError, "{action:?}");
                assert!(response.message.metadata.truncation, "{action:?}");
            }
            remove_rules();
        }
    });
}
