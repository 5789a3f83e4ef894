//! What the kernel tells of the node, each test in a private network namespace.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the clock of a test whose time stands still")]

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use linux::link::{LinkConfig, LinkKind};
use linux::netlink_events::NetlinkMonitor;
use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::notrack::{self, NotrackConfig};
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::link::InfoKind;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec};
use tokio::time::{Instant, timeout};

mod namespace;
use namespace::{in_namespace, output_of, skip, without_privilege};

const NAME: &str = "nodelocaldns";
const PATIENCE: Duration = Duration::from_secs(10);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rules(table: &str) -> NotrackConfig {
    NotrackConfig {
        table: table.into(),
        addresses: vec![ip("169.254.25.10")],
        dns_port: 53,
        health_port: None,
    }
}

async fn set_up() -> NodeSetup {
    let link = LinkConfig {
        name: NAME.into(),
        kind: LinkKind::Bridge.into(),
        addresses: vec![ip("169.254.25.10"), ip("fd00:25::10")],
    };
    let plan = NodeConfig { link: Some(link), notrack: Some(rules(NAME)) };
    NodeSetup::apply(plan).await.unwrap().0
}

/// Does something to the namespace that is not ours to do.
async fn meddle(work: impl AsyncFnOnce(&Handle) -> Result<(), rtnetlink::Error>) {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::select! {
        result = work(&handle) => result.unwrap(),
        () = connection => unreachable!("the connection lives as long as its handle"),
    }
}

fn index(name: &str) -> u32 {
    if_nametoindex(name).unwrap()
}

async fn add_link(name: &str) {
    let link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Bridge);
    let link = link.name(name.to_owned()).build();
    meddle(async |handle| handle.link().add(link).execute().await).await;
}

async fn delete_link(name: &str) {
    meddle(async |handle| handle.link().del(index(name)).execute().await).await;
}

async fn add_addresses(name: &str, numbers: Range<u32>) {
    let index = index(name);
    meddle(async |handle| {
        for number in numbers {
            let address = IpAddr::from(u32::to_be_bytes(0x0a00_0000 + number));
            handle.address().add(index, address, 32).execute().await?;
        }
        Ok(())
    })
    .await;
}

async fn delete_address(name: &str, address: &str) {
    let index = index(name);
    meddle(async |handle| {
        let address = ip(address);
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        let message = handle.address().add(index, address, prefix).message_mut().clone();
        handle.address().del(message).execute().await
    })
    .await;
}

async fn set_down(name: &str) {
    let link = LinkUnspec::new_with_index(index(name)).down().build();
    meddle(async |handle| handle.link().set(link).execute().await).await;
}

/// Whether the watch has anything to tell. Time stands still but for waits that nothing else ends, and what was done to the
/// node is queued when the call that did it returns: no news is known at once.
async fn has_news(watch: &mut NetlinkMonitor) -> bool {
    timeout(PATIENCE, watch.changed()).await.is_ok()
}

/// The watch tells of a change; the look that follows repairs it, and the next finds everything in place.
async fn is_repaired(watch: &mut NetlinkMonitor, setup: &mut NodeSetup, expected: &str) {
    assert!(has_news(watch).await, "{expected}");
    let said: Vec<_> = setup.verify().await.iter().map(ToString::to_string).collect();
    assert_eq!(said, [expected]);
    settle(watch, setup).await;
}

/// Looks as often as there is news, as the daemon does, until there is none.
async fn settle(watch: &mut NetlinkMonitor, setup: &mut NodeSetup) {
    let mut looks = 0;
    while has_news(watch).await {
        let said = setup.verify().await;
        assert!(said.is_empty(), "a look at what is in place changes nothing: {said:?}");
        looks += 1;
        assert!(looks < 5, "our own looks are not news for ever");
    }
}

#[test]
fn whatever_others_do_to_the_node_is_told_and_repaired() {
    in_namespace(async || {
        tokio::time::pause();
        let mut setup = set_up().await;
        let (mut watch, events) = setup.monitor();
        assert!(events.is_empty(), "{events:?}");
        settle(&mut watch, &mut setup).await;
        delete_address(NAME, "169.254.25.10").await;
        is_repaired(&mut watch, &mut setup, "link nodelocaldns: 169.254.25.10 added").await;
        delete_address(NAME, "fd00:25::10").await;
        is_repaired(&mut watch, &mut setup, "link nodelocaldns: fd00:25::10 added").await;
        set_down(NAME).await;
        is_repaired(&mut watch, &mut setup, "link nodelocaldns: fd00:25::10 added, set up").await;
        for _ in 0..2 {
            // The second time, the link has a number that the watch has seen only by listening.
            delete_link(NAME).await;
            let made = "link nodelocaldns: created as bridge, 169.254.25.10 added, fd00:25::10 added, set up";
            is_repaired(&mut watch, &mut setup, made).await;
            delete_address(NAME, "169.254.25.10").await;
            is_repaired(&mut watch, &mut setup, "link nodelocaldns: 169.254.25.10 added").await;
        }
        notrack::remove(NAME).unwrap();
        is_repaired(&mut watch, &mut setup, "packet-filter table inet nodelocaldns installed").await;
        if output_of("nft", &["flush", "ruleset"]).is_none() {
            return skip("whatever_others_do_to_the_node_is_told_and_repaired", "no nft command");
        }
        is_repaired(&mut watch, &mut setup, "packet-filter table inet nodelocaldns installed").await;
        output_of("nft", &["add", "rule", "inet", NAME, "output", "counter"]);
        is_repaired(&mut watch, &mut setup, "packet-filter table inet nodelocaldns installed").await;
    });
}

#[test]
fn what_concerns_others_is_passed_over() {
    in_namespace(async || {
        tokio::time::pause();
        let mut setup = set_up().await;
        let (mut watch, _) = setup.monitor();
        settle(&mut watch, &mut setup).await;
        add_link("other").await;
        add_addresses("other", 1..20).await;
        set_down("other").await;
        delete_link("other").await;
        notrack::install(&rules("other")).unwrap();
        notrack::install(&rules("other")).unwrap();
        notrack::remove("other").unwrap();
        assert!(!has_news(&mut watch).await);
    });
}

#[test]
fn a_burst_is_told_once_and_a_storm_at_growing_distances() {
    in_namespace(async || {
        tokio::time::pause();
        let mut setup = set_up().await;
        let (mut watch, _) = setup.monitor();
        settle(&mut watch, &mut setup).await;
        add_addresses(NAME, 1..100).await;
        assert!(has_news(&mut watch).await);
        assert!(!has_news(&mut watch).await, "all that was queued has been told");
        let mut last = Instant::now();
        for (number, pause) in (100..).zip([0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
            add_addresses(NAME, number..number + 1).await;
            assert!(has_news(&mut watch).await);
            let waited = last.elapsed().as_millis();
            assert!((pause..pause + 3).contains(&waited), "{waited} ms instead of {pause}");
            last = Instant::now();
        }
        assert!(!has_news(&mut watch).await);
        let began = Instant::now();
        delete_link(NAME).await;
        assert!(has_news(&mut watch).await);
        assert_eq!(began.elapsed(), Duration::ZERO, "after a quiet time the first is told at once");
    });
}

#[test]
fn more_than_the_queue_holds_asks_for_a_look() {
    in_namespace(async || {
        tokio::time::pause();
        let mut setup = set_up().await;
        let (mut watch, _) = setup.monitor();
        settle(&mut watch, &mut setup).await;
        add_link("other").await;
        assert!(!has_news(&mut watch).await);
        // Nobody listens meanwhile. What is lost among it may have concerned us.
        add_addresses("other", 1..5000).await;
        delete_link(NAME).await;
        let made = "link nodelocaldns: created as bridge, 169.254.25.10 added, fd00:25::10 added, set up";
        is_repaired(&mut watch, &mut setup, made).await;
        delete_address(NAME, "169.254.25.10").await;
        is_repaired(&mut watch, &mut setup, "link nodelocaldns: 169.254.25.10 added").await;
    });
}

#[test]
fn what_may_not_be_watched_is_said() {
    without_privilege(async || {
        let setup = NodeSetup::apply(NodeConfig { link: None, notrack: Some(rules(NAME)) }).await.unwrap().0;
        let (_, events) = setup.monitor();
        let [event @ NodeEvent::WatchFailed { .. }] = events.as_slice() else {
            panic!("{events:?}");
        };
        let text = event.to_string();
        assert!(text.contains("table inet nodelocaldns") && text.contains("-syncinterval"), "{text}");
        assert!(!event.is_failure());
        // A link may be watched by everybody.
        NetlinkMonitor::new().add_link(NAME).unwrap();
    });
}
