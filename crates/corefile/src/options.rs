//! Flags that determine which Corefile is read and the values in its template.

use std::net::IpAddr;

/// Default of `-basecorefile`.
pub const DEFAULT_BASE_COREFILE: &str = "/etc/coredns/Corefile.base";
/// Default of `-corefile`, which selects no Corefile.
pub const DEFAULT_COREFILE: &str = "/etc/Corefile";

/// The argument of `-conf` for standard input, and then the source of the settings.
pub const STDIN: &str = "stdin";

/// Flags that the configuration depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `-localip`: addresses to serve, each once.
    pub local_ips: Vec<IpAddr>,
    /// `-basecorefile`: the template, used if it exists.
    pub base_corefile: String,
    /// `-corefile`: used if `-conf` is empty.
    pub corefile: String,
    /// `-conf`: the Corefile; `stdin` for standard input; empty if not given.
    pub conf: String,
    /// `-kubednscm`: directory of the ConfigMap of kube-dns; empty for `/etc/kube-dns`. Either may be
    /// missing.
    pub kube_dns_config_map: String,
    /// `-upstreamsvc`: the Service whose address is the cluster DNS.
    pub upstream_service: String,
    /// `-prometheus-listen-address`: `__PROMETHEUS__ENDPOINT__` in templates.
    pub prometheus_listen_address: String,
    /// `-dns.port`, `-p`: the port of keys without one, 1 to 65535.
    pub dns_port: u16,
    /// `-stale-on-outage`: see [`resolver::policy::CacheOptions::stale_on_outage`].
    pub stale_on_outage: bool,
}
