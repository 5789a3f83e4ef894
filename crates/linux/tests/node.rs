//! Link, addresses and rules against the real kernel, each test in a private network namespace.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use linux::link::{Link, LinkChange, LinkConfig, LinkError, LinkKind, LinkKindPreference, bring_up_loopback};
use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::notrack::{self, FilterError, NotrackConfig};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use rtnetlink::packet_route::link::InfoKind;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec};
use socket2::{Domain, Protocol, Socket, Type};

mod namespace;
use namespace::{in_namespace, is_set, output_of, skip, without_privilege};

const NAME: &str = "nodelocaldns";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn plan(kind: impl Into<LinkKindPreference>) -> LinkConfig {
    LinkConfig {
        name: NAME.into(),
        kind: kind.into(),
        addresses: vec![ip("169.254.25.10"), ip("fd00:25::10"), ip("10.96.0.10")],
    }
}

fn rules() -> NotrackConfig {
    NotrackConfig {
        table: NAME.into(),
        addresses: vec![ip("169.254.25.10"), ip("fd00:25::10")],
        dns_port: 53,
        health_port: Some(9254),
    }
}

/// What the C library says of the link: its addresses but for automatic ones, sorted, each with its mask, if it is up.
fn seen(name: &str) -> Vec<(String, String)> {
    let mut addresses: Vec<_> = getifaddrs()
        .unwrap()
        .filter(|held| held.interface_name == name && held.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|held| {
            let (address, mask) = (held.address?, held.netmask?);
            let text = |storage: &nix::sys::socket::SockaddrStorage| {
                let v4 = storage.as_sockaddr_in().map(|v4| v4.ip().to_string());
                v4.or_else(|| storage.as_sockaddr_in6().map(|v6| v6.ip().to_string()))
            };
            Some((text(&address)?, text(&mask)?))
        })
        .filter(|(address, _)| !address.starts_with("fe80:"))
        .collect();
    addresses.sort();
    addresses
}

fn planned() -> Vec<(String, String)> {
    [
        ("10.96.0.10", "255.255.255.255"),
        ("169.254.25.10", "255.255.255.255"),
        ("fd00:25::10", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ]
    .map(|(address, mask)| (address.to_owned(), mask.to_owned()))
    .to_vec()
}

fn exists(name: &str) -> bool {
    if_nametoindex(name).is_ok()
}

/// Does something to the namespace's links that our own interface does not do.
async fn meddle(work: impl AsyncFnOnce(&Handle, u32) -> Result<(), rtnetlink::Error>) {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let index = if_nametoindex(NAME).unwrap_or(0);
    tokio::select! {
        result = work(&handle, index) => result.unwrap(),
        () = connection => unreachable!("the connection lives as long as its handle"),
    }
}

async fn add_link(name: &str, kind: InfoKind, port_of: Option<u32>) {
    let mut link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(kind).name(name.to_owned());
    if let Some(index) = port_of {
        link = link.controller(index);
    }
    let link = link.build();
    meddle(async |handle, _| handle.link().add(link).execute().await).await;
}

async fn delete_address(address: IpAddr, prefix: u8) {
    meddle(async |handle, index| {
        let message = handle.address().add(index, address, prefix).message_mut().clone();
        handle.address().del(message).execute().await
    })
    .await;
}

/// The usual kind of link if the kernel has it, else one that every kernel of ours has.
async fn usable_kind() -> LinkKind {
    match Link::ensure(plan(LinkKind::Dummy)).await {
        Err(LinkError::NoDriver(_)) => LinkKind::Bridge,
        made => {
            made.unwrap().0.remove().await.unwrap();
            LinkKind::Dummy
        }
    }
}

#[test]
fn dummy_is_made_or_named_as_missing() {
    in_namespace(async || match Link::ensure(plan(LinkKind::Dummy)).await {
        Ok((link, changes)) => {
            assert!(matches!(changes.0.first(), Some(LinkChange::Created(LinkKind::Dummy))), "{changes}");
            assert_eq!(seen(NAME), planned());
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
fn without_dummy_the_automatic_choice_is_a_bridge_and_one_line_says_so() {
    in_namespace(async || {
        let kind = usable_kind().await;
        let is_told = |events: &[NodeEvent]| {
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
        let plan = NodeConfig { link: Some(plan(LinkKindPreference::Auto)), notrack: None };
        let (mut setup, events) = NodeSetup::apply(plan).await.unwrap();
        is_told(&events);
        assert!(setup.is_configured().await && setup.verify().await.is_empty());
        meddle(async |handle, index| handle.link().del(index).execute().await).await;
        is_told(&setup.verify().await);
        assert_eq!(seen(NAME), planned());
        setup.restore().await.unwrap();
        assert!(!exists(NAME), "of whichever kind it is");
    });
}

#[test]
fn a_link_is_made_kept_and_removed() {
    in_namespace(async || {
        for kind in [LinkKind::Bridge, LinkKind::Ifb] {
            let (link, changes) = match Link::ensure(plan(kind)).await {
                Err(LinkError::NoDriver(LinkKind::Ifb)) => continue,
                made => made.unwrap(),
            };
            assert_eq!(
                changes.to_string(),
                format!(
                    "created as {kind}, 169.254.25.10 added, fd00:25::10 added, 10.96.0.10 added, set up"
                )
            );
            assert_eq!(seen(NAME), planned());
            assert!(link.is_configured().await.unwrap());
            assert!(link.verify().await.unwrap().is_empty());
            link.remove().await.unwrap();
            assert!(!exists(NAME));
        }
    });
}

#[test]
fn what_disappears_is_repaired() {
    in_namespace(async || {
        let (link, _) = Link::ensure(plan(LinkKind::Bridge)).await.unwrap();
        for (address, prefix) in [(ip("169.254.25.10"), 32), (ip("fd00:25::10"), 128)] {
            delete_address(address, prefix).await;
            assert!(!link.is_configured().await.unwrap());
            assert_eq!(link.verify().await.unwrap().0, [LinkChange::AddressAdded(address)]);
            assert_eq!(seen(NAME), planned());
        }
        meddle(async |handle, index| {
            handle.link().set(LinkUnspec::new_with_index(index).down().build()).execute().await
        })
        .await;
        assert!(!link.is_configured().await.unwrap());
        // The kernel takes IPv6 addresses from a link that goes down.
        let changes = link.verify().await.unwrap();
        assert_eq!(changes.0, [LinkChange::AddressAdded(ip("fd00:25::10")), LinkChange::SetUp]);
        assert_eq!(seen(NAME), planned());
        meddle(async |handle, index| handle.link().del(index).execute().await).await;
        assert!(!link.is_configured().await.unwrap());
        assert!(matches!(link.verify().await.unwrap().0.first(), Some(LinkChange::Created(_))));
        assert_eq!(seen(NAME), planned());
        assert!(link.verify().await.unwrap().is_empty());
        link.remove().await.unwrap();
        assert!(!exists(NAME));
    });
}

#[test]
fn a_link_left_by_a_killed_process_is_adopted_and_removed() {
    in_namespace(async || {
        let (killed, _) = Link::ensure(plan(LinkKind::Bridge)).await.unwrap();
        drop(killed);
        let (link, changes) = Link::ensure(plan(LinkKind::Bridge)).await.unwrap();
        assert!(matches!(changes.0.as_slice(), [LinkChange::Adopted(_)]), "{changes}");
        assert_eq!(seen(NAME), planned());
        link.remove().await.unwrap();
        assert!(!exists(NAME));
    });
}

#[test]
fn addresses_as_node_cache_leaves_them_are_replaced() {
    in_namespace(async || {
        add_link(NAME, InfoKind::Bridge, None).await;
        for address in ["169.254.25.10", "fd00:25::10"].map(ip) {
            // Global scope and endless preference: the kernel may choose them as a source.
            meddle(async |handle, index| {
                let prefix = if address.is_ipv4() { 32 } else { 128 };
                handle.address().add(index, address, prefix).execute().await
            })
            .await;
        }
        let (link, changes) = Link::ensure(plan(LinkKind::Bridge)).await.unwrap();
        assert_eq!(
            changes.to_string(),
            "adopted, kind bridge, 169.254.25.10 replaced, fd00:25::10 replaced, 10.96.0.10 added, set up"
        );
        assert_eq!(seen(NAME), planned());
        link.remove().await.unwrap();
        assert!(!exists(NAME));
    });
}

#[test]
fn a_link_that_others_use_stays() {
    in_namespace(async || {
        // An address of someone else's.
        add_link(NAME, InfoKind::Bridge, None).await;
        meddle(async |handle, index| handle.address().add(index, ip("192.0.2.1"), 24).execute().await).await;
        let (link, _) = Link::ensure(plan(LinkKind::Bridge)).await.unwrap();
        assert_eq!(seen(NAME).len(), 4);
        link.remove().await.unwrap();
        assert_eq!(seen(NAME), [("192.0.2.1".to_owned(), "255.255.255.0".to_owned())]);
        // A bridge with a port.
        delete_address(ip("192.0.2.1"), 24).await;
        add_link("port", InfoKind::Veth, Some(if_nametoindex(NAME).unwrap())).await;
        let (link, _) = Link::ensure(plan(LinkKind::Bridge)).await.unwrap();
        link.remove().await.unwrap();
        assert!(exists(NAME) && seen(NAME).is_empty());
    });
}

#[test]
fn impossible_plans_say_what_to_do() {
    in_namespace(async || {
        let long = LinkConfig { name: "sixteen-octets--".into(), ..plan(LinkKind::Bridge) };
        let error = Link::ensure(long).await.unwrap_err().to_string();
        assert!(error.contains("-interfacename"), "{error}");
        // Seen from a thread, this file belongs to the thread's own network namespace.
        if let Err(error) = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1") {
            return skip("impossible_plans_say_what_to_do", &format!("IPv6 cannot be turned off: {error}"));
        }
        let error = Link::ensure(plan(LinkKind::Bridge)).await.unwrap_err();
        assert!(matches!(error, LinkError::Ipv6Disabled(_)), "{error}");
        assert!(!exists(NAME), "what was made before the failure is undone");
    });
}

#[test]
fn a_missing_privilege_is_named() {
    without_privilege(async || {
        let error = Link::ensure(plan(LinkKind::Bridge)).await.unwrap_err();
        assert!(matches!(error, LinkError::NoPermission { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("create link nodelocaldns") && text.contains("CAP_NET_ADMIN"), "{text}");
        let error = notrack::install(&rules()).unwrap_err();
        assert!(matches!(error, FilterError::NoPermission), "{error:?}");
        let plan = NodeConfig { link: None, notrack: Some(rules()) };
        let (setup, events) = NodeSetup::apply(plan).await.unwrap();
        assert!(
            matches!(events.as_slice(), [NodeEvent::RulesFailed(FilterError::NoPermission)]),
            "{events:?}"
        );
        assert!(setup.is_configured().await);
        setup.restore().await.unwrap();
    });
}

#[test]
fn loopback_comes_up() {
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
fn rules_are_installed_replaced_and_removed() {
    in_namespace(async || {
        let plan = rules();
        assert!(!notrack::is_installed(&plan).unwrap());
        notrack::remove(NAME).unwrap();
        for _ in 0..2 {
            notrack::install(&plan).unwrap();
            assert!(notrack::is_installed(&plan).unwrap());
        }
        let other = NotrackConfig { health_port: None, ..rules() };
        assert!(!notrack::is_installed(&other).unwrap());
        notrack::install(&other).unwrap();
        assert!(notrack::is_installed(&other).unwrap());
        assert!(!notrack::is_installed(&plan).unwrap());
        notrack::remove(NAME).unwrap();
        assert!(!notrack::is_installed(&other).unwrap());
        notrack::remove(NAME).unwrap();
    });
}

#[test]
fn rules_read_in_nft_as_they_were_meant() {
    in_namespace(async || {
        let plan = NotrackConfig { addresses: vec![ip("169.254.25.10"), ip("fd00:25::10")], ..rules() };
        notrack::install(&plan).unwrap();
        let Some(listing) = output_of("nft", &["list", "ruleset"]) else {
            return skip("rules_read_in_nft_as_they_were_meant", "no nft command");
        };
        assert!(listing.starts_with("table inet nodelocaldns {"), "{listing}");
        assert_eq!(listing.matches("priority raw; policy accept;").count(), 2, "{listing}");
        assert_eq!(listing.matches("notrack comment \"NodeLocal DNS Cache: skip conntrack\"").count(), 16);
        for rule in [
            "ip daddr 169.254.25.10 udp dport 53 notrack",
            "ip daddr 169.254.25.10 tcp dport 53 notrack",
            "ip saddr 169.254.25.10 udp sport 53 notrack",
            "ip saddr 169.254.25.10 tcp sport 9254 notrack",
            "ip6 daddr fd00:25::10 tcp dport 9254 notrack",
            "ip6 saddr fd00:25::10 tcp sport 53 notrack",
        ] {
            assert!(listing.contains(rule), "{rule} in {listing}");
        }
        output_of("nft", &["add", "rule", "inet", NAME, "output", "counter"]);
        assert!(!notrack::is_installed(&plan).unwrap(), "a rule too many");
    });
}

#[test]
fn a_node_is_set_up_verified_and_restored() {
    in_namespace(async || {
        let kind = usable_kind().await;
        let plan = NodeConfig { link: Some(plan(kind)), notrack: Some(rules()) };
        let (mut setup, events) = NodeSetup::apply(plan).await.unwrap();
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
        notrack::remove(NAME).unwrap();
        delete_address(ip("10.96.0.10"), 32).await;
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
        assert!(!notrack::is_installed(&rules()).unwrap());
    });
}

#[test]
fn who_leaves_the_link_to_another_takes_its_own_addresses_along() {
    in_namespace(async || {
        let of_addresses = |addresses: [&str; 2]| {
            let addresses = addresses.map(ip).to_vec();
            NodeConfig { link: Some(LinkConfig { addresses, ..plan(LinkKind::Bridge) }), notrack: None }
        };
        let (stays, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "fd00:25::10"])).await.unwrap();
        let (leaves, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "10.96.0.10"])).await.unwrap();
        meddle(async |handle, index| handle.address().add(index, ip("192.0.2.1"), 32).execute().await).await;
        let others = ["169.254.25.10", "fd00:25::10"].map(ip);
        let said: Vec<_> =
            leaves.remove_addresses_except(&others).await.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["link nodelocaldns: 10.96.0.10 removed"]);
        assert!(leaves.remove_addresses_except(&others).await.is_empty());
        let held: Vec<_> = seen(NAME).into_iter().map(|(address, _)| address).collect();
        assert_eq!(held, ["169.254.25.10", "192.0.2.1", "fd00:25::10"]);
        assert!(stays.is_configured().await);
        meddle(async |handle, index| handle.link().del(index).execute().await).await;
        assert!(leaves.remove_addresses_except(&others).await.is_empty());
    });
}

#[test]
fn a_successor_with_other_addresses_takes_the_node_over() {
    in_namespace(async || {
        let of_addresses = |addresses: [&str; 2]| {
            let addresses = addresses.map(ip).to_vec();
            let link = LinkConfig { addresses: addresses.clone(), ..plan(LinkKind::Bridge) };
            NodeConfig { link: Some(link), notrack: Some(NotrackConfig { addresses, ..rules() }) }
        };
        let (old, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "fd00:25::10"])).await.unwrap();
        meddle(async |handle, index| handle.address().add(index, ip("192.0.2.1"), 32).execute().await).await;
        let (new, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "10.96.0.10"])).await.unwrap();
        assert!(old.is_configured().await, "nobody's address is lost before the predecessor has ended");
        drop(old);
        let of_the_old = ["169.254.25.10", "fd00:25::10", "203.0.113.1"].map(ip);
        let said: Vec<_> =
            new.remove_predecessor_addresses(&of_the_old).await.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["link nodelocaldns: fd00:25::10 removed"]);
        assert!(new.remove_predecessor_addresses(&of_the_old).await.is_empty());
        let held: Vec<_> = seen(NAME).into_iter().map(|(address, _)| address).collect();
        assert_eq!(held, ["10.96.0.10", "169.254.25.10", "192.0.2.1"]);
        assert!(new.is_configured().await);
        delete_address(ip("192.0.2.1"), 32).await;
        new.restore().await.unwrap();
        assert!(!exists(NAME), "what was left by the predecessor is gone with us");
        let (gone, _) = NodeSetup::apply(of_addresses(["169.254.25.10", "fd00:25::10"])).await.unwrap();
        meddle(async |handle, index| handle.link().del(index).execute().await).await;
        assert!(gone.remove_predecessor_addresses(&of_the_old).await.is_empty());
    });
}

#[test]
fn a_link_that_fails_leaves_nothing_behind() {
    in_namespace(async || {
        let bad = LinkConfig { name: "a/b".into(), ..plan(LinkKind::Bridge) };
        let plan = NodeConfig { link: Some(bad), notrack: Some(rules()) };
        let error = NodeSetup::apply(plan).await.unwrap_err();
        assert!(matches!(error.link, Some(LinkError::InvalidName(_))), "{error}");
        assert!(!notrack::is_installed(&rules()).unwrap());
    });
}

/// The datagram from `source` to `target` did not arrive: an ICMP error of `kind` and `code` that quotes its headers
/// (RFC 792, RFC 4443 section 3.1).
fn report(source: SocketAddr, target: SocketAddr, kind: u8, code: u8) {
    let ports = [source.port().to_be_bytes(), target.port().to_be_bytes()].concat();
    let datagram = [ports.as_slice(), &[0, 8, 0, 0]].concat();
    let (domain, protocol, header) = match (source.ip(), target.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let fixed = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
            (Domain::IPV4, Protocol::ICMPV4, [&fixed[..], &from.octets(), &to.octets()].concat())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let fixed = [0x60, 0, 0, 0, 0, 8, 17, 64];
            (Domain::IPV6, Protocol::ICMPV6, [&fixed[..], &from.octets(), &to.octets()].concat())
        }
        _ => unreachable!("one family"),
    };
    let mut message = [&[kind, code, 0, 0, 0, 0, 0, 0][..], &header, &datagram].concat();
    let sum: u32 = message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).unwrap();
    socket.send_to(&message, &SocketAddr::new(source.ip(), 0).into()).unwrap();
}

#[test]
fn what_the_network_reports_of_a_datagram_ends_the_wait_for_its_answer() {
    in_namespace(|| async {
        bring_up_loopback().await.unwrap();
        let (host, network) = (io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable);
        for (upstream, kind, code, expected) in [
            ("127.0.0.1:5300", 3, 1, host),
            ("127.0.0.1:5300", 3, 0, network),
            ("[::1]:5300", 1, 3, host),
            ("[::1]:5300", 1, 0, network),
        ] {
            let held = UdpSocket::bind(upstream).unwrap();
            let silent = held.local_addr().unwrap();
            let socket = linux::udp::connect(silent, None).unwrap();
            let source = socket.local_addr().unwrap();
            let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
            socket.send(b"question").await.unwrap();
            report(source, silent, kind, code);
            let mut buffer = [0; 16];
            let wait = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buffer));
            assert_eq!(wait.await.unwrap().unwrap_err().kind(), expected, "{upstream} {kind}/{code}");
        }
    });
}
