//! kube-proxy: its mode, as far as its tables, chains and links on the node show it.

use std::io;

use nix::net::if_::if_nametoindex;

use crate::iptables::{IptablesError, legacy_chains};
use crate::ruleset::{Ruleset, TableFamily};

const TABLE: &str = "kube-proxy";
const CHAIN: &str = "KUBE-SERVICES";
/// The link that has the addresses of Services in the mode IPVS.
pub const IPVS_LINK: &str = "kube-ipvs0";

/// How kube-proxy translates addresses of Services.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KubeProxyMode {
    /// In nf_tables.
    Nftables,
    /// In iptables-nft or iptables-legacy.
    Iptables,
    /// With IPVS, beside some rules of iptables.
    Ipvs,
}

impl KubeProxyMode {
    /// The mode of the kube-proxy of this node; `None` if there is no sign of it.
    ///
    /// # Errors
    ///
    /// See [`IptablesError`].
    pub fn find() -> Result<Option<Self>, IptablesError> {
        if if_nametoindex(IPVS_LINK).is_ok() {
            return Ok(Some(Self::Ipvs));
        }
        let mut has_chain = false;
        for family in [TableFamily::Ip, TableFamily::Ip6] {
            let chains = match Ruleset::default().chains(family) {
                // The kernel has no nf_tables.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => Vec::new(),
                chains => chains?,
            };
            if chains.iter().any(|chain| chain.table == TABLE) {
                return Ok(Some(Self::Nftables));
            }
            has_chain |= chains.iter().any(|chain| chain.name == CHAIN);
        }
        if has_chain {
            return Ok(Some(Self::Iptables));
        }
        let is_legacy = legacy_chains()?.iter().any(|(_, chains)| chains.names.contains(CHAIN));
        Ok(is_legacy.then_some(Self::Iptables))
    }
}
