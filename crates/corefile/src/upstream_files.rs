//! Upstream files in the format of resolv.conf. Only `nameserver` lines are used.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::host::Host;

/// Nameservers of one file that are used; libc uses three.
const MAX_NAMESERVERS: usize = 15;

/// The upstream files that a Corefile names, each with the addresses it lists.
pub type UpstreamFiles = BTreeMap<PathBuf, Vec<SocketAddr>>;

/// Nameservers of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nameservers {
    /// In the order of the file, each once, with port 53.
    pub addresses: Vec<SocketAddr>,
    /// Lines that are not used, as sentences for the log.
    pub warnings: Vec<String>,
}

/// Reads an upstream file.
///
/// # Errors
/// As [`Host::read_file`].
pub fn read(path: &Path, host: &dyn Host) -> io::Result<Nameservers> {
    let bytes = host.read_file(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let file = path.display();
    let mut found = Nameservers::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some("nameserver"), Some(server)) = (words.next(), words.next()) else { continue };
        let ip = server.split_once('%').map_or(server, |(ip, _)| ip);
        match ip.parse().map(|ip| SocketAddr::new(ip, 53)) {
            Ok(address) if found.addresses.contains(&address) => {}
            Ok(_) if found.addresses.len() == MAX_NAMESERVERS => {
                let warning = format!(
                    "{file} lists more than {MAX_NAMESERVERS} nameservers; the first {MAX_NAMESERVERS} are used"
                );
                found.warnings.push(warning);
                break;
            }
            Ok(address) => found.addresses.push(address),
            Err(_) => found
                .warnings
                .push(format!("{file} lists {server:?}, which is not an IP address and is ignored")),
        }
    }
    if found.addresses.is_empty() {
        found.warnings.push(format!("{file} lists no nameserver"));
    }
    Ok(found)
}
