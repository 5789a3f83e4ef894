//! Rules of iptables-nft, and the chains of iptables-legacy.

use std::process::Command;

use linux::firewall::{Direction, inspect};
use linux::kube_proxy::KubeProxyMode;

use super::{ADDRESS, inspected, verdicts, verdicts_on};
use crate::fixture::{NAME, ip};
use crate::namespace::{in_namespace, output_of, skip};

fn iptables(rule: &str) {
    let words: Vec<_> = rule.split(' ').collect();
    output_of("iptables-nft", &words);
}

#[test]
fn chains_of_iptables_are_evaluated() {
    in_namespace(|| async {
        let test = "chains_of_iptables_are_evaluated";
        if Command::new("iptables-nft").arg("-V").output().is_err() {
            return skip(test, "no iptables-nft command");
        }
        // As kube-proxy and ufw have them.
        for rule in [
            "-N KUBE-FIREWALL",
            "-A INPUT -j KUBE-FIREWALL",
            "-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
            "-N ufw-before-input",
            "-N ufw-user-input",
            "-A INPUT -j ufw-before-input",
            "-A INPUT -j ufw-user-input",
            "-A ufw-before-input -i lo -j ACCEPT",
            "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A ufw-before-input -m conntrack --ctstate INVALID -j DROP",
        ] {
            iptables(rule);
        }
        assert_eq!(verdicts(), ["ip filter INPUT accepts DNS packets to us"]);
        iptables("-P INPUT DROP");
        assert_eq!(verdicts(), ["ip filter INPUT drops DNS packets to us, by its policy"]);
        assert!(inspected().names.contains("ufw-user-input"));
        for protocol in ["udp", "tcp"] {
            iptables(&format!(
                "-A ufw-user-input -d {ADDRESS}/32 -p {protocol} -m multiport --dports 53 -j ACCEPT"
            ));
        }
        assert_eq!(verdicts(), ["ip filter INPUT may drop DNS packets to us, by its policy"], "multiport");
        for protocol in ["udp", "tcp"] {
            iptables(&format!("-A ufw-user-input -d {ADDRESS}/32 -p {protocol} --dport 53 -j ACCEPT"));
        }
        assert_eq!(verdicts(), ["ip filter INPUT accepts DNS packets to us"]);
        iptables("-I INPUT -m conntrack --ctstate UNTRACKED -m comment --comment untracked -j REJECT");
        let [found] = verdicts().try_into().unwrap();
        assert!(
            found.ends_with(" of INPUT (untracked)") && found.contains("INPUT drops DNS packets"),
            "{found}"
        );
        iptables("-D INPUT 1");
        // Of Calico with its own default.
        iptables("-N cali-wl-to-host");
        iptables("-A INPUT -i cali+ -g cali-wl-to-host");
        iptables("-A cali-wl-to-host -m comment --comment DefaultEndpointToHostAction -j DROP");
        let [found] = verdicts().try_into().unwrap();
        assert!(
            found.contains("INPUT may drop DNS packets") && found.ends_with("(DefaultEndpointToHostAction)"),
            "{found}"
        );
    });
}

#[test]
fn responses_are_evaluated_in_chains_of_iptables() {
    in_namespace(|| async {
        if Command::new("iptables-nft").arg("-V").output().is_err() {
            return skip("responses_are_evaluated_in_chains_of_iptables", "no iptables-nft command");
        }
        iptables("-P OUTPUT DROP");
        let dropped = "ip filter OUTPUT drops DNS responses from us, by its policy";
        assert_eq!(verdicts_on(Direction::Responses), [dropped]);
        for protocol in ["udp", "tcp"] {
            iptables(&format!("-A OUTPUT -s {ADDRESS}/32 -p {protocol} --dport 53 -j ACCEPT"));
        }
        let of_others = "ip filter OUTPUT may drop DNS responses from us, by its policy";
        assert_eq!(verdicts_on(Direction::Responses), [of_others], "a port of clients");
        for protocol in ["udp", "tcp"] {
            iptables(&format!("-A OUTPUT -s {ADDRESS}/32 -p {protocol} --sport 53 -j ACCEPT"));
        }
        assert_eq!(verdicts_on(Direction::Responses), ["ip filter OUTPUT accepts DNS responses from us"]);
    });
}

#[test]
fn names_and_policies_of_x_tables_are_read() {
    in_namespace(|| async {
        let lock = std::env::temp_dir().join(format!("firewall-{}.lock", std::process::id()));
        let run = |command: &str| {
            let mut words = command.split(' ');
            let mut program = Command::new(words.next().unwrap());
            program
                .args(words)
                .env("XTABLES_LOCKFILE", &lock)
                .output()
                .is_ok_and(|output| output.status.success())
        };
        if !run("iptables-legacy -t nat -N KUBE-SERVICES") {
            return skip("names_and_policies_of_x_tables_are_read", "no iptables-legacy command");
        }
        assert_eq!(KubeProxyMode::find().unwrap(), Some(KubeProxyMode::Iptables));
        assert!(run("iptables-legacy -N ufw-user-input"));
        let firewall = inspected();
        assert!(
            ["KUBE-SERVICES", "ufw-user-input", "INPUT"].iter().all(|name| firewall.names.contains(*name))
        );
        assert_eq!(verdicts(), ["iptables-legacy filter INPUT accepts DNS packets to us"]);
        assert!(run("iptables-legacy -P INPUT DROP"));
        assert_eq!(verdicts(), ["iptables-legacy filter INPUT may drop DNS packets to us, by its policy"]);
        assert_eq!(
            verdicts_on(Direction::Responses),
            ["iptables-legacy filter OUTPUT accepts DNS responses from us"]
        );
        assert!(run("iptables-legacy -P OUTPUT DROP"));
        assert_eq!(
            verdicts_on(Direction::Responses),
            ["iptables-legacy filter OUTPUT may drop DNS responses from us, by its policy"]
        );
        assert!(inspect(&[ip(ADDRESS)], 53, NAME, false).unwrap().verdicts.is_empty());
        assert!(run("ip6tables-legacy -P INPUT DROP"));
        let of_ipv6 = inspect(&[ip("fd00:25::10")], 53, NAME, true).unwrap().verdicts;
        assert_eq!(of_ipv6.len(), 2, "INPUT and OUTPUT: {of_ipv6:?}");
        std::fs::remove_file(&lock).unwrap();
    });
}
