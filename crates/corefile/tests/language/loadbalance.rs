//! `loadbalance`: the order of addresses in responses.

use resolver::policy::{LoadBalanceOptions, Network};

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::load_lines;

fn load_balance(lines: &str) -> Option<LoadBalanceOptions> {
    load_lines(lines).unwrap().blocks.remove(0).load_balance
}

#[test]
fn loadbalance_is_round_robin_with_preferred_networks() {
    assert_eq!(load_balance("errors"), None);
    for lines in ["loadbalance", "loadbalance round_robin", "loadbalance {\n}"] {
        assert_eq!(load_balance(lines), Some(LoadBalanceOptions::default()), "{lines}");
    }
    let networks = |networks: &[(&str, u32)]| {
        let network = |(address, prefix): &(&str, u32)| Network::new(address.parse().unwrap(), *prefix);
        let prefer = networks.iter().filter_map(network).collect();
        Some(LoadBalanceOptions { prefer })
    };
    assert_eq!(
        load_balance("loadbalance round_robin {\n prefer 10.0.0.0/8 2001:db8::/32\n prefer 192.0.2.1/32\n}"),
        networks(&[("10.0.0.0", 8), ("2001:db8::", 32), ("192.0.2.1", 32)])
    );
    let last = load_balance("loadbalance {\n prefer 10.0.0.0/8\n}\nloadbalance {\n prefer 11.0.0.0/8\n}");
    assert_eq!(last, networks(&[("11.0.0.0", 8)]), "the last counts");
}

#[test]
fn invalid_loadbalance_directives_are_rejected() {
    let no_network = |text: &str| format!("'{text}' is not a network in CIDR notation, such as 10.0.0.0/8");
    let rejected = [
        ("loadbalance worst", "unknown policy: worst".to_owned()),
        ("loadbalance round_robin x", "unknown property for round_robin".to_owned()),
        (
            "loadbalance weighted /etc/weights",
            "policy 'weighted' is not supported by nodelocaldns yet".to_owned(),
        ),
        ("loadbalance {\n wibble\n}", "unknown property 'wibble'".to_owned()),
        ("loadbalance {\n prefer\n}", format!("{ARGUMENT_COUNT} 'prefer'")),
        ("loadbalance {\n prefer 10.0.0.1\n}", no_network("10.0.0.1")),
        ("loadbalance {\n prefer 10.0.0.0/33\n}", no_network("10.0.0.0/33")),
        ("loadbalance {\n prefer ten/8\n}", no_network("ten/8")),
    ];
    for (lines, reason) in &rejected {
        assert_all_rejected("loadbalance", &[(lines, reason)]);
    }
}

#[test]
fn loadbalance_is_not_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    assert_eq!(fingerprint("cache"), fingerprint("cache\nloadbalance"));
}
