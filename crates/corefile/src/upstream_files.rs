//! Upstream files in the format of resolv.conf. Only `nameserver` lines are used.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::values::address::{InvalidIp, lacks_scope, parse_ip};

/// Nameservers of one file that are used; libc uses three.
const MAX_NAMESERVERS: usize = 15;

/// The upstream files that a Corefile names, each with the addresses it lists.
pub type UpstreamFiles = BTreeMap<PathBuf, Vec<SocketAddr>>;

/// Nameservers of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nameservers {
    /// In the order of the file, each once, with port 53.
    pub addresses: Vec<SocketAddr>,
    /// The line of each address, from 1.
    pub lines: Vec<usize>,
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
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let address = match words.next().map(|server| nameserver(server, host).map_err(|why| (server, why))) {
            Some(Ok(address)) => address,
            Some(Err((server, reason))) => {
                found.warnings.push(format!("{file}:{number} lists {server:?}, {reason} and is ignored"));
                continue;
            }
            None => {
                found
                    .warnings
                    .push(format!("{file}:{number} has no address after nameserver and is ignored"));
                continue;
            }
        };
        if found.addresses.contains(&address) {
            continue;
        }
        if found.addresses.len() == MAX_NAMESERVERS {
            let warning = format!(
                "{file}:{number} is beyond the first {MAX_NAMESERVERS} nameservers, which are the only ones used"
            );
            found.warnings.push(warning);
            break;
        }
        found.addresses.push(address);
        found.lines.push(number);
    }
    if found.addresses.is_empty() {
        found.warnings.push(format!("{file} lists no nameserver"));
    }
    Ok(found)
}

/// The address of a `nameserver` line, or why it cannot be used.
fn nameserver(server: &str, host: &dyn Host) -> Result<SocketAddr, &'static str> {
    match parse_ip(server, 53, host) {
        Ok(address) if lacks_scope(address) => {
            Err("which is a link-local address without its interface, as in fe80::1%eth0,")
        }
        Ok(address) => Ok(address),
        Err(InvalidIp::NotAnAddress) => Err("which is not an IP address"),
        Err(InvalidIp::UnknownInterface) => Err("whose interface this node does not have,"),
    }
}
