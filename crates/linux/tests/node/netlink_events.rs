//! Netlink events: notification, filtering, coalescing, overflow.
#![expect(clippy::disallowed_methods, reason = "the tests run on tokio's paused clock")]

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use linux::link::{LinkConfig, LinkKind};
use linux::netlink_events::NetlinkMonitor;
use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::packet_filter::{FilterConfig, PacketFilter};
use tokio::time::{Instant, timeout};

use crate::fixture::{
    NAME, add_bridge, change, delete_address, delete_link, index, ip, set_down, without_fallback,
};
use crate::namespace::{in_namespace, output_of, skip, without_privilege};

const TIMEOUT: Duration = Duration::from_secs(10);

fn filter_config(table: &str) -> FilterConfig {
    FilterConfig {
        table: table.into(),
        addresses: vec![without_fallback("169.254.25.10")],
        dns_port: 53,
        health_port: None,
        first_zone: 25,
        mark_mask: 0x3000,
        guard: false,
        notrack: true,
    }
}

async fn set_up() -> NodeSetup {
    let link = LinkConfig {
        name: NAME.into(),
        kind: LinkKind::Bridge.into(),
        addresses: vec![ip("169.254.25.10"), ip("fd00:25::10")],
    };
    let config = NodeConfig { link: Some(link), filter: Some(filter_config(NAME)) };
    NodeSetup::apply(config).await.unwrap().0
}

async fn add_addresses(name: &str, numbers: Range<u32>) {
    let index = index(name);
    change(async |handle| {
        for number in numbers {
            let address = IpAddr::from(u32::to_be_bytes(0x0a00_0000 + number));
            handle.address().add(index, address, 32).execute().await?;
        }
        Ok(())
    })
    .await;
}

/// Whether the monitor notifies. Time is paused and advances only when everything waits, and events
/// are queued when the call that causes them returns: the absence of a notification is known at
/// once.
async fn is_notified(monitor: &mut NetlinkMonitor) -> bool {
    timeout(TIMEOUT, monitor.changed()).await.is_ok()
}

/// The monitor notifies, verification repairs the change, and the next one finds nothing to repair.
async fn assert_repaired(monitor: &mut NetlinkMonitor, setup: &mut NodeSetup, expected: &str) {
    assert!(is_notified(monitor).await, "{expected}");
    let events: Vec<_> = setup.verify().await.iter().map(ToString::to_string).collect();
    assert_eq!(events, [expected]);
    drain_events(monitor, setup).await;
}

/// Verifies after each notification, as the daemon does, until there is none.
async fn drain_events(monitor: &mut NetlinkMonitor, setup: &mut NodeSetup) {
    let mut verifications = 0;
    while is_notified(monitor).await {
        let events = setup.verify().await;
        assert!(events.is_empty(), "verification of a configured node changes nothing: {events:?}");
        verifications += 1;
        assert!(verifications < 5, "verification does not cause endless notifications");
    }
}

/// A configured node whose monitor has notified of its own set-up, on a paused clock.
async fn monitored_node() -> (NodeSetup, NetlinkMonitor) {
    tokio::time::pause();
    let mut setup = set_up().await;
    let (mut monitor, events) = setup.monitor();
    assert!(events.is_empty(), "{events:?}");
    wait_for_ipv6_addresses().await;
    drain_events(&mut monitor, &mut setup).await;
    (setup, monitor)
}

/// The kernel changes IPv6 addresses from a work queue, after the calls that add an address and set up
/// the link, and sends an event each: ours is deprecated, and the link-local address ends duplicate
/// address detection, a second later.
async fn wait_for_ipv6_addresses() {
    let is_pending = || {
        let addresses = output_of("ip", &["-6", "address", "show", "dev", NAME]);
        addresses.is_some_and(|addresses| {
            let is_changed = addresses.contains("deprecated") && addresses.contains("fe80:");
            !is_changed || addresses.contains("tentative")
        })
    };
    while is_pending() {}
    // The work has RTNL until the event is queued, and a change of a link waits for RTNL.
    add_bridge("last").await;
    delete_link("last").await;
}

#[test]
fn changes_by_others_are_notified_and_repaired() {
    in_namespace(async || {
        let (mut setup, mut monitor) = monitored_node().await;
        delete_address(NAME, ip("169.254.25.10"), 32).await;
        assert_repaired(&mut monitor, &mut setup, "link nodelocaldns: 169.254.25.10 added").await;
        delete_address(NAME, ip("fd00:25::10"), 128).await;
        assert_repaired(&mut monitor, &mut setup, "link nodelocaldns: fd00:25::10 added").await;
        set_down(NAME).await;
        assert_repaired(&mut monitor, &mut setup, "link nodelocaldns: fd00:25::10 added, set up").await;
        for _ in 0..2 {
            // The second time, the monitor knows the link's index only from events.
            delete_link(NAME).await;
            let created =
                "link nodelocaldns: created as bridge, 169.254.25.10 added, fd00:25::10 added, set up";
            assert_repaired(&mut monitor, &mut setup, created).await;
            delete_address(NAME, ip("169.254.25.10"), 32).await;
            assert_repaired(&mut monitor, &mut setup, "link nodelocaldns: 169.254.25.10 added").await;
        }
        PacketFilter::new(filter_config(NAME)).remove().unwrap();
        assert_repaired(&mut monitor, &mut setup, "packet-filter table inet nodelocaldns installed").await;
        if output_of("nft", &["flush", "ruleset"]).is_none() {
            return skip("changes_by_others_are_notified_and_repaired", "no nft command");
        }
        assert_repaired(&mut monitor, &mut setup, "packet-filter table inet nodelocaldns installed").await;
        output_of("nft", &["add", "rule", "inet", NAME, "output", "counter"]);
        assert_repaired(&mut monitor, &mut setup, "packet-filter table inet nodelocaldns installed").await;
    });
}

#[test]
fn events_of_other_links_and_tables_are_ignored() {
    in_namespace(async || {
        let (_setup, mut monitor) = monitored_node().await;
        add_bridge("other").await;
        add_addresses("other", 1..20).await;
        set_down("other").await;
        delete_link("other").await;
        let mut other = PacketFilter::new(filter_config("other"));
        other.install().unwrap();
        other.install().unwrap();
        other.remove().unwrap();
        assert!(!is_notified(&mut monitor).await);
    });
}

#[test]
fn bursts_are_coalesced_and_continuous_events_are_delayed() {
    in_namespace(async || {
        let (_setup, mut monitor) = monitored_node().await;
        add_addresses(NAME, 1..100).await;
        assert!(is_notified(&mut monitor).await);
        assert!(!is_notified(&mut monitor).await, "all queued events are covered");
        let mut last = Instant::now();
        for (number, pause) in (100..).zip([0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
            add_addresses(NAME, number..number + 1).await;
            assert!(is_notified(&mut monitor).await);
            let waited = last.elapsed().as_millis();
            assert!((pause..pause + 3).contains(&waited), "{waited} ms instead of {pause}");
            last = Instant::now();
        }
        assert!(!is_notified(&mut monitor).await);
        let began = Instant::now();
        delete_link(NAME).await;
        assert!(is_notified(&mut monitor).await);
        assert_eq!(began.elapsed(), Duration::ZERO, "after a quiet time the first notification is immediate");
    });
}

#[test]
fn a_queue_overflow_causes_a_notification() {
    in_namespace(async || {
        let (mut setup, mut monitor) = monitored_node().await;
        add_bridge("other").await;
        assert!(!is_notified(&mut monitor).await);
        // Nothing reads meanwhile; the lost events may concern our link.
        add_addresses("other", 1..5000).await;
        delete_link(NAME).await;
        let created = "link nodelocaldns: created as bridge, 169.254.25.10 added, fd00:25::10 added, set up";
        assert_eq!(monitor.take_overruns(), 0);
        assert_repaired(&mut monitor, &mut setup, created).await;
        assert_eq!((monitor.take_overruns(), monitor.take_overruns()), (1, 0));
        delete_address(NAME, ip("169.254.25.10"), 32).await;
        assert_repaired(&mut monitor, &mut setup, "link nodelocaldns: 169.254.25.10 added").await;
    });
}

#[test]
fn a_failed_subscription_is_reported() {
    without_privilege(async || {
        let setup =
            NodeSetup::apply(NodeConfig { link: None, filter: Some(filter_config(NAME)) }).await.unwrap().0;
        let (_, events) = setup.monitor();
        let [event @ NodeEvent::MonitorFailed { .. }] = events.as_slice() else {
            panic!("{events:?}");
        };
        let text = event.to_string();
        assert!(text.contains("table inet nodelocaldns") && text.contains("-syncinterval"), "{text}");
        assert!(!event.is_failure());
        // Link events need no privilege.
        NetlinkMonitor::new().add_link(NAME).unwrap();
    });
}
