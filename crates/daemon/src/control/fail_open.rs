//! Where fail-open leads: the upstream of the cluster's zones, to which the packet filter sends the
//! queries of clients while no instance answers them.

use std::net::{IpAddr, SocketAddr};

use corefile::Environment;
use corefile::settings::{Block, Forward, Settings};
use linux::packet_filter::{Fallback, FilterConfig, FilteredAddress};

use super::service_translation::EarlyTranslation;
use crate::flags::Flags;

/// The port that the packet filter leaves as it is.
const DNS_PORT: u16 = 53;
/// Zones that only the cluster's DNS servers answer, in the Corefile of the add-on.
const CLUSTER_ZONES: [&str; 3] = ["cluster.local.", "in-addr.arpa.", "ip6.arpa."];

/// The addresses of `-localip`, each with where its queries go; nowhere if `early` translates the
/// addresses of Services, unless a flag names the upstream.
pub(super) fn addresses(
    flags: &Flags,
    environment: &Environment,
    settings: &Settings,
    early: Option<EarlyTranslation>,
) -> Vec<FilteredAddress> {
    let local_ips = &flags.options.local_ips;
    let usable = |upstream: &IpAddr| !local_ips.contains(upstream) && !is_local(*upstream);
    let upstreams: Vec<IpAddr> = if flags.fail_open_upstreams.is_empty() {
        cluster_upstreams(settings, environment.service_host(&flags.options.upstream_service))
    } else {
        flags.fail_open_upstreams.clone()
    };
    let fallback = |address: IpAddr| {
        let is_bypassed = early.is_some() && flags.fail_open_upstreams.is_empty();
        if !flags.fail_open || flags.options.dns_port != DNS_PORT || is_bypassed {
            return None;
        }
        if is_service(address, environment) {
            return Some(Fallback::Itself);
        }
        let upstream = upstreams.iter().filter(|upstream| usable(upstream));
        upstream.copied().find(|upstream| upstream.is_ipv4() == address.is_ipv4()).map(Fallback::Service)
    };
    local_ips.iter().map(|&address| FilteredAddress { address, fallback: fallback(address) }).collect()
}

/// True for an address that packets of another host cannot be sent to.
fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || address.is_multicast()
}

/// Whether the kubelet names the address as that of a Service.
fn is_service(address: IpAddr, environment: &Environment) -> bool {
    environment.service_hosts().any(|host| host.parse() == Ok(address))
}

/// The upstreams of the cluster's zones, best first: those that serve most of [`CLUSTER_ZONES`], then
/// those that serve most zones but the root, then the others.
fn cluster_upstreams(settings: &Settings, service: Option<&str>) -> Vec<IpAddr> {
    let service: Option<IpAddr> = service.and_then(|address| address.parse().ok());
    let mut ranked: Vec<(IpAddr, Rank)> = Vec::new();
    for (block, forward) in forwards(settings) {
        for upstream in forward.upstreams.iter().filter(|upstream| is_plain(forward, **upstream)) {
            let rank = Rank::of(block, service == Some(upstream.ip()));
            match ranked.iter_mut().find(|(known, _)| *known == upstream.ip()) {
                Some((_, total)) => total.add(rank),
                None => ranked.push((upstream.ip(), rank)),
            }
        }
    }
    // Stable: the first in the Corefile of those with equal rank.
    ranked.sort_by(|(_, left), (_, right)| right.cmp(left));
    ranked.into_iter().map(|(upstream, _)| upstream).collect()
}

#[derive(Clone, Copy, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    is_service: bool,
    cluster_zones: usize,
    other_zones: usize,
}

impl Rank {
    fn of(block: &Block, is_service: bool) -> Self {
        let zones = || block.keys.iter().map(|key| key.zone.to_string());
        let cluster_zones = zones().filter(|zone| CLUSTER_ZONES.contains(&zone.as_str())).count();
        let other_zones = zones().filter(|zone| zone != ".").count();
        Self { is_service, cluster_zones, other_zones }
    }

    fn add(&mut self, other: Self) {
        self.cluster_zones += other.cluster_zones;
        self.other_zones += other.other_zones;
    }
}

/// The `forward` directives that answer for their whole block.
fn forwards(settings: &Settings) -> impl Iterator<Item = (&Block, &Forward)> {
    settings.blocks.iter().flat_map(|block| block.forwards.iter().map(move |forward| (block, forward)))
}

/// A nameserver of the node's resolv.conf is not the cluster's.
fn is_plain(forward: &Forward, upstream: SocketAddr) -> bool {
    let is_encrypted = forward.connection.tls.as_ref().is_some_and(|tls| tls.name(upstream).is_some());
    upstream.port() == DNS_PORT && !is_encrypted && forward.files.is_empty()
}

/// The addresses for which the rules expect heartbeats.
pub(super) fn heartbeat_addresses(config: &FilterConfig) -> Vec<SocketAddr> {
    let open = config.addresses.iter().filter(|filtered| filtered.fallback.is_some());
    open.map(|filtered| SocketAddr::new(filtered.address, config.dns_port)).collect()
}

/// A line for the log: where the queries to each address go.
pub(super) fn description(addresses: &[FilteredAddress]) -> String {
    let addresses = addresses.iter().map(|FilteredAddress { address, fallback }| match fallback {
        Some(Fallback::Service(upstream)) => format!("{address} to {upstream}"),
        Some(Fallback::Itself) => format!("{address} to its Service"),
        None => format!("{address} to none"),
    });
    addresses.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use corefile::Environment;

    use super::*;
    use crate::flags;
    use crate::host::OsHost;

    /// Where the addresses lead with this Corefile, as [`description`] says it.
    fn led(local_ips: &str, more: &[&str], environment: &[(&str, &str)], corefile: &str) -> String {
        led_with(None, (local_ips, more, environment, corefile))
    }

    fn led_with(
        early: Option<EarlyTranslation>,
        (local_ips, more, environment, corefile): (&str, &[&str], &[(&str, &str)], &str),
    ) -> String {
        let path = std::env::temp_dir().join(format!("nodelocaldns-fail-open-{}", rand::random::<u64>()));
        std::fs::write(&path, corefile).unwrap();
        let path_text = path.display().to_string();
        let arguments = ["nodelocaldns", "-localip", local_ips, "-conf", &path_text];
        let flags = flags::parse(arguments.iter().chain(more).map(Into::into)).unwrap();
        let environment: Environment = environment.iter().copied().collect();
        let settings = corefile::load(&flags.options, &environment, &OsHost::default()).unwrap();
        std::fs::remove_file(&path).unwrap();
        description(&addresses(&flags, &environment, &settings, early))
    }

    const ADD_ON: &str = "cluster.local:53 {\n forward . 10.233.0.3\n}\n\
        corp.example {\n forward . 192.0.2.7\n}\n\
        in-addr.arpa:53 {\n forward . 10.233.0.3\n}\nip6.arpa:53 {\n forward . 10.233.0.3\n}\n\
        .:53 {\n forward . 192.0.2.1\n}\n";

    #[test]
    fn link_local_addresses_lead_to_the_upstream_of_the_clusters_zones() {
        assert_eq!(led("169.254.25.10", &[], &[], ADD_ON), "169.254.25.10 to 10.233.0.3");
        let single = ". {\n forward . 10.96.0.10\n}\n";
        assert_eq!(led("169.254.25.10", &[], &[], single), "169.254.25.10 to 10.96.0.10");
        let other_domain = "k8s.example {\n forward . 10.0.0.9\n}\ncorp.example {\n forward . 192.0.2.7\n}\n";
        assert_eq!(led("169.254.25.10", &[], &[], other_domain), "169.254.25.10 to 10.0.0.9");
        let service = [("KUBE_DNS_SERVICE_HOST", "192.0.2.7")];
        assert_eq!(led("169.254.25.10", &[], &service, other_domain), "169.254.25.10 to 192.0.2.7");
    }

    #[test]
    fn each_family_has_its_own_upstream() {
        let both = "cluster.local {\n forward . 10.233.0.3 fd00:233::3\n}\n. {\n forward . 192.0.2.1\n}\n";
        assert_eq!(
            led("169.254.25.10,fd00:25::10", &[], &[], both),
            "169.254.25.10 to 10.233.0.3, fd00:25::10 to fd00:233::3"
        );
        assert_eq!(
            led("169.254.25.10,fd00:25::10", &[], &[], ADD_ON),
            "169.254.25.10 to 10.233.0.3, fd00:25::10 to none"
        );
    }

    #[test]
    fn an_address_of_a_service_leads_to_the_service() {
        let services = [("KUBE_DNS_SERVICE_HOST", "10.233.0.10")];
        assert_eq!(
            led("169.254.25.10,10.233.0.10", &[], &services, ADD_ON),
            "169.254.25.10 to 10.233.0.3, 10.233.0.10 to its Service"
        );
    }

    #[test]
    fn upstreams_that_cannot_be_reached_by_a_rule_are_left_out() {
        for upstream in ["tls://10.233.0.3", "10.233.0.3:5353", "127.0.0.1", "169.254.25.10"] {
            let corefile = format!("cluster.local {{\n forward . {upstream}\n}}\n");
            assert_eq!(led("169.254.25.10", &[], &[], &corefile), "169.254.25.10 to none", "{upstream}");
        }
    }

    #[test]
    fn flags_override_the_upstream_or_turn_fail_open_off() {
        let led = |more: &[&str]| led("169.254.25.10", more, &[], ADD_ON);
        assert_eq!(led(&["-fail-open-upstream", "fd00::1,10.9.9.9"]), "169.254.25.10 to 10.9.9.9");
        assert_eq!(led(&["-fail-open=false"]), "169.254.25.10 to none");
        assert_eq!(led(&["-dns.port", "1053"]), "169.254.25.10 to none");
    }

    #[test]
    fn no_service_is_an_upstream_where_its_address_is_translated_before_the_packet_filter() {
        for early in [EarlyTranslation::CalicoEbpf, EarlyTranslation::CiliumWithoutKubeProxy] {
            let services = [("KUBE_DNS_SERVICE_HOST", "10.233.0.10")];
            let led =
                |more: &[&str]| led_with(Some(early), ("169.254.25.10,10.233.0.10", more, &services, ADD_ON));
            assert_eq!(led(&[]), "169.254.25.10 to none, 10.233.0.10 to none");
            assert_eq!(
                led(&["-fail-open-upstream", "10.9.9.9"]),
                "169.254.25.10 to 10.9.9.9, 10.233.0.10 to its Service"
            );
        }
    }
}
