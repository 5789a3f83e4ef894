//! The NOTRACK rules.

use linux::notrack::{Notrack, NotrackConfig};

use crate::fixture::*;
use crate::namespace::{in_namespace, output_of, skip};

#[test]
fn rules_are_installed_replaced_and_removed() {
    in_namespace(async || {
        let mut rules = Notrack::new(notrack_config());
        assert!(!rules.is_installed().unwrap());
        rules.remove().unwrap();
        for _ in 0..2 {
            rules.install().unwrap();
            assert!(rules.is_installed().unwrap());
        }
        let mut others = Notrack::new(NotrackConfig { health_port: None, ..notrack_config() });
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
        let config =
            NotrackConfig { addresses: vec![ip("169.254.25.10"), ip("fd00:25::10")], ..notrack_config() };
        let mut rules = Notrack::new(config);
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
