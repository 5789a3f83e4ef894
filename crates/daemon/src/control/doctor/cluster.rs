//! Other programs of the cluster on the node: host firewalls, kube-proxy, network plugins.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use linux::firewall::{Firewall, Verdict, inspect};
use linux::link::LeftoverLink;

use super::finding::Finding;
use crate::control::node::TABLE;

const FIREWALL: &str = "host firewall";
const PROXY: &str = "kube-proxy";
const NETWORK: &str = "network plugin";
/// The link on which kube-proxy keeps the addresses of Services in the mode IPVS.
const IPVS_LINK: &str = "kube-ipvs0";

/// What the host firewall does, and which mode of kube-proxy its chains show.
pub(super) async fn findings(addresses: &[IpAddr], port: u16, with_legacy: bool) -> Vec<Finding> {
    let firewall = match inspect(addresses, port, TABLE, with_legacy) {
        Ok(firewall) => firewall,
        Err(error) => {
            let message = format!("the rules of the node are not known: {error}");
            return vec![Finding::warning(FIREWALL, message, "run as root with NET_ADMIN")];
        }
    };
    let links = link_names();
    let mut findings = verdicts(&firewall);
    // Without the chains of x_tables, kube-proxy may be there and not be seen.
    if with_legacy {
        let mode = proxy_mode(&firewall.names, &links);
        findings.extend(proxy(mode, addresses).await);
        findings.push(network(&links, mode));
    }
    findings
}

fn verdicts(firewall: &Firewall) -> Vec<Finding> {
    let remedy = remedy(&firewall.names);
    let found = firewall.verdicts.iter().filter_map(|verdict| match verdict.verdict {
        Verdict::Accepts => None,
        Verdict::MayDrop { .. } => Some(Finding::warning(FIREWALL, verdict.to_string(), remedy)),
        Verdict::Drops { .. } => Some(Finding::problem(FIREWALL, verdict.to_string(), remedy)),
    });
    let mut findings: Vec<Finding> = found.collect();
    if findings.is_empty() {
        findings.push(Finding::ok(FIREWALL, "untracked DNS packets to our addresses are accepted"));
    }
    findings
}

/// What to do, by the program that made the rules.
fn remedy(names: &BTreeSet<String>) -> &'static str {
    let has = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    if has("ufw") {
        "ufw allow to ADDRESS port 53"
    } else if has("table inet firewalld") {
        "add the interfaces of pods to the zone trusted (firewall-cmd --zone=trusted --add-interface=...)"
    } else if has("cali-") {
        "set DefaultEndpointToHostAction of Felix to Return or Accept, or allow port 53 of the address in a policy"
    } else {
        "accept UDP and TCP 53 to the address, also for packets that are not tracked"
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProxyMode {
    Nftables,
    Iptables,
    Ipvs,
}

fn proxy_mode(names: &BTreeSet<String>, links: &[String]) -> Option<ProxyMode> {
    let has_table = |family: &str| names.contains(&format!("table {family} kube-proxy"));
    if has_table("ip") || has_table("ip6") {
        Some(ProxyMode::Nftables)
    } else if links.iter().any(|link| link == IPVS_LINK) {
        Some(ProxyMode::Ipvs)
    } else {
        names.contains("KUBE-SERVICES").then_some(ProxyMode::Iptables)
    }
}

async fn proxy(mode: Option<ProxyMode>, addresses: &[IpAddr]) -> Vec<Finding> {
    match mode {
        None => vec![Finding::warning(
            PROXY,
            "no rules of kube-proxy are visible",
            "without it fail-open and upstreams that are Services depend on the network plugin",
        )],
        Some(ProxyMode::Nftables) => vec![Finding::ok(PROXY, "mode nftables")],
        Some(ProxyMode::Iptables) => vec![Finding::ok(PROXY, "mode iptables")],
        Some(ProxyMode::Ipvs) => {
            let services = LeftoverLink::find(IPVS_LINK).await.ok().flatten();
            let services = services.map(|link| link.addresses).unwrap_or_default();
            let shared = addresses.iter().filter(|address| services.contains(address));
            let shared = shared.map(|address| {
                let message = format!("{address} is also on {IPVS_LINK}: its queries go to the Service");
                Finding::problem(PROXY, message, "in the mode IPVS use a link-local address only (-localip)")
            });
            std::iter::once(Finding::ok(PROXY, "mode IPVS")).chain(shared).collect()
        }
    }
}

fn network(links: &[String], mode: Option<ProxyMode>) -> Finding {
    let has = |prefix: &str| links.iter().any(|link| link.starts_with(prefix));
    if has("cilium_") {
        return match mode {
            Some(_) => Finding::ok(NETWORK, "Cilium, with kube-proxy"),
            None => Finding::warning(
                NETWORK,
                "Cilium in place of kube-proxy resolves Services before the packet filter",
                "serve pods with a CiliumLocalRedirectPolicy; there is no fail-open",
            ),
        };
    }
    if has("bpfin.cali") || has("bpfout.cali") {
        let message = "Calico with eBPF resolves Services before the packet filter";
        return Finding::warning(NETWORK, message, "use a link-local address; there is no fail-open");
    }
    if has("cali") {
        return Finding::ok(NETWORK, "Calico");
    }
    Finding::ok(NETWORK, "neither Calico nor Cilium")
}

fn link_names() -> Vec<String> {
    // Each network namespace lists its own.
    let table = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    table.lines().filter_map(|row| row.split_once(':')).map(|(name, _)| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::doctor::finding::Status;

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn the_mode_of_kube_proxy_is_read_from_tables_chains_and_links() {
        let of = |names: BTreeSet<String>, link: &str| proxy_mode(&names, &[link.to_owned()]);
        assert_eq!(of(names(["table ip kube-proxy", "services"]), "eth0"), Some(ProxyMode::Nftables));
        assert_eq!(of(names(["KUBE-SERVICES"]), "eth0"), Some(ProxyMode::Iptables));
        assert_eq!(of(names(["KUBE-SERVICES"]), IPVS_LINK), Some(ProxyMode::Ipvs));
        assert_eq!(of(names(["KUBE-FIREWALL"]), "eth0"), None);
    }

    #[test]
    fn network_plugins_that_bypass_the_packet_filter_are_warned_of() {
        let of = |link: &str, mode| network(&["eth0".to_owned(), link.to_owned()], mode).status;
        assert_eq!(of("cilium_host", None), Status::Warning);
        assert_eq!(of("cilium_host", Some(ProxyMode::Iptables)), Status::Ok);
        assert_eq!(of("bpfin.cali", None), Status::Warning);
        assert_eq!(of("cali12ab", None), Status::Ok);
    }
}
