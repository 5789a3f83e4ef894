//! `dns64`: prefixes and options.

use resolver::policy::{Dns64, Nat64Prefix};

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::load_lines;

fn dns64(lines: &str) -> Option<Dns64> {
    load_lines(lines).unwrap().blocks.remove(0).dns64
}

#[test]
fn dns64_accepts_prefixes_and_options() {
    let well_known = Dns64 { prefix: Nat64Prefix::WELL_KNOWN, translate_all: false, allow_ipv4: false };
    let with = |prefix: &str, bits| {
        let prefix = Nat64Prefix::new(prefix.parse().unwrap(), bits).unwrap();
        Dns64 { prefix, ..well_known }
    };
    assert_eq!(dns64("errors"), None);
    for (lines, expected) in [
        ("dns64", well_known),
        ("dns64 64:ff9b::/96", well_known),
        ("dns64 64:ff9b::1.2.3.4/96", well_known),
        ("dns64 2001:db8::/32", with("2001:db8::", 32)),
        ("dns64 {\n prefix 2001:db8::/40\n}", with("2001:db8::", 40)),
        ("dns64 {\n translate_all\n}", Dns64 { translate_all: true, ..well_known }),
        ("dns64 2001:db8::/64 {\n allow_ipv4\n}", Dns64 { allow_ipv4: true, ..with("2001:db8::", 64) }),
        ("dns64 2001:db8::/64\ndns64", with("2001:db8::", 64)),
        (
            "dns64 {\n translate_all\n}\ndns64 2001:db8::/64 {\n allow_ipv4\n}",
            Dns64 { translate_all: true, allow_ipv4: true, ..with("2001:db8::", 64) },
        ),
    ] {
        assert_eq!(dns64(lines), Some(expected), "{lines}");
    }
}

#[test]
fn invalid_prefixes_and_options_are_rejected() {
    let lengths = "; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96";
    assert_all_rejected(
        "dns64",
        &[
            ("dns64 a b", &format!("{ARGUMENT_COUNT} 'b'")),
            ("dns64 64:ff9b::", "invalid CIDR address: 64:ff9b::"),
            ("dns64 64:ff9b::/129", "invalid CIDR address: 64:ff9b::/129"),
            ("dns64 64:ff9b::/+96", "invalid CIDR address: 64:ff9b::/+96"),
            ("dns64 10.0.0.0/33", "invalid CIDR address: 10.0.0.0/33"),
            ("dns64 10.0.0.0/8", "invalid netmask 32 IPv6 address: \"10.0.0.0/8\""),
            ("dns64 64:ff9b::/72", &format!("invalid prefix length \"64:ff9b::/72\"{lengths}")),
            ("dns64 64:ff9b::/33", &format!("invalid prefix length \"64:ff9b::/33\"{lengths}")),
            ("dns64 {\n prefix\n}", &format!("{ARGUMENT_COUNT} 'prefix'")),
            ("dns64 {\n translate\n}", "unknown property 'translate'"),
            ("dns64 {\n allow_ipv4 yes\n}", &format!("{ARGUMENT_COUNT} 'yes'")),
        ],
    );
}

#[test]
fn dns64_is_in_front_of_the_cache_and_leaves_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    assert_eq!(fingerprint("cache\ndns64"), fingerprint("cache"));
}
