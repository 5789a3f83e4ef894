//! Stub domains and upstream nameservers: the ConfigMap of kube-dns, read for a template.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ConfigError;
use crate::host::Host;
use crate::options::Options;
use crate::token::Source;
use crate::values::address::{parse_ip, split_port};

/// Where the ConfigMap is mounted without `-kubednscm`.
const DEFAULT_DIRECTORY: &str = "/etc/kube-dns";
const STUB_DOMAINS: &str = "stubDomains";
const UPSTREAM_NAMESERVERS: &str = "upstreamNameservers";
/// Entries of `upstreamNameservers`.
const MAX_UPSTREAMS: usize = 3;

/// What the ConfigMap contains; empty without one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KubeDns {
    /// Each domain with its servers, at least one.
    stub_domains: BTreeMap<String, Vec<String>>,
    upstream_nameservers: Vec<String>,
}

impl KubeDns {
    /// Reads the ConfigMap. A key without a file has no entries: the ConfigMap is optional.
    ///
    /// # Errors
    /// With the file and the reason: it cannot be read, is not JSON, or has an invalid entry.
    pub(crate) fn read(options: &Options, host: &dyn Host) -> Result<Self, ConfigError> {
        let mut found = Self::default();
        let file = directory(options).join(STUB_DOMAINS);
        if let Some(value) = read_json(&file, host)? {
            found.stub_domains = stub_domains(value).map_err(|reason| in_file(&file, &reason))?;
        }
        let file = directory(options).join(UPSTREAM_NAMESERVERS);
        if let Some(value) = read_json(&file, host)? {
            found.upstream_nameservers =
                upstream_nameservers(value, host).map_err(|reason| in_file(&file, &reason))?;
        }
        Ok(found)
    }

    /// The arguments of `forward` that replace the nameservers of the node.
    pub(crate) fn upstreams(&self) -> Option<String> {
        Some(&self.upstream_nameservers)
            .filter(|servers| !servers.is_empty())
            .map(|servers| servers.join(" "))
    }

    /// The server blocks of the stub domains.
    pub(crate) fn server_blocks(&self, options: &Options) -> Option<Source> {
        let local: Vec<String> = options.local_ips.iter().map(IpAddr::to_string).collect();
        let (local, port) = (local.join(" "), options.dns_port);
        let block = |(domain, servers): (&String, &Vec<String>)| {
            let servers = servers.join(" ");
            format!(
                "{domain}:{port} {{\n    errors\n    cache 30\n    bind {local}\n    forward . {servers}\n}}\n"
            )
        };
        let text: String = self.stub_domains.iter().map(block).collect();
        let name = format!("{} (as server blocks)", directory(options).join(STUB_DOMAINS).display());
        (!text.is_empty()).then(|| Source::new(name, PathBuf::from("/"), text))
    }
}

/// The files of the ConfigMap that exist.
pub(crate) fn files(options: &Options, host: &dyn Host) -> Vec<String> {
    let directory = directory(options);
    let names = host.list_directory(directory).unwrap_or_default();
    let keys = [STUB_DOMAINS, UPSTREAM_NAMESERVERS].into_iter();
    keys.filter(|key| names.iter().any(|name| name == key))
        .map(|key| directory.join(key).display().to_string())
        .collect()
}

fn directory(options: &Options) -> &Path {
    let given = Some(&*options.kube_dns_config_map).filter(|directory| !directory.is_empty());
    Path::new(given.unwrap_or(DEFAULT_DIRECTORY))
}

fn in_file(file: &Path, reason: &str) -> ConfigError {
    ConfigError::without_location(format!("{}: {reason}", file.display()))
}

fn read_json(file: &Path, host: &dyn Host) -> Result<Option<Value>, ConfigError> {
    let octets = match host.read_file(file) {
        Ok(octets) => octets,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(ConfigError::without_location(format!("cannot read {}: {error}", file.display())));
        }
    };
    let value = serde_json::from_slice(&octets).map_err(|error| {
        ConfigError::without_location(format!("{}:{} - invalid JSON: {error}", file.display(), error.line()))
    })?;
    Ok(Some(value))
}

/// `{"DOMAIN": ["SERVER", ...], ...}`.
fn stub_domains(value: Value) -> Result<BTreeMap<String, Vec<String>>, String> {
    let entries = match value {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(entries) => entries,
        _ => return Err(r#"not an object, such as {"example.com": ["192.0.2.1"]}"#.to_owned()),
    };
    let entry = |(domain, servers): (String, Value)| {
        if !is_subdomain(&domain) {
            return Err(format!("invalid domain name: {domain:?}"));
        }
        let servers = strings(servers).map_err(|reason| format!("{domain}: {reason}"))?;
        if servers.is_empty() {
            return Err(format!("{domain} has no server"));
        }
        match servers.iter().find(|server| !is_word(server)) {
            Some(server) => Err(format!("{domain}: invalid nameserver: {server:?}")),
            None => Ok((domain, servers)),
        }
    };
    entries.into_iter().map(entry).collect()
}

/// `["IP", "IP:PORT", ...]`.
fn upstream_nameservers(value: Value, host: &dyn Host) -> Result<Vec<String>, String> {
    let servers = if value.is_null() { Vec::new() } else { strings(value)? };
    if servers.len() > MAX_UPSTREAMS {
        return Err(format!("more than {MAX_UPSTREAMS} entries"));
    }
    let is_address = |server: &String| {
        let (ip, port) = split_port(server).unwrap_or((server, "53"));
        let is_address = parse_ip(server, 53, host).is_ok() || parse_ip(ip, 53, host).is_ok();
        is_address && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    match servers.iter().find(|server| !is_address(server)) {
        Some(server) => Err(format!("invalid nameserver: {server:?}: neither IP nor IP:PORT")),
        None => Ok(servers),
    }
}

fn strings(value: Value) -> Result<Vec<String>, String> {
    let Value::Array(values) = value else {
        return Err(r#"not a list of strings, such as ["192.0.2.1"]"#.to_owned());
    };
    let text = |value| match value {
        Value::String(text) => Ok(text),
        other => Err(format!("not a string: {other}")),
    };
    values.into_iter().map(text).collect()
}

/// A DNS subdomain in Kubernetes' sense (RFC 1123): labels of lower-case letters, digits and
/// hyphens.
fn is_subdomain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |octet: &u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let edge = |octet: Option<&u8>| octet.is_some_and(|octet| *octet != b'-');
        let octets = label.as_bytes();
        octets.iter().all(inner) && edge(octets.first()) && edge(octets.last())
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

/// Whether a server is one word of a Corefile, so that it cannot be read as anything else; whether
/// it is an upstream is for `forward` to tell.
fn is_word(server: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b".:[]%/_-".contains(&octet);
    !server.is_empty() && server.bytes().all(allowed)
}
