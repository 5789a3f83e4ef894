//! Network plugin of the cluster (CNI), as far as its links on the node and their programs show it.

use crate::link::{LinkError, RtnetlinkSocket};

/// Calico's links to pods.
const CALICO_PODS: &str = "cali";
/// Links of Calico's eBPF mode, by which processes of the node reach Services.
const CALICO_EBPF: [&str; 2] = ["bpfin.cali", "bpfout.cali"];
const CILIUM: [&str; 2] = ["cilium_host", "cilium_net"];
/// Links to pods whose programs are looked at; those of a pod that starts may not be there yet.
const MAX_PODS: usize = 8;

/// A network plugin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetworkPlugin {
    /// Calico, whose rules are in iptables or nf_tables.
    Calico,
    /// Calico in eBPF mode: programs at the links of pods (tc) translate addresses of Services.
    CalicoEbpf,
    /// Cilium. Whether its programs translate addresses of Services, in place of kube-proxy, is not
    /// visible.
    Cilium,
}

impl NetworkPlugin {
    /// The plugin of this node; `None` for others, and without one.
    ///
    /// # Errors
    ///
    /// [`LinkError::Kernel`] when the query fails.
    pub async fn find() -> Result<Option<Self>, LinkError> {
        RtnetlinkSocket::default()
            .run(async |rtnetlink| {
                let links = rtnetlink.links().await?;
                let has = |names: [&str; 2]| links.iter().any(|link| names.contains(&link.name.as_str()));
                if has(CILIUM) {
                    return Ok(Some(Self::Cilium));
                }
                if has(CALICO_EBPF) {
                    return Ok(Some(Self::CalicoEbpf));
                }
                let pods = || links.iter().filter(|link| link.name.starts_with(CALICO_PODS));
                for pod in pods().take(MAX_PODS) {
                    if rtnetlink.has_ingress_program(pod).await? {
                        return Ok(Some(Self::CalicoEbpf));
                    }
                }
                Ok(pods().next().map(|_| Self::Calico))
            })
            .await
    }
}
