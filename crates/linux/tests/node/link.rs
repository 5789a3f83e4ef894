//! The link and its addresses.

use std::io;
use std::net::UdpSocket;

use linux::link::{
    LeftoverLink, Link, LinkChange, LinkConfig, LinkError, LinkKind, bring_up_loopback, has_driver,
};
use rtnetlink::packet_route::address::{AddressHeaderFlags, AddressScope};
use rtnetlink::packet_route::link::InfoKind;

use crate::fixture::*;
use crate::namespace::{in_namespace, is_set, skip};
use crate::removal_monitor::RemovalMonitor;

#[test]
fn dummy_is_created_or_reported_as_missing() {
    in_namespace(async || match Link::ensure(link_config(LinkKind::Dummy)).await {
        Ok((link, changes)) => {
            assert!(matches!(changes.0.first(), Some(LinkChange::Created(LinkKind::Dummy))), "{changes}");
            assert_eq!(link_addresses(NAME), configured_addresses());
            link.remove().await.unwrap();
            assert!(!exists(NAME));
        }
        Err(error) => {
            assert!(matches!(error, LinkError::NoDriver(LinkKind::Dummy)), "{error}");
            let text = error.to_string();
            assert!(text.contains("modprobe dummy") && text.contains("-link-kind bridge"), "{text}");
            assert!(!exists(NAME));
            assert!(!is_set("REQUIRE_DUMMY"), "{text}");
        }
    });
}

#[test]
fn a_link_is_created_verified_and_removed() {
    in_namespace(async || {
        for kind in [LinkKind::Bridge, LinkKind::Ifb] {
            let (link, changes) = match Link::ensure(link_config(kind)).await {
                Err(LinkError::NoDriver(LinkKind::Ifb)) => continue,
                made => made.unwrap(),
            };
            assert_eq!(
                changes.to_string(),
                format!(
                    "created as {kind}, 169.254.25.10 added, fd00:25::10 added, 10.96.0.10 added, set up"
                )
            );
            assert_eq!(link_addresses(NAME), configured_addresses());
            assert!(link.is_configured().await.unwrap());
            assert!(link.verify().await.unwrap().is_empty());
            link.remove().await.unwrap();
            assert!(!exists(NAME));
        }
    });
}

#[test]
fn missing_addresses_and_links_are_repaired() {
    in_namespace(async || {
        let (link, _) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        for (address, prefix) in [(ip("169.254.25.10"), 32), (ip("fd00:25::10"), 128)] {
            delete_address(NAME, address, prefix).await;
            assert!(!link.is_configured().await.unwrap());
            assert_eq!(link.verify().await.unwrap().0, [LinkChange::AddressAdded(address)]);
            assert_eq!(link_addresses(NAME), configured_addresses());
        }
        set_down(NAME).await;
        assert!(!link.is_configured().await.unwrap());
        // The kernel removes IPv6 addresses when a link goes down.
        let changes = link.verify().await.unwrap();
        assert_eq!(changes.0, [LinkChange::AddressAdded(ip("fd00:25::10")), LinkChange::SetUp]);
        assert_eq!(link_addresses(NAME), configured_addresses());
        delete_link(NAME).await;
        assert!(!link.is_configured().await.unwrap());
        assert!(matches!(link.verify().await.unwrap().0.first(), Some(LinkChange::Created(_))));
        assert_eq!(link_addresses(NAME), configured_addresses());
        assert!(link.verify().await.unwrap().is_empty());
        link.remove().await.unwrap();
        assert!(!exists(NAME));
    });
}

#[test]
fn a_link_left_by_a_killed_process_is_adopted_and_removed() {
    in_namespace(async || {
        let (killed, _) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        drop(killed);
        let (link, changes) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        assert!(matches!(changes.0.as_slice(), [LinkChange::Adopted(_)]), "{changes}");
        assert_eq!(link_addresses(NAME), configured_addresses());
        link.remove().await.unwrap();
        assert!(!exists(NAME));
    });
}

#[test]
fn addresses_have_the_attributes_that_keep_them_from_being_sources() {
    in_namespace(async || {
        let (link, _) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        let deprecated = AddressHeaderFlags::Nodad | AddressHeaderFlags::Deprecated;
        let permanent = AddressHeaderFlags::Permanent;
        let expected = [
            (ip("10.96.0.10"), 32, AddressScope::Host, permanent, u32::MAX),
            (ip("169.254.25.10"), 32, AddressScope::Host, permanent, u32::MAX),
            // Usable from the first moment, without duplicate address detection.
            (ip("fd00:25::10"), 128, AddressScope::Universe, permanent | deprecated, 0),
        ];
        assert_eq!(address_attributes(NAME).await, expected);
        assert!(link.verify().await.unwrap().is_empty());
    });
}

#[test]
fn addresses_left_by_node_cache_are_replaced_without_a_moment_without_them() {
    in_namespace(async || {
        add_bridge(NAME).await;
        bring_up(NAME).await;
        // Global scope and unlimited preferred lifetime: the kernel may choose them as source
        // addresses.
        add_address(NAME, ip("169.254.25.10"), 32).await;
        add_address(NAME, ip("10.96.0.10"), 24).await;
        add_usable_address(NAME, ip("fd00:25::10"), 128).await;
        let mut removals = RemovalMonitor::new();
        let (link, changes) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        assert_eq!(
            changes.to_string(),
            "adopted, kind bridge, 169.254.25.10 replaced, fd00:25::10 replaced, 10.96.0.10 replaced"
        );
        assert_eq!(link_addresses(NAME), configured_addresses());
        assert!(removals.of_local_addresses().is_empty());
        assert!(link.verify().await.unwrap().is_empty());
        delete_address(NAME, ip("169.254.25.10"), 32).await;
        delete_address(NAME, ip("fd00:25::10"), 128).await;
        assert_eq!(removals.of_local_addresses(), [ip("169.254.25.10"), ip("fd00:25::10")]);
        link.remove().await.unwrap();
        assert!(!exists(NAME));
    });
}

#[test]
fn addresses_that_cannot_be_changed_in_place_are_replaced() {
    in_namespace(async || {
        add_bridge(NAME).await;
        bring_up(NAME).await;
        // The temporary address would have the prefix of another one with another scope.
        add_address(NAME, ip("169.254.25.10"), 32).await;
        add_address(NAME, ip("169.254.25.11"), 31).await;
        add_usable_address(NAME, ip("fd00:25::10"), 64).await;
        let (link, changes) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        assert_eq!(
            changes.to_string(),
            "adopted, kind bridge, 169.254.25.10 replaced, fd00:25::10 replaced, 10.96.0.10 added"
        );
        assert!(link.verify().await.unwrap().is_empty());
        let prefixes: Vec<_> = address_attributes(NAME).await.iter().map(|address| address.1).collect();
        assert_eq!(prefixes, [32, 32, 31, 128]);
        // Duplicate address detection is pending.
        delete_address(NAME, ip("fd00:25::10"), 128).await;
        add_address(NAME, ip("fd00:25::10"), 128).await;
        assert_eq!(link.verify().await.unwrap().to_string(), "fd00:25::10 replaced");
        assert!(link.is_configured().await.unwrap());
    });
}

#[test]
fn a_link_in_use_by_others_is_not_deleted() {
    in_namespace(async || {
        // An address that is not configured.
        add_bridge(NAME).await;
        add_address(NAME, ip("192.0.2.1"), 24).await;
        let (link, _) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        assert_eq!(link_addresses(NAME).len(), 4);
        link.remove().await.unwrap();
        assert_eq!(link_addresses(NAME), [("192.0.2.1".to_owned(), "255.255.255.0".to_owned())]);
        // A bridge with a port.
        delete_address(NAME, ip("192.0.2.1"), 24).await;
        add_link("port", InfoKind::Veth, Some(index(NAME))).await;
        let (link, _) = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap();
        link.remove().await.unwrap();
        assert!(exists(NAME) && link_addresses(NAME).is_empty());
    });
}

#[test]
fn a_leftover_link_is_found_and_deleted_whatever_its_addresses() {
    in_namespace(async || {
        assert_eq!(LeftoverLink::find(NAME).await.unwrap(), None);
        add_bridge(NAME).await;
        bring_up(NAME).await;
        add_address(NAME, ip("192.0.2.1"), 24).await;
        let found = LeftoverLink::find(NAME).await.unwrap().unwrap();
        let expected = LeftoverLink {
            name: NAME.into(),
            kind: "bridge".into(),
            addresses: vec![ip("192.0.2.1")],
            is_removable: true,
        };
        assert_eq!(found, expected, "without the automatic address");
        found.clone().delete().await.unwrap();
        assert!(!exists(NAME));
        found.delete().await.unwrap();
        add_bridge(NAME).await;
        add_link("port", InfoKind::Veth, Some(index(NAME))).await;
        assert!(!LeftoverLink::find(NAME).await.unwrap().unwrap().is_removable);
        assert!(!LeftoverLink::find("port").await.unwrap().unwrap().is_removable);
    });
}

#[test]
fn errors_include_the_remedy() {
    in_namespace(async || {
        let long = LinkConfig { name: "sixteen-octets--".into(), ..link_config(LinkKind::Bridge) };
        let error = Link::ensure(long).await.unwrap_err().to_string();
        assert!(error.contains("-interfacename"), "{error}");
        // The file of the calling thread's network namespace.
        if let Err(error) = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1") {
            return skip("errors_include_the_remedy", &format!("IPv6 cannot be turned off: {error}"));
        }
        let error = Link::ensure(link_config(LinkKind::Bridge)).await.unwrap_err();
        assert!(matches!(error, LinkError::Ipv6Disabled(_)), "{error}");
        assert!(!exists(NAME), "the created link is deleted after the failure");
    });
}

#[test]
fn loopback_is_set_up() {
    in_namespace(async || {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let unreachable = client.send_to(b"x", "127.0.0.1:9").unwrap_err();
        assert_eq!(unreachable.kind(), io::ErrorKind::NetworkUnreachable);
        bring_up_loopback().await.unwrap();
        bring_up_loopback().await.unwrap();
        client.send_to(b"x", client.local_addr().unwrap()).unwrap();
        assert_eq!(client.recv(&mut [0; 4]).unwrap(), 1);
    });
}

#[test]
fn the_driver_of_a_kind_is_looked_up_without_a_link() {
    in_namespace(async || {
        let links = || nix::net::if_::if_nameindex().unwrap().iter().count();
        let before = links();
        assert!(has_driver(LinkKind::Bridge).await.unwrap());
        let has_dummy = usable_kind().await == LinkKind::Dummy;
        assert_eq!(has_driver(LinkKind::Dummy).await.unwrap(), has_dummy);
        assert_eq!(links(), before);
    });
}
