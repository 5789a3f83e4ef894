//! A template as node-cache renders it, for CoreDNS in its place: pillars replaced, stub domains of the
//! ConfigMap of kube-dns as server blocks.

use std::collections::BTreeMap;
use std::io;

use crate::fixture::Fixture;

/// The `forward` whose `force_tcp` goes when the ConfigMap has upstream nameservers.
const FORCED: &str = "\n    forward . __PILLAR__UPSTREAM__SERVERS__ {\n            force_tcp\n    }\n";
const UNFORCED: &str = "\n    forward . __PILLAR__UPSTREAM__SERVERS__\n";

/// # Errors
/// The ConfigMap is not JSON of the right form.
pub(crate) fn rendered(fixture: &Fixture) -> io::Result<String> {
    let mut stub_domains: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut upstreams: Vec<String> = Vec::new();
    for (key, value) in &fixture.kube_dns {
        match key.as_str() {
            "stubDomains" => stub_domains = serde_json::from_str(value)?,
            "upstreamNameservers" => upstreams = serde_json::from_str(value)?,
            _ => return Err(io::Error::other(format!("{key}: an unknown key"))),
        }
    }
    let local = fixture.local_ips(" ");
    let (text, upstreams) = match upstreams.as_slice() {
        [] => (fixture.text.clone(), "/etc/resolv.conf".to_owned()),
        servers => (fixture.text.replace(FORCED, UNFORCED), servers.join(" ")),
    };
    let mut text = text.replace("__PILLAR__LOCAL__DNS__", &local);
    for (pillar, value) in [
        ("__PILLAR__DNS__SERVER__", ""),
        ("__PILLAR__CLUSTER__DNS__", "10.96.0.11"),
        ("__PILLAR__UPSTREAM__SERVERS__", &upstreams),
        ("__PROMETHEUS__ENDPOINT__", ":9253"),
    ] {
        text = text.replace(pillar, value);
    }
    for (domain, servers) in stub_domains {
        let servers = servers.join(" ");
        text.push_str(&format!(
            "{domain}:53 {{\n    errors\n    cache 30\n    bind {local}\n    forward . {servers}\n}}\n"
        ));
    }
    Ok(text)
}
