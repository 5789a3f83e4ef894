//! Guard: packets to our addresses from other hosts are dropped.

use std::time::Duration;

use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::packet_filter::FilterConfig;
use tokio::time::timeout;

use crate::fixture::*;
use crate::namespace::{in_namespace, output_of, skip};

const TIMEOUT: Duration = Duration::from_secs(10);

fn ip_command(arguments: &str) -> Option<String> {
    output_of("ip", &arguments.split(' ').collect::<Vec<_>>())
}

/// The elements of the set of uplinks, as nft(8) lists them.
fn uplinks() -> String {
    let listing = output_of("nft", &["list", "set", "inet", NAME, "uplinks"]).unwrap();
    listing.lines().find_map(|line| line.trim().strip_prefix("elements = ")).unwrap_or_default().to_owned()
}

#[test]
fn packets_from_the_interfaces_of_default_routes_are_dropped() {
    in_namespace(async || {
        if ip_command("link add eth0 type veth peer name other").is_none()
            || output_of("nft", &["-v"]).is_none()
        {
            return skip("packets_from_the_interfaces_of_default_routes_are_dropped", "no ip or nft command");
        }
        ip_command("link add br0 type bridge");
        for link in ["eth0", "other", "br0"] {
            ip_command(&format!("link set {link} up"));
        }
        let filter = FilterConfig { guard: true, ..filter_config() };
        let (mut setup, _) = NodeSetup::apply(NodeConfig { link: None, filter: Some(filter) }).await.unwrap();
        assert_eq!(uplinks(), "", "no default route");
        let listing = output_of("nft", &["list", "chain", "inet", NAME, "prerouting"]).unwrap();
        let rule = "ip daddr 169.254.25.10 iifname @uplinks counter packets 0 bytes 0 drop";
        assert!(listing.contains(rule), "{listing}");

        let (mut monitor, failed) = setup.monitor();
        assert!(failed.is_empty(), "{failed:?}");
        // Packets of pods come in on a bridge, too.
        ip_command("route add default dev br0");
        timeout(TIMEOUT, monitor.changed()).await.unwrap();
        assert!(setup.verify().await.is_empty());
        assert_eq!(uplinks(), "");

        ip_command("-6 route add default dev eth0");
        while uplinks() != "{ \"eth0\" }" {
            timeout(TIMEOUT, monitor.changed()).await.unwrap();
            let events = setup.verify().await;
            assert!(events.iter().all(|event| matches!(event, NodeEvent::UplinksChanged(_))), "{events:?}");
        }
        output_of("nft", &["delete", "table", "inet", NAME]);
        setup.verify().await;
        assert_eq!(uplinks(), "{ \"eth0\" }", "restored");
        ip_command("-6 route del default dev eth0");
        setup.verify().await;
        assert_eq!(uplinks(), "");
        setup.restore().await.unwrap();
    });
}
