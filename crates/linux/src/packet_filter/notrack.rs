//! NOTRACK rules: exclude DNS packets to and from our addresses from conntrack.

use netlink_packet_netfilter::nftables::InetHookNumber;

use super::config::{FilterConfig, FilteredAddress};
use super::ruleset::Ruleset;
use crate::nft::{Chain, ChainHook, Rule, Side};

/// Priority `raw`: before conntrack.
const RAW: i32 = -300;
pub(super) const PREROUTING: &str = "prerouting";
pub(super) const OUTPUT: &str = "output";
/// node-cache's comment on its rules; clean-up jobs search for it.
pub(super) const COMMENT: &str = "NodeLocal DNS Cache: skip conntrack";

/// The base chains, without rules.
pub(super) fn chains() -> Vec<Chain> {
    let chain = |name: &str, hook| Chain {
        name: name.to_owned(),
        hook: Some(ChainHook { chain_type: "filter", hook, priority: RAW }),
        rules: Vec::new(),
    };
    vec![chain(PREROUTING, InetHookNumber::PreRouting), chain(OUTPUT, InetHookNumber::LocalOut)]
}

/// The rules of addresses without fail-open, equal to node-cache's in the iptables table `raw`.
pub(super) fn add_rules(config: &FilterConfig, ruleset: &mut Ruleset) {
    if !config.notrack {
        return;
    }
    let dns = [libc::IPPROTO_UDP, libc::IPPROTO_TCP].map(|protocol| (protocol, config.dns_port));
    let health = config.health_port.map(|port| (libc::IPPROTO_TCP, port));
    for FilteredAddress { address, .. } in
        config.addresses.iter().filter(|filtered| filtered.fallback.is_none())
    {
        let rule = |side, (protocol, port)| {
            Rule::new(COMMENT).address(side, *address).port(protocol, side, port).notrack()
        };
        for service in dns {
            ruleset.add(PREROUTING, rule(Side::Destination, service));
        }
        for service in dns.into_iter().chain(health) {
            ruleset.add(OUTPUT, rule(Side::Source, service));
            ruleset.add(OUTPUT, rule(Side::Destination, service));
        }
    }
}
