//! What host firewalls do with packets of pods to our addresses.

mod iptables;

use std::process::{Command, Stdio};

use linux::firewall::{Direction, Firewall, Verdict, inspect};

use crate::fixture::{NAME, ip};
use crate::namespace::{in_namespace, skip, without_privilege};

const ADDRESS: &str = "169.254.25.10";

/// Loads rules in the language of nft(8); false without the program.
fn load(rules: &str) -> bool {
    use std::io::Write as _;
    let Ok(mut nft) = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn() else {
        return false;
    };
    // nft expects a new line before and after the end of a block.
    let rules = rules.replace(" ;}", "\n}\n");
    nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success(), "{rules}");
    true
}

fn inspected() -> Firewall {
    inspect(&[ip(ADDRESS)], 53, NAME, true).unwrap()
}

/// The verdicts on queries as text.
fn verdicts() -> Vec<String> {
    verdicts_on(Direction::Queries)
}

fn verdicts_on(direction: Direction) -> Vec<String> {
    let verdicts = inspected().verdicts.into_iter().filter(|verdict| verdict.direction == direction);
    verdicts.map(|verdict| verdict.to_string().replace(ADDRESS, "us")).collect()
}

/// The verdict on `rules` in a chain of the table `inet filter` with a policy; without rule numbers.
fn verdict(policy: &str, rules: &str) -> String {
    load("flush ruleset");
    load(&format!(
        "table inet filter {{ chain other {{ ip daddr {ADDRESS} accept ;}}
         chain input {{ type filter hook input priority 0; policy {policy};\n{rules} ;}} ;}}"
    ));
    let all = inspected().verdicts;
    assert_eq!(all.len(), 1, "{all:?}");
    match &all[0].verdict {
        Verdict::Accepts => "accepts".to_owned(),
        Verdict::MayDrop { by } => format!("may drop by {by}"),
        Verdict::Drops { by } => format!("drops by {by}"),
    }
}

#[test]
fn rules_are_evaluated_for_untracked_packets_of_pods() {
    in_namespace(|| async {
        if !load("flush ruleset") {
            return skip("rules_are_evaluated_for_untracked_packets_of_pods", "no nft command");
        }
        for (rules, expected) in [
            ("", "accepts"),
            ("ct state invalid drop", "accepts"),
            ("ct state untracked drop comment \"no untracked\"", "drops by rule 4 of input (no untracked)"),
            ("ct state != established counter drop", "drops by rule 4 of input"),
            (
                "ct state established,related accept; reject with icmpx admin-prohibited",
                "drops by rule 5 of input",
            ),
            ("ip daddr 127.0.0.0/8 ct state untracked drop", "accepts"),
            ("ip daddr 169.254.0.0/16 log counter drop", "drops by rule 4 of input"),
            ("ip daddr != 169.254.25.10 drop", "accepts"),
            ("ip6 daddr fe80::1 drop", "accepts"),
            ("meta l4proto icmp drop", "accepts"),
            ("tcp dport 53 drop", "drops by rule 4 of input"),
            ("udp dport 54-60 drop", "accepts"),
            ("iifname \"lo\" accept; drop", "drops by rule 5 of input"),
            ("iif \"lo\" accept; drop", "drops by rule 5 of input"),
            ("iifname != \"lo\" drop", "drops by rule 4 of input"),
            ("iifname \"cali*\" accept; drop", "may drop by rule 5 of input"),
            ("jump other; drop", "accepts"),
            ("iifname \"eth1\" goto other; drop", "may drop by rule 5 of input"),
            ("udp dport 53 return; drop", "drops by rule 5 of input"),
            ("meta mark 0x8000 drop", "accepts"),
            ("meta nfproto ipv4 fib daddr type local accept; drop", "may drop by rule 5 of input"),
        ] {
            assert_eq!(verdict("accept", rules), expected, "{rules}");
        }
        assert_eq!(verdict("drop", "ct state established,related accept"), "drops by its policy");
        assert_eq!(verdict("drop", "ip daddr 169.254.25.10 th dport 53 accept"), "accepts");
        assert_eq!(verdict("drop", "udp dport 53 accept"), "drops by its policy", "TCP");
        assert_eq!(verdict("drop", "th dport { 22, 53 } accept"), "may drop by its policy");
        assert_eq!(verdict("drop", "ct state vmap { established : accept }"), "may drop by its policy");
    });
}

#[test]
fn responses_are_evaluated_in_the_output_chains() {
    in_namespace(|| async {
        if !load("flush ruleset") {
            return skip("responses_are_evaluated_in_the_output_chains", "no nft command");
        }
        for (rules, expected) in [
            // As in many hardened nodes: responses are not tracked.
            ("ct state established,related accept", "drops DNS responses from us, by its policy"),
            ("ct state established accept", "drops DNS responses from us, by its policy"),
            ("ip saddr 169.254.25.10 th sport 53 accept", "accepts DNS responses from us"),
            ("ip daddr 169.254.25.10 th dport 53 accept", "may drop DNS responses from us, by its policy"),
            ("udp sport 53 accept", "drops DNS responses from us, by its policy"),
            ("oifname \"lo\" accept", "drops DNS responses from us, by its policy"),
            ("ip saddr != 169.254.0.0/16 drop; accept", "accepts DNS responses from us"),
        ] {
            load("flush ruleset");
            load(&format!(
                "table inet filter {{ chain output {{ type filter hook output priority 0; policy drop;\n{rules} ;}} ;}}"
            ));
            let expected = format!("inet filter output {expected}");
            assert_eq!(verdicts_on(Direction::Responses), [expected], "{rules}");
            assert!(verdicts().is_empty(), "{rules}");
        }
    });
}

#[test]
fn other_tables_names_are_listed_and_ours_is_left_out() {
    in_namespace(|| async {
        let rules = "table ip kube-proxy { chain services { ;} ;}\ntable inet nodelocaldns { chain x { type filter hook input priority 0; policy drop; ;} ;}";
        if !load(rules) {
            return skip("other_tables_names_are_listed_and_ours_is_left_out", "no nft command");
        }
        let firewall = inspected();
        assert!(firewall.verdicts.is_empty(), "{firewall:?}");
        assert_eq!(firewall.names.iter().collect::<Vec<_>>(), ["services", "table ip kube-proxy"]);
    });
}

#[test]
fn the_firewall_is_not_visible_without_cap_net_admin() {
    without_privilege(|| async {
        assert!(inspect(&[ip(ADDRESS)], 53, NAME, true).unwrap_err().to_string().contains("CAP_NET_ADMIN"));
    });
}
