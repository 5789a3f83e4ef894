//! Translation of Service addresses: whether it happens before the packet filter, so that fail-open to
//! a Service leads nowhere.

use std::cell::Cell;
use std::fmt;

use linux::kube_proxy::KubeProxyMode;
use linux::network_plugin::NetworkPlugin;
use tracing::{info, warn};

use super::netlink_thread::{Netlink, NetlinkThread};
use crate::flags::Flags;

/// What translates addresses of Services before the packet filter sees packets of pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EarlyTranslation {
    CalicoEbpf,
    CiliumWithoutKubeProxy,
}

impl EarlyTranslation {
    /// That of this node. Nothing if the kernel does not tell: without NET_ADMIN there are no rules
    /// either.
    pub(super) async fn find() -> Option<Self> {
        match NetworkPlugin::find().await.ok().flatten()? {
            NetworkPlugin::Calico => None,
            NetworkPlugin::CalicoEbpf => Some(Self::CalicoEbpf),
            NetworkPlugin::Cilium => {
                matches!(KubeProxyMode::find(), Ok(None)).then_some(Self::CiliumWithoutKubeProxy)
            }
        }
    }
}

impl fmt::Display for EarlyTranslation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CalicoEbpf => {
                "Calico in eBPF mode translates addresses of Services before the packet filter"
            }
            Self::CiliumWithoutKubeProxy => {
                "Cilium, without kube-proxy, translates addresses of Services before the packet filter"
            }
        })
    }
}

/// The translation on this node, as it was last looked at.
#[derive(Debug, Default)]
pub(super) struct ServiceTranslation {
    early: Cell<Option<EarlyTranslation>>,
}

impl ServiceTranslation {
    /// Looks at the node again, for flags with fail-open to a Service. Logs a change, and returns
    /// whether there is one.
    pub(super) async fn update(&self, netlink: &NetlinkThread, flags: &Flags) -> bool {
        if !flags.setup_iptables || !flags.fail_open || !flags.fail_open_upstreams.is_empty() {
            return false;
        }
        let found = netlink.run(async |_: &mut Netlink| EarlyTranslation::find().await).await;
        if self.early.replace(found) == found {
            return false;
        }
        match found {
            Some(early) => {
                warn!("no fail-open: {early}; -fail-open-upstream names an address that is no Service")
            }
            None => {
                info!("addresses of Services are translated by the packet filter: fail-open is available")
            }
        }
        true
    }

    /// The translation that fail-open to a Service does not get through.
    pub(super) const fn early(&self) -> Option<EarlyTranslation> {
        self.early.get()
    }
}
