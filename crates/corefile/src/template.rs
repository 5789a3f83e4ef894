//! Variables of node-cache's Corefile templates: `__PILLAR__...` and `__PROMETHEUS__ENDPOINT__`.

use std::net::IpAddr;

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::kube_dns::KubeDns;
use crate::options::Options;

/// The variable for the address of the Service of `-upstreamsvc`.
const CLUSTER_DNS: &str = "__PILLAR__CLUSTER__DNS__";
/// The variable for the upstreams of names outside the cluster.
const UPSTREAM_SERVERS: &str = "__PILLAR__UPSTREAM__SERVERS__";
/// With upstreams of the ConfigMap of kube-dns, node-cache removes `force_tcp` from this text.
const UPSTREAM_OVER_TCP: &str =
    "\n    forward . __PILLAR__UPSTREAM__SERVERS__ {\n            force_tcp\n    }\n";
const UPSTREAM: &str = "\n    forward . __PILLAR__UPSTREAM__SERVERS__\n";

/// Replaces all variables of the template `name`.
pub(crate) fn render(
    template: &str,
    name: &str,
    options: &Options,
    env: &Environment,
    kube_dns: &KubeDns,
) -> Result<String, ConfigError> {
    let mut text = match kube_dns.upstreams() {
        Some(servers) => template.replace(UPSTREAM_OVER_TCP, UPSTREAM).replace(UPSTREAM_SERVERS, &servers),
        None => template.replace(UPSTREAM_SERVERS, "/etc/resolv.conf"),
    };
    text = render_flags(&text, options);
    if text.contains(CLUSTER_DNS) {
        let address = cluster_dns(options, env).map_err(|problem| {
            ConfigError::without_location(format!(
                "{name} contains {CLUSTER_DNS}, but {problem}; create the Service in this namespace and \
                 restart the pod, or name another with -upstreamsvc"
            ))
        })?;
        text = text.replace(CLUSTER_DNS, &address.to_string());
    }
    Ok(text)
}

/// Replaces the variables whose values are flags.
pub(crate) fn render_flags(template: &str, options: &Options) -> String {
    let local: Vec<String> = options.local_ips.iter().map(IpAddr::to_string).collect();
    template
        .replace("__PILLAR__LOCAL__DNS__", &local.join(" "))
        .replace("__PILLAR__DNS__SERVER__", "")
        .replace("__PROMETHEUS__ENDPOINT__", &options.prometheus_listen_address)
}

/// The address of the Service of `-upstreamsvc`, or why it is unknown.
pub(crate) fn cluster_dns(options: &Options, env: &Environment) -> Result<IpAddr, String> {
    let service = &options.upstream_service;
    let variable = Environment::service_variable(service);
    match env.service_host(service) {
        None => Err(format!(
            "the environment variable {variable} is not set (the address of Service '{service}')"
        )),
        Some(address) => {
            address.parse().map_err(|_| format!("{variable} is '{address}', which is not an IP address"))
        }
    }
}
