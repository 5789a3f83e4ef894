//! Pods by address, from libcni's cache of results: one file for each interface that a container runtime
//! has made, in `/var/lib/cni/results` by default. No right to the API of the cluster is needed.
//!
//! Read on demand only, on the control thread. Nothing in the files is trusted: what is too large, too many or not of the format
//! is skipped.

use std::collections::HashMap;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

/// Files that are read at most: several times the pods of a node.
const MAX_FILES: usize = 1024;
/// A file of containerd with a chain of plugins has some KiB.
const MAX_FILE_OCTETS: u64 = 64 << 10;
/// Of all files: what is read within a few tens of milliseconds.
const MAX_OCTETS: usize = 4 << 20;
/// Addresses that one file may have.
const MAX_ADDRESSES: usize = 8;
/// The longest name of an object (RFC 1123 subdomain).
const MAX_NAME_LEN: usize = 253;
/// A pod that is not known may have started since, but not more often is the directory read.
const MIN_AGE: Duration = Duration::from_secs(5);

/// `namespace/pod` by address, as read at some time; empty before.
#[derive(Debug)]
pub(super) struct Pods {
    directory: Option<PathBuf>,
    pods: HashMap<IpAddr, String>,
    read_at: Option<Instant>,
}

impl Pods {
    /// Without a directory no address has a pod.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, pods: HashMap::new(), read_at: None }
    }

    /// Reads the directory again if one of the addresses is not known and it was not read just before.
    pub(super) fn refresh(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now: Instant) {
        let is_recent = |read_at: Instant| now.saturating_duration_since(read_at) < MIN_AGE;
        let Some(directory) = &self.directory else { return };
        if self.read_at.is_some_and(is_recent)
            || addresses.into_iter().all(|address| self.pods.contains_key(&address))
        {
            return;
        }
        self.pods = read(directory);
        self.read_at = Some(now);
    }

    pub(super) fn get(&self, address: IpAddr) -> Option<&str> {
        self.pods.get(&address).map(String::as_str)
    }
}

/// Of a directory that is missing or may not be read, nothing: not every runtime has it.
fn read(directory: &Path) -> HashMap<IpAddr, String> {
    let mut pods: HashMap<IpAddr, (SystemTime, String)> = HashMap::new();
    let Ok(entries) = fs::read_dir(directory) else { return HashMap::new() };
    let mut left = MAX_OCTETS;
    for entry in entries.take(MAX_FILES).flatten() {
        let Ok((modified, octets)) = read_file(&entry) else { continue };
        let Some(rest) = left.checked_sub(octets.len()) else { break };
        left = rest;
        let Some((pod, addresses)) = parse(&octets) else { continue };
        for address in addresses {
            // The file of a pod that is gone may be left, and its address in use again.
            let is_older = pods.get(&address).is_some_and(|(other, _)| *other > modified);
            if !is_older {
                pods.insert(address, (modified, pod.clone()));
            }
        }
    }
    pods.into_iter().map(|(address, (_, pod))| (address, pod)).collect()
}

/// A regular file, no link, that is small enough.
fn read_file(entry: &DirEntry) -> io::Result<(SystemTime, Vec<u8>)> {
    let metadata = entry.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_OCTETS {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut octets = Vec::new();
    File::open(entry.path())?.take(MAX_FILE_OCTETS).read_to_end(&mut octets)?;
    Ok((metadata.modified()?, octets))
}

/// `namespace/pod` and its addresses, of a file of kind `cniCacheV1`. containerd has one for the loopback
/// interface of each pod, too, whose addresses are those of all pods and of the node.
fn parse(octets: &[u8]) -> Option<(String, Vec<IpAddr>)> {
    let cached: Value = serde_json::from_slice(octets).ok()?;
    if cached.get("kind")?.as_str()? != "cniCacheV1" || cached.get("ifName")?.as_str()? == "lo" {
        return None;
    }
    let arguments = cached.get("cniArgs")?.as_array()?;
    let argument = |name: &str| {
        let named = |pair: &&Value| pair.get(0).and_then(Value::as_str) == Some(name);
        let value = arguments.iter().find(named)?.get(1)?.as_str()?;
        is_object_name(value).then_some(value)
    };
    let pod = format!("{}/{}", argument("K8S_POD_NAMESPACE")?, argument("K8S_POD_NAME")?);
    let result = cached.get("result")?;
    let of_list = result.get("ips").and_then(Value::as_array).into_iter().flatten();
    let of_list = of_list.filter_map(|ip| ip.get("address"));
    // Before version 0.3.0 of the specification.
    let single = ["/ip4/ip", "/ip6/ip"].into_iter().filter_map(|path| result.pointer(path));
    let addresses = of_list.chain(single).filter_map(|text| {
        let text = text.as_str()?;
        text.split_once('/').map_or(text, |(address, _)| address).parse().ok()
    });
    Some((pod, addresses.take(MAX_ADDRESSES).collect()))
}

fn is_object_name(text: &str) -> bool {
    let is_allowed =
        |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-.".contains(&octet);
    (1..=MAX_NAME_LEN).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests;
