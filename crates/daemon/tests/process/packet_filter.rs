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

#[test]
fn packets_rejected_by_a_packet_filter_are_counted_and_named() {
    in_namespace(|| async {
        let nft = |arguments: &[&str]| output_of("nft", arguments);
        if output_of("ip", &["link", "set", "lo", "up"]).is_none()
            || nft(&["add", "table", "ip", "filter"]).is_none()
        {
            return skip("packets_rejected_by_a_packet_filter_are_counted_and_named", "no ip or nft command");
        }
        let hook = "{ type filter hook output priority 0 ; }";
        nft(&["add", "chain", "ip", "filter", "output", hook]);
        let upstream = Upstream::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let daemon = DaemonProcess::forwarding_to(&upstream, "prefer_udp");
        assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
        assert_eq!((daemon.metric(CLIENTS), daemon.metric(UPSTREAMS)), (0, 0));

        let port = upstream.addr().port().to_string();
        nft(&["add", "rule", "ip", "filter", "output", "udp", "dport", &port, "drop"]);
        let failed = daemon.query_with("ok-2.example.", &QueryOptions::tcp());
        assert_eq!(code(&failed), ResponseCode::ServFail);
        assert!(daemon.metric(UPSTREAMS) > 0, "{}", daemon.metrics_page());
        assert!(
            daemon.wait_for_log("plugin/errors").ends_with("a packet filter of this node rejected the query")
        );
        daemon.wait_for_log("[WARNING] a packet filter of this node rejected 0 responses to clients and");

        nft(&["flush", "chain", "ip", "filter", "output"]);
        nft(&["add", "rule", "ip", "filter", "output", "udp", "sport", &DNS.to_string(), "drop"]);
        // A query without a question, to which the response is FORMERR.
        daemon.udp_socket(WAIT_LIMIT).send(&[0; 12]).unwrap();
        assert!(daemon.wait_for_metric(CLIENTS, 1), "{}", daemon.metrics_page());
        assert_eq!(daemon.metric("nodelocaldns_udp_send_errors_total"), 1);
    });
}
