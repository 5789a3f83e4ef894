//! Node set-up: link and rules together, and hand-over between two instances.

use std::time::Duration;

use linux::link::{Link, LinkConfig, LinkError, LinkKind, LinkKindPreference};
use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::packet_filter::{
    Fallback, FilterConfig, FilterError, FilteredAddress, PacketFilter, remove_table,
};

use crate::fixture::*;
use crate::namespace::{in_namespace, without_privilege};

const TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn auto_falls_back_to_a_bridge_with_one_warning() {
    in_namespace(async || {
        let kind = usable_kind().await;
        let assert_reported = |events: &[NodeEvent]| {
            let texts: Vec<_> = events.iter().map(ToString::to_string).collect();
            assert!(texts[0].starts_with(&format!("link nodelocaldns: created as {kind}, ")), "{texts:?}");
            if kind == LinkKind::Dummy {
                assert_eq!(texts.len(), 1, "{texts:?}");
            } else {
                assert_eq!(texts.len(), 2, "{texts:?}");
                assert!(texts[1].contains("no driver for links of kind dummy"), "{texts:?}");
                assert!(texts[1].contains("-link-kind bridge"), "{texts:?}");
            }
        };
        let config = NodeConfig { link: Some(link_config(LinkKindPreference::Auto)), filter: None };
        let (mut setup, events) = NodeSetup::apply(config).await.unwrap();
        assert_reported(&events);
        assert!(setup.is_configured().await && setup.verify().await.is_empty());
        delete_link(NAME).await;
        assert_reported(&setup.verify().await);
        assert_eq!(link_addresses(NAME), configured_addresses());
        setup.restore().await.unwrap();
        assert!(!exists(NAME), "whatever its kind");
    });
}

#[test]
fn missing_cap_net_admin_is_reported() {
    without_privilege(async || {
        let error = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap_err();
        assert!(matches!(error, LinkError::NoPermission { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("create link nodelocaldns") && text.contains("CAP_NET_ADMIN"), "{text}");
        let error = PacketFilter::new(filter_config()).install().unwrap_err();
        assert!(matches!(error, FilterError::NoPermission), "{error:?}");
        let config = NodeConfig { link: None, filter: Some(filter_config()) };
        let (setup, events) = NodeSetup::apply(config).await.unwrap();
        assert!(
            matches!(events.as_slice(), [NodeEvent::RulesFailed(FilterError::NoPermission)]),
            "{events:?}"
        );
        assert!(setup.is_configured().await);
        setup.restore().await.unwrap();
    });
}

#[test]
fn a_node_is_set_up_verified_and_restored() {
    in_namespace(async || {
        let kind = usable_kind().await;
        let config = NodeConfig { link: Some(link_config(kind)), filter: Some(filter_config()) };
        let (mut setup, events) = NodeSetup::apply(config).await.unwrap();
        let texts: Vec<_> = events.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                format!(
                    "link nodelocaldns: created as {kind}, 169.254.25.10 added, fd00:25::10 added, \
                     10.96.0.10 added, set up"
                ),
                "packet-filter table inet nodelocaldns installed".to_owned(),
            ]
        );
        assert!(setup.is_configured().await);
        assert!(setup.verify().await.is_empty());
        PacketFilter::new(filter_config()).remove().unwrap();
        delete_address(NAME, ip("10.96.0.10"), 32).await;
        assert!(!setup.is_configured().await);
        let events = setup.verify().await;
        assert!(
            matches!(events.as_slice(), [NodeEvent::LinkChanged { .. }, NodeEvent::RulesInstalled(_)]),
            "{events:?}"
        );
        assert!(!events.iter().any(NodeEvent::is_failure));
        assert!(setup.is_configured().await);
        setup.restore().await.unwrap();
        assert!(!exists(NAME));
        assert!(!PacketFilter::new(filter_config()).is_installed().unwrap());
    });
}

/// Protocol and inode of the netlink sockets of the namespace, except the kernel's own (port ID 0).
fn netlink_sockets() -> Vec<(String, String)> {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let mut sockets: Vec<_> = rows
        .filter(|columns| columns[2] != "0")
        .map(|columns| (columns[1].to_owned(), columns[9].to_owned()))
        .collect();
    sockets.sort();
    sockets
}

#[test]
fn verification_keeps_one_socket_per_protocol() {
    in_namespace(async || {
        let config =
            NodeConfig { link: Some(link_config(usable_kind().await)), filter: Some(filter_config()) };
        let (mut setup, _) = NodeSetup::apply(config).await.unwrap();
        let sockets = netlink_sockets();
        let protocols: Vec<&str> = sockets.iter().map(|(protocol, _)| protocol.as_str()).collect();
        assert_eq!(protocols, [libc::NETLINK_ROUTE, libc::NETLINK_NETFILTER].map(|n| n.to_string()));
        assert!(setup.verify().await.is_empty() && setup.is_configured().await);
        delete_address(NAME, ip("10.96.0.10"), 32).await;
        PacketFilter::new(filter_config()).remove().unwrap();
        assert_eq!(setup.verify().await.len(), 2, "both are repaired");
        assert_eq!(netlink_sockets(), sockets);
        setup.restore().await.unwrap();
        // A program that another test starts has a copy of each descriptor until it is executed.
        tokio::time::timeout(TIMEOUT, async {
            while !netlink_sockets().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn remove_addresses_except_leaves_the_successors_addresses() {
    in_namespace(async || {
        let of_addresses = |addresses: [&str; 2]| {
            let addresses = addresses.map(ip).to_vec();
            NodeConfig { link: Some(LinkConfig { addresses, ..link_config(LinkKind::Bridge) }), filter: None }
        };
        let (successor, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "fd00:25::10"])).await.unwrap();
        let (predecessor, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "10.96.0.10"])).await.unwrap();
        add_address(NAME, ip("192.0.2.1"), 32).await;
        let others = ["169.254.25.10", "fd00:25::10"].map(ip);
        let changes: Vec<_> =
            predecessor.remove_addresses_except(&others).await.iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["link nodelocaldns: 10.96.0.10 removed"]);
        assert!(predecessor.remove_addresses_except(&others).await.is_empty());
        let remaining: Vec<_> = link_addresses(NAME).into_iter().map(|(address, _)| address).collect();
        assert_eq!(remaining, ["169.254.25.10", "192.0.2.1", "fd00:25::10"]);
        assert!(successor.is_configured().await);
        delete_link(NAME).await;
        assert!(predecessor.remove_addresses_except(&others).await.is_empty());
    });
}

#[test]
fn a_successor_removes_the_predecessors_addresses() {
    in_namespace(async || {
        let of_addresses = |addresses: [&str; 2]| {
            let filtered = addresses.map(without_fallback).to_vec();
            let addresses = addresses.map(ip).to_vec();
            let link = LinkConfig { addresses, ..link_config(LinkKind::Bridge) };
            NodeConfig {
                link: Some(link),
                filter: Some(FilterConfig { addresses: filtered, ..filter_config() }),
            }
        };
        let (old, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "fd00:25::10"])).await.unwrap();
        add_address(NAME, ip("192.0.2.1"), 32).await;
        let (new, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "10.96.0.10"])).await.unwrap();
        assert!(old.is_configured().await, "the predecessor keeps its addresses until it ends");
        drop(old);
        let of_the_old = ["169.254.25.10", "fd00:25::10", "203.0.113.1"].map(ip);
        let changes: Vec<_> =
            new.remove_predecessor_addresses(&of_the_old).await.iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["link nodelocaldns: fd00:25::10 removed"]);
        assert!(new.remove_predecessor_addresses(&of_the_old).await.is_empty());
        let remaining: Vec<_> = link_addresses(NAME).into_iter().map(|(address, _)| address).collect();
        assert_eq!(remaining, ["10.96.0.10", "169.254.25.10", "192.0.2.1"]);
        assert!(new.is_configured().await);
        delete_address(NAME, ip("192.0.2.1"), 32).await;
        new.restore().await.unwrap();
        assert!(!exists(NAME), "the predecessor's remains are removed as well");
        let (gone, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "fd00:25::10"])).await.unwrap();
        delete_link(NAME).await;
        assert!(gone.remove_predecessor_addresses(&of_the_old).await.is_empty());
    });
}

#[test]
fn a_failed_link_configuration_is_undone() {
    in_namespace(async || {
        let bad = LinkConfig { name: "a/b".into(), ..link_config(LinkKind::Bridge) };
        let config = NodeConfig { link: Some(bad), filter: Some(filter_config()) };
        let error = NodeSetup::apply(config).await.unwrap_err();
        assert!(matches!(error.link, Some(LinkError::InvalidName(_))), "{error}");
        assert!(!PacketFilter::new(filter_config()).is_installed().unwrap());
    });
}

#[test]
fn rejected_fail_open_rules_are_reported_once_for_the_same_addresses() {
    in_namespace(async || {
        // More addresses than the set holds.
        let addresses = |service: &str| -> Vec<FilteredAddress> {
            let fallback = Some(Fallback::Service(ip(service)));
            (0..70).map(|host| FilteredAddress { address: [169, 254, 25, host].into(), fallback }).collect()
        };
        let filter = FilterConfig { addresses: addresses("10.96.0.10"), ..filter_config() };
        let (mut setup, events) =
            NodeSetup::apply(NodeConfig { link: None, filter: Some(filter) }).await.unwrap();
        assert!(
            matches!(events.as_slice(), [NodeEvent::RulesInstalled(_), NodeEvent::NoFailOpen(_)]),
            "{events:?}"
        );
        assert!(!setup.has_fail_open());
        let events = setup.set_filtered_addresses(addresses("10.96.0.10"));
        assert!(events.is_empty(), "the same addresses and upstream: {events:?}");
        assert!(remove_table(NAME).unwrap());
        let events = setup.verify().await;
        assert!(matches!(events.as_slice(), [NodeEvent::RulesInstalled(_)]), "{events:?}");
        let events = setup.set_filtered_addresses(addresses("10.96.0.11"));
        assert!(
            matches!(events.as_slice(), [NodeEvent::RulesInstalled(_), NodeEvent::NoFailOpen(_)]),
            "another upstream: {events:?}"
        );
        let few = addresses("10.96.0.11").into_iter().take(2).collect();
        assert!(matches!(setup.set_filtered_addresses(few).as_slice(), [NodeEvent::RulesInstalled(_)]));
        assert!(setup.has_fail_open());
        setup.restore().await.unwrap();
    });
}
