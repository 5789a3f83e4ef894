//! Flags of the process with which the targets load a Corefile.

use corefile::Options;
use corefile::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE};

pub(crate) const COREFILE: &str = "/etc/coredns/Corefile";

pub(crate) fn options() -> Options {
    Options {
        local_ips: vec!["169.254.25.10".parse().unwrap()],
        base_corefile: DEFAULT_BASE_COREFILE.to_owned(),
        corefile: DEFAULT_COREFILE.to_owned(),
        conf: COREFILE.to_owned(),
        kube_dns_config_map: String::new(),
        upstream_service: "kube-dns".to_owned(),
        prometheus_listen_address: ":9253".to_owned(),
        dns_port: 53,
        stale_on_outage: true,
    }
}
