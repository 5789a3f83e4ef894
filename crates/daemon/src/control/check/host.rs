//! Host of a check: files as on the node, but no sockets and no netlink.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use corefile::Options;
use corefile::host::Host;
use corefile::options::DEFAULT_BASE_COREFILE;

use crate::host::OsHost;

/// The host that a configuration is checked on.
pub(super) struct CheckHost<'a> {
    node: OsHost,
    options: &'a Options,
    interface_name: &'a str,
}

impl<'a> CheckHost<'a> {
    pub(super) fn new(options: &'a Options, interface_name: &'a str) -> Self {
        Self { node: OsHost::default(), options, interface_name }
    }

    /// With `-conf`, that file is checked, even where the node's template exists.
    fn is_hidden(&self, path: &Path) -> bool {
        !self.options.conf.is_empty() && path == Path::new(DEFAULT_BASE_COREFILE)
    }
}

impl Host for CheckHost<'_> {
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.is_hidden(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.node.read_file(path)
    }

    fn read_stdin(&self) -> io::Result<Vec<u8>> {
        self.node.read_stdin()
    }

    fn list_directory(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.node.list_directory(directory)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.node.is_directory(path)
    }

    fn absolute_path(&self, path: &Path) -> PathBuf {
        self.node.absolute_path(path)
    }

    /// Those of the daemon's link and of `lo`; others are known on the node only.
    fn interface_addresses(&self, interface: &str) -> io::Result<Vec<SocketAddr>> {
        let ips: Vec<IpAddr> = match interface {
            "lo" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            name if name == self.interface_name => self.options.local_ips.clone(),
            _ => {
                return Err(io::Error::other(
                    "a check does not look up addresses of interfaces, except those of lo and -interfacename",
                ));
            }
        };
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
    }

    /// From sysfs.
    fn interface_index(&self, interface: &str) -> Option<u32> {
        if let Ok(index) = interface.parse() {
            return Some(index);
        }
        let is_name = !interface.contains(['/', '.']);
        let path = Path::new("/sys/class/net").join(interface).join("ifindex");
        let text = is_name.then(|| std::fs::read_to_string(path).ok()).flatten()?;
        text.trim().parse().ok()
    }
}
