//! The command-line options that decide which Corefile is read and what its templates are filled with.

use std::net::IpAddr;

/// Where the template is looked for.
pub const DEFAULT_BASE_COREFILE: &str = "/etc/coredns/Corefile.base";
/// The value of `-corefile` that means nothing was asked for.
pub const DEFAULT_COREFILE: &str = "/etc/Corefile";

/// Options of the command line on which the configuration depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `-localip`: the addresses to serve, each once.
    pub local_ips: Vec<IpAddr>,
    /// `-basecorefile`: the template, used if it is there.
    pub base_corefile: String,
    /// `-corefile`: counts as `-conf` when that is not given.
    pub corefile: String,
    /// `-conf`: the Corefile; `stdin` reads what is piped in; empty if not given.
    pub conf: String,
    /// `-kubednscm`: the directory of kube-dns's ConfigMap; empty if not given.
    pub kube_dns_config_map: String,
    /// `-upstreamsvc`: the Service whose address is the cluster's DNS.
    pub upstream_service: String,
    /// `-prometheus-listen-address`: put into templates for `__PROMETHEUS__ENDPOINT__`.
    pub prometheus_listen_address: String,
    /// `-dns.port`, `-p`: the port of server blocks that name none, 1 to 65535.
    pub dns_port: u16,
}
