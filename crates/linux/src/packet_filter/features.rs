//! Features of nf_tables that only the fail-open rules need, and that a kernel may lack.

use netlink_packet_netfilter::nftables::InetHookNumber;

use crate::nft::{Batch, Chain, ChainHook, NftSocket, Rule};

/// A rule that a kernel without the feature does not accept.
struct Feature {
    /// As nft(8) writes it, and its module.
    name: &'static str,
    chain_type: &'static str,
    hook: InetHookNumber,
    rule: fn(Rule) -> Rule,
}

/// Instead of zones, marks are used.
pub(super) const ZONES: &str = "ct zone set (nft_ct, CONFIG_NF_CONNTRACK_ZONES)";

const FEATURES: [Feature; 4] = [
    Feature {
        name: "socket (nft_socket)",
        chain_type: "filter",
        hook: InetHookNumber::PreRouting,
        rule: Rule::has_socket,
    },
    Feature {
        name: ZONES,
        chain_type: "filter",
        hook: InetHookNumber::PreRouting,
        rule: |rule| rule.set_original_zone(1),
    },
    Feature {
        name: "reject in prerouting (nft_reject_inet, Linux 5.9)",
        chain_type: "filter",
        hook: InetHookNumber::PreRouting,
        rule: |rule| rule.protocol(libc::IPPROTO_TCP).reject_with_tcp_reset(),
    },
    Feature {
        name: "masquerade (nft_masq, nft_chain_nat)",
        chain_type: "nat",
        hook: InetHookNumber::PostRouting,
        rule: Rule::masquerade,
    },
];

/// The features that the kernel lacks. Nothing is installed.
pub(super) fn missing(socket: &mut NftSocket) -> Vec<&'static str> {
    let lacks = |feature: &&Feature| feature.batch().rehearse(socket).is_err();
    FEATURES.iter().filter(lacks).map(|feature| feature.name).collect()
}

impl Feature {
    fn batch(&self) -> Batch {
        let Self { chain_type, hook, rule, .. } = self;
        let (table, mut batch) = ("nodelocaldns (check)", Batch::new());
        let chain = Chain {
            name: "feature".to_owned(),
            hook: Some(ChainHook { chain_type, hook: *hook, priority: 0 }),
            rules: Vec::new(),
        };
        batch.add_table(table);
        batch.add_chain(table, &chain);
        batch.add_rule(table, &chain.name, &rule(Rule::new("feature")));
        batch
    }
}
