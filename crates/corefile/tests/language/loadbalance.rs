//! `loadbalance`: the order of addresses in responses.

use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use corefile::settings::WeightFile;
use resolver::policy::{AddressWeights, LoadBalanceOptions, Network};
use wire::name::Name;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::{COREFILE, load_from, load_lines};

fn load_balance(lines: &str) -> Option<LoadBalanceOptions> {
    load_lines(lines).unwrap().blocks.remove(0).load_balance
}

#[test]
fn loadbalance_is_round_robin_with_preferred_networks() {
    assert_eq!(load_balance("errors"), None);
    for lines in ["loadbalance", "loadbalance round_robin", "loadbalance {\n}"] {
        assert_eq!(load_balance(lines), Some(LoadBalanceOptions::default()), "{lines}");
    }
    let networks = |networks: &[(&str, u8)]| {
        let network = |(address, prefix): &(&str, u8)| Network::new(address.parse().unwrap(), *prefix);
        let prefer = networks.iter().filter_map(network).collect();
        Some(LoadBalanceOptions { prefer, weights: None })
    };
    assert_eq!(
        load_balance("loadbalance round_robin {\n prefer 10.0.0.0/8 2001:db8::/32\n prefer 192.0.2.1/32\n}"),
        networks(&[("10.0.0.0", 8), ("2001:db8::", 32), ("192.0.2.1", 32)])
    );
    let last = load_balance("loadbalance {\n prefer 10.0.0.0/8\n}\nloadbalance {\n prefer 11.0.0.0/8\n}");
    assert_eq!(last, networks(&[("10.0.0.0", 8), ("11.0.0.0", 8)]), "the networks of all");
}

#[test]
fn invalid_loadbalance_directives_are_rejected() {
    let no_network = |text: &str| format!("'{text}' is not a network in CIDR notation, such as 10.0.0.0/8");
    let rejected = [
        ("loadbalance worst", "unknown policy: worst".to_owned()),
        ("loadbalance round_robin x", "unknown property for round_robin".to_owned()),
        ("loadbalance weighted", "missing weight file argument".to_owned()),
        ("loadbalance weighted a b", "unexpected argument(s)".to_owned()),
        (
            "loadbalance weighted a {\n reload x\n}",
            "invalid duration for reload: time: invalid duration \"x\"".to_owned(),
        ),
        ("loadbalance weighted a {\n reload -1s\n}", "invalid negative duration for reload '-1s'".to_owned()),
        (
            "loadbalance weighted a {\n reload 0s\n}",
            "cannot read the weight file /a: entity not found".to_owned(),
        ),
        ("loadbalance {\n reload 1s\n}", "reload is for the policy weighted only".to_owned()),
        ("loadbalance {\n wibble\n}", "unknown property 'wibble'".to_owned()),
        ("loadbalance {\n prefer\n}", format!("{ARGUMENT_COUNT} 'prefer'")),
        ("loadbalance {\n prefer 10.0.0.1\n}", no_network("10.0.0.1")),
        ("loadbalance {\n prefer 10.0.0.0/33\n}", no_network("10.0.0.0/33")),
        ("loadbalance {\n prefer 10.0.0.0/+8\n}", no_network("10.0.0.0/+8")),
        ("loadbalance {\n prefer ten/8\n}", no_network("ten/8")),
    ];
    for (lines, reason) in &rejected {
        assert_all_rejected("loadbalance", &[(lines, reason)]);
    }
}

#[test]
fn weights_are_read_from_a_file() {
    let load = |lines: &str| {
        let corefile = format!(". {{\n {lines}\n forward . 192.0.2.1\n}}\n");
        let files = [("/weights", "www.test\n192.0.2.1 3\n"), ("/wrong", "www.test\n192.0.2.1\n")];
        load_from(&[&files[..], &[(COREFILE, &corefile)]].concat())
    };
    let settings = load("loadbalance weighted /weights {\n reload 1m\n prefer 10.0.0.0/8\n}").unwrap();
    let block = &settings.blocks[0];
    let (path, reload) = (PathBuf::from("/weights"), Duration::from_secs(60));
    assert_eq!(block.weight_file, Some(WeightFile { path, reload }));
    let mut weights = AddressWeights::default();
    weights.add(&Name::parse("www.test").unwrap(), [192, 0, 2, 1].into(), NonZeroU8::new(3).unwrap());
    let options = block.load_balance.as_ref().unwrap();
    assert_eq!((options.weights.as_deref(), options.prefer.len()), (Some(&weights), 1));
    let settings = load("loadbalance weighted /absent").unwrap();
    let block = &settings.blocks[0];
    assert_eq!(block.weight_file.as_ref().unwrap().reload, Duration::from_secs(30));
    assert_eq!(block.load_balance.as_ref().unwrap().weights, Some(Arc::default()));
    let warning =
        "Corefile:2 - cannot read the weight file /absent: entity not found; it is read when it can be";
    assert!(settings.warnings[0].ends_with(warning), "{:?}", settings.warnings);
    let line = load("loadbalance weighted /wrong").unwrap_err().to_string();
    assert!(
        line.contains(":2 - ") && line.contains("/wrong:2: the address 192.0.2.1 has no weight"),
        "{line}"
    );
}

#[test]
fn loadbalance_is_not_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    assert_eq!(fingerprint("cache"), fingerprint("cache\nloadbalance"));
}
