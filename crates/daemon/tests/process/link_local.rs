//! Upstreams with link-local addresses, in a network namespace of their own.

use std::fs;
use std::net::SocketAddrV6;
use std::path::PathBuf;

use testkit::client::QueryOptions;
use testkit::upstream::Upstream;

use crate::fixture::{DNS, DaemonProcess, READY, unique_address};
use crate::namespace::{in_namespace, output_of, skip};
use crate::responses::data;

const LINK_LOCAL: &str = "fe80::53";

#[test]
fn link_local_upstreams_are_reached_through_their_interface() {
    in_namespace(|| async {
        if output_of("ip", &["link", "set", "lo", "up"]).is_none() {
            return skip("link_local_upstreams_are_reached_through_their_interface", "no ip command");
        }
        output_of("ip", &["address", "add", &format!("{LINK_LOCAL}/64"), "dev", "lo", "nodad"]);
        let address = SocketAddrV6::new(LINK_LOCAL.parse().unwrap(), 53, 0, 1);
        let _upstream = Upstream::start(address.into()).unwrap();
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("link-local-{}", unique_address()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("resolv.conf");
        fs::write(&file, format!("nameserver {LINK_LOCAL}%lo\nnameserver fe80::54%absent0\n")).unwrap();
        let corefile = format!(
            ".:{DNS} {{\n bind @\n forward . {}\n ready @:{READY}\n}}\n\
             by-index.test:{DNS} {{\n bind @\n forward . {LINK_LOCAL}%1\n}}\n",
            file.display()
        );
        let daemon = DaemonProcess::start(&corefile);
        for options in [QueryOptions::default(), QueryOptions::tcp()] {
            for name in ["ok-1.example.", "ok-1.by-index.test."] {
                assert_eq!(data(&daemon.query_with(name, &options)), ["192.0.2.1"], "{name} {options:?}");
            }
        }
        daemon.wait_for_log("lists \"fe80::54%absent0\", whose interface this node does not have");
        assert!(
            daemon.metrics_page().contains("nodelocaldns_upstream_failures_total{to=\"[fe80::53%1]:53\"} 0")
        );
        output_of("ip", &["link", "add", "absent0", "type", "veth", "peer", "name", "absent1"]);
        daemon.wait_for_log("lists other upstreams: [fe80::53%1]:53 [fe80::54%");
        fs::remove_dir_all(&folder).ok();
    });
}
