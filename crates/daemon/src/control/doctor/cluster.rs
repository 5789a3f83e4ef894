//! Other programs of the cluster on the node: host firewalls, kube-proxy, network plugins.

use std::collections::BTreeSet;
use std::net::IpAddr;

use linux::firewall::{Firewall, Verdict, inspect};
use linux::kube_proxy::{IPVS_LINK, KubeProxyMode};
use linux::link::LeftoverLink;
use linux::network_plugin::NetworkPlugin;

use super::finding::Finding;
use crate::control::node::TABLE;

const FIREWALL: &str = "host firewall";
const PROXY: &str = "kube-proxy";
const NETWORK: &str = "network plugin";

/// What the host firewall does with packets to our addresses. Chains of iptables-legacy, which are
/// read as a whole, are looked at only `with_legacy`.
pub(super) fn host_firewall(addresses: &[IpAddr], port: u16, with_legacy: bool) -> Vec<Finding> {
    match inspect(addresses, port, TABLE, with_legacy) {
        Ok(firewall) => verdicts(&firewall),
        Err(error) => {
            let message = format!("the rules of the node are not known: {error}");
            vec![Finding::warning(FIREWALL, message, "run it again, as root with NET_ADMIN")]
        }
    }
}

/// The mode of kube-proxy, and a network plugin that translates addresses of Services.
pub(super) async fn service_translation(addresses: &[IpAddr]) -> Vec<Finding> {
    let mode = match KubeProxyMode::find() {
        Ok(mode) => mode,
        Err(error) => {
            let message = format!("its rules are not known: {error}");
            return vec![Finding::warning(PROXY, message, "run it again, as root with NET_ADMIN")];
        }
    };
    let mut findings = proxy(mode, addresses).await;
    findings.push(match NetworkPlugin::find().await {
        Ok(plugin) => network(plugin, mode),
        Err(error) => Finding::warning(NETWORK, format!("it is not known: {error}"), "run it again"),
    });
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
        findings.push(Finding::ok(FIREWALL, "untracked DNS packets to and from our addresses are accepted"));
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
        "accept UDP and TCP 53 to and from the address, also for packets that are not tracked"
    }
}

async fn proxy(mode: Option<KubeProxyMode>, addresses: &[IpAddr]) -> Vec<Finding> {
    match mode {
        None => vec![Finding::warning(
            PROXY,
            "no rules of kube-proxy are visible",
            "without it fail-open and upstreams that are Services depend on the network plugin",
        )],
        Some(KubeProxyMode::Nftables) => vec![Finding::ok(PROXY, "mode nftables")],
        Some(KubeProxyMode::Iptables) => vec![Finding::ok(PROXY, "mode iptables")],
        Some(KubeProxyMode::Ipvs) => {
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

fn network(plugin: Option<NetworkPlugin>, mode: Option<KubeProxyMode>) -> Finding {
    match (plugin, mode) {
        (None, _) => Finding::ok(NETWORK, "neither Calico nor Cilium"),
        (Some(NetworkPlugin::Calico), _) => Finding::ok(NETWORK, "Calico"),
        (Some(NetworkPlugin::Cilium), Some(_)) => Finding::ok(NETWORK, "Cilium, with kube-proxy"),
        (Some(NetworkPlugin::Cilium), None) => Finding::warning(
            NETWORK,
            "Cilium, without kube-proxy",
            "queries of pods to a Service on our link reach it only with a CiliumLocalRedirectPolicy",
        ),
        (Some(NetworkPlugin::CalicoEbpf), _) => Finding::warning(
            NETWORK,
            "Calico in eBPF mode",
            "queries of pods to a Service do not reach our link: have pods use a link-local address",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::doctor::finding::Status;

    #[test]
    fn network_plugins_that_bypass_the_packet_filter_are_warned_of() {
        let of = |plugin, mode| network(Some(plugin), mode).status;
        assert_eq!(of(NetworkPlugin::Cilium, None), Status::Warning);
        assert_eq!(of(NetworkPlugin::Cilium, Some(KubeProxyMode::Iptables)), Status::Ok);
        assert_eq!(of(NetworkPlugin::CalicoEbpf, None), Status::Warning);
        assert_eq!(of(NetworkPlugin::Calico, None), Status::Ok);
    }
}
