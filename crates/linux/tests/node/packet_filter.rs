//! The packet-filter table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use linux::packet_filter::{
    Fallback, FallbackCount, FilterConfig, FilterError, FilteredAddress, PacketFilter, check_support,
    remove_table,
};

use crate::fixture::*;
use crate::namespace::{in_namespace, output_of, skip};

#[test]
fn rules_are_installed_replaced_and_removed() {
    in_namespace(async || {
        let mut rules = PacketFilter::new(filter_config());
        assert!(!rules.is_installed().unwrap());
        rules.remove().unwrap();
        assert!(!remove_table("nodelocaldns").unwrap(), "there is none");
        rules.install().unwrap();
        assert!(remove_table("nodelocaldns").unwrap());
        assert!(!rules.is_installed().unwrap());
        for _ in 0..2 {
            rules.install().unwrap();
            assert!(rules.is_installed().unwrap());
        }
        let mut others = PacketFilter::new(FilterConfig { health_port: None, ..filter_config() });
        assert!(!others.is_installed().unwrap());
        others.install().unwrap();
        assert!(others.is_installed().unwrap());
        assert!(!rules.is_installed().unwrap());
        rules.remove().unwrap();
        assert!(!others.is_installed().unwrap());
        others.remove().unwrap();
    });
}

#[test]
fn nft_lists_the_rules_as_configured() {
    in_namespace(async || {
        let mut rules = PacketFilter::new(filter_config());
        rules.install().unwrap();
        let Some(listing) = output_of("nft", &["list", "ruleset"]) else {
            return skip("nft_lists_the_rules_as_configured", "no nft command");
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
        assert!(!rules.is_installed().unwrap(), "a rule too many");
    });
}

fn fail_open_config() -> FilterConfig {
    let filtered = |address, fallback| FilteredAddress { address: ip(address), fallback: Some(fallback) };
    let addresses = vec![
        filtered("169.254.25.10", Fallback::Service(ip("10.96.0.10"))),
        filtered("fd00:25::10", Fallback::Service(ip("fd00:96::a"))),
        filtered("10.96.0.11", Fallback::Itself),
    ];
    FilterConfig { addresses, ..filter_config() }
}

#[test]
fn nft_lists_the_fail_open_rules() {
    in_namespace(async || {
        let mut rules = PacketFilter::new(fail_open_config());
        rules.install().unwrap();
        assert!(rules.is_installed().unwrap() && rules.fail_open_error().is_none());
        let Some(listing) = output_of("nft", &["--terse", "--stateless", "list", "ruleset"]) else {
            return skip("nft_lists_the_fail_open_rules", "no nft command");
        };
        let connection = "ip6 saddr . ip6 daddr . tcp sport";
        for rule in [
            "ip daddr 169.254.25.10 goto input_0",
            "ip6 daddr fd00:25::10 goto output_1",
            "ip saddr 10.96.0.11 goto reply_2",
            "udp dport 53 goto query_0",
            "tcp dport 53 goto local_query_1",
            "tcp sport 9254 notrack comment \"NodeLocal DNS Cache: skip conntrack\"",
            "tcp dport 9254 ip daddr @alive4 notrack",
            "ip daddr @alive4 socket transparent 0 notrack accept",
            "delete @alive4 { ip daddr } comment \"no socket: dead at once\"",
            "udp sport 53 ip6 saddr fd00:25::10 update @alive6 { ip6 saddr timeout 1s } drop",
            &format!("{connection} @fallback_tcp6 update @fallback_tcp6 {{ {connection} timeout 30s }} goto"),
            &format!("{connection} != @fallback_tcp6 reject with tcp reset"),
            "counter comment \"fail-open udp 169.254.25.10\"",
            "tcp flags syn / syn,ack counter comment \"fail-open tcp 169.254.25.10\"",
            "ct original zone set 25 ip daddr set 10.96.0.10",
            "ct original zone set 26 ip6 daddr set fd00:96::a",
            "type nat hook postrouting priority srcnat - 5;",
            "ct original zone 25 ip saddr 169.254.25.10 masquerade",
            "ip saddr 10.96.0.11 oifname != \"lo\" masquerade",
            "ct original zone 26 ct direction reply ip6 saddr fd00:96::a ip6 saddr set fd00:25::10",
        ] {
            assert!(listing.contains(rule), "{rule} in {listing}");
        }
    });
}

#[test]
fn rules_without_notrack_leave_conntrack_to_others() {
    in_namespace(async || {
        for config in [fail_open_config(), filter_config()] {
            let mut rules = PacketFilter::new(FilterConfig { notrack: false, ..config });
            rules.install().unwrap();
            assert!(rules.is_installed().unwrap());
            let Some(listing) = output_of("nft", &["list", "ruleset"]) else {
                return skip("rules_without_notrack_leave_conntrack_to_others", "no nft command");
            };
            assert!(!listing.contains("notrack"), "{listing}");
        }
    });
}

#[test]
fn rules_are_those_of_the_configuration() {
    in_namespace(async || {
        let mut rules = PacketFilter::new(fail_open_config());
        rules.install().unwrap();
        let mut zone = PacketFilter::new(FilterConfig { first_zone: 7, ..fail_open_config() });
        assert!(!zone.is_installed().unwrap(), "another zone");
        if output_of("nft", &["delete", "table", "inet", NAME]).is_none() {
            return skip("rules_are_those_of_the_configuration", "no nft command");
        }
        assert!(!rules.is_installed().unwrap() && rules.counters().read().fallback.is_empty());
        rules.install().unwrap();
        assert_eq!(rules.counters().read().fallback.len(), 6);
        output_of("nft", &["flush", "chain", "inet", NAME, "input_0"]);
        assert!(!rules.is_installed().unwrap(), "rules were removed");
        rules.set_addresses(filter_config().addresses);
        rules.install().unwrap();
        let mut other = PacketFilter::new(filter_config());
        assert!(other.is_installed().unwrap() && other.counters().read().fallback.is_empty());
    });
}

#[test]
fn support_is_checked_without_an_installation() {
    in_namespace(async || {
        let fallback = Some(Fallback::Service(ip("10.96.0.10")));
        let addresses = vec![FilteredAddress { address: ip("169.254.25.10"), fallback }];
        let config = FilterConfig { addresses, ..filter_config() };
        check_support(&config).unwrap();
        assert!(!PacketFilter::new(config.clone()).exists().unwrap());
        let mut installed = PacketFilter::new(filter_config());
        installed.install().unwrap();
        check_support(&config).unwrap();
        assert!(installed.is_installed().unwrap(), "a table of the same name stays");
        let many = |hosts| {
            let addresses = (0..hosts).map(|host| ip(&format!("169.254.25.{host}")));
            addresses.map(|address| FilteredAddress { address, fallback }).collect()
        };
        // More than the default send buffer holds.
        check_support(&FilterConfig { addresses: many(60), ..config.clone() }).unwrap();
        // More than the set holds; the kernel lacks no feature that they need.
        let rejected = check_support(&FilterConfig { addresses: many(70), ..config.clone() });
        assert!(matches!(rejected, Err(FilterError::Kernel { .. })), "{rejected:?}");
        // The kernel accepts no name of this length.
        let unsupported = FilterConfig { table: "x".repeat(300), ..config };
        assert!(check_support(&unsupported).is_err());
    });
}

#[test]
fn rejected_rules_are_not_tried_again_with_fewer_marks_than_addresses() {
    in_namespace(async || {
        let fallback = Some(Fallback::Service(ip("10.96.0.10")));
        let addresses = (1..6).map(|host| FilteredAddress { address: [169, 254, 25, host].into(), fallback });
        let addresses: Vec<FilteredAddress> = addresses.collect();
        // The kernel accepts no name of this length.
        let table = "x".repeat(300);
        let marked = FilterConfig { first_zone: 0, mark_mask: 0x3000, table, ..filter_config() };
        let mut rules = PacketFilter::new(FilterConfig { addresses: addresses.clone(), ..marked });
        rules.install().unwrap_err();
        assert!(rules.fail_open_error().is_some());
        rules.set_addresses(addresses.clone());
        assert!(rules.fail_open_error().is_some(), "the same addresses");
        rules.set_addresses(addresses.into_iter().skip(1).collect());
        assert!(rules.fail_open_error().is_none(), "other addresses");
    });
}

#[test]
fn counts_do_not_decrease_when_the_table_is_replaced() {
    in_namespace(async || {
        let mut rules = PacketFilter::new(fail_open_config());
        rules.install().unwrap();
        // Sets the counter of UDP packets for the first address.
        let count = |packets: u64| {
            let listing = output_of("nft", &["--handle", "list", "chain", "inet", NAME, "fall_back_0"])?;
            let rule = listing.lines().find(|line| line.contains("fail-open udp 169.254.25.10"))?;
            let handle = rule.rsplit(' ').next()?.to_owned();
            let counter =
                format!("counter packets {packets} bytes 0 comment \"fail-open udp 169.254.25.10\"");
            output_of("nft", &["replace", "rule", "inet", NAME, "fall_back_0", "handle", &handle, &counter])
        };
        if count(7).is_none() {
            return skip("counts_do_not_decrease_when_the_table_is_replaced", "no nft command");
        }
        let mut counters = rules.counters();
        let mut counted = || {
            let counts = counters.read().fallback;
            let of_udp = |count: &&FallbackCount| count.address == ip("169.254.25.10") && !count.tcp;
            counts.iter().find(of_udp).unwrap().packets
        };
        rules.install().unwrap();
        assert_eq!(counted(), 7, "packets that were not read before");
        count(3).unwrap();
        assert_eq!(counted(), 10);
        count(1).unwrap();
        assert_eq!(counted(), 11, "another program has set it to zero");
        assert!(remove_table(NAME).unwrap());
        assert_eq!(counted(), 11, "without a table");
        rules.install().unwrap();
        assert_eq!(counted(), 11, "installed again");
        count(2).unwrap();
        rules.set_addresses(filter_config().addresses);
        rules.install().unwrap();
        assert_eq!(counted(), 13, "without fail-open rules");
    });
}

#[test]
fn rules_are_listed_in_full_while_another_program_changes_its_own() {
    in_namespace(async || {
        let mut rules = PacketFilter::new(fail_open_config());
        rules.install().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = is_over.clone();
        // In the network namespace of this thread.
        let other = thread::Builder::new().name("other".to_owned()).spawn(move || {
            let config = FilterConfig { table: "busy".to_owned(), ..filter_config() };
            let (mut busy, mut changes) = (PacketFilter::new(config), 0);
            while !ended.load(Ordering::Relaxed) {
                busy.install().unwrap();
                changes += 1;
            }
            changes
        });
        let other = other.unwrap();
        for round in 0..500 {
            assert!(rules.is_installed().unwrap(), "round {round}");
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(other.join().unwrap() > 10);
    });
}
