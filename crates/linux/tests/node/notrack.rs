//! The NOTRACK rules.

use linux::notrack::{self, NotrackConfig};

use crate::fixture::*;
use crate::namespace::{in_namespace, output_of, skip};

#[test]
fn rules_are_installed_replaced_and_removed() {
    in_namespace(async || {
        let config = notrack_config();
        assert!(!notrack::is_installed(&config).unwrap());
        notrack::remove(NAME).unwrap();
        for _ in 0..2 {
            notrack::install(&config).unwrap();
            assert!(notrack::is_installed(&config).unwrap());
        }
        let other = NotrackConfig { health_port: None, ..notrack_config() };
        assert!(!notrack::is_installed(&other).unwrap());
        notrack::install(&other).unwrap();
        assert!(notrack::is_installed(&other).unwrap());
        assert!(!notrack::is_installed(&config).unwrap());
        notrack::remove(NAME).unwrap();
        assert!(!notrack::is_installed(&other).unwrap());
        notrack::remove(NAME).unwrap();
    });
}

#[test]
fn nft_lists_the_rules_as_configured() {
    in_namespace(async || {
        let config =
            NotrackConfig { addresses: vec![ip("169.254.25.10"), ip("fd00:25::10")], ..notrack_config() };
        notrack::install(&config).unwrap();
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
        assert!(!notrack::is_installed(&config).unwrap(), "a rule too many");
    });
}
