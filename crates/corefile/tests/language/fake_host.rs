//! [`FakeHost`]: files and interfaces in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use corefile::host::Host;

#[derive(Default)]
pub(crate) struct FakeHost {
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) stdin: String,
    pub(crate) interfaces: BTreeMap<String, Vec<SocketAddr>>,
}

impl FakeHost {
    /// A host with a resolv.conf, `eth0` and these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let mut host = Self::default();
        host.files.insert("/etc/resolv.conf".into(), "search a.test\nnameserver 192.0.2.1\n".to_owned());
        host.files.extend(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())));
        let eth0 = ["192.0.2.9:0", "[2001:db8::9]:0", "[fe80::9%2]:0"].map(|text| text.parse().unwrap());
        host.interfaces.insert("eth0".to_owned(), eth0.to_vec());
        host
    }
}

impl Host for FakeHost {
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.is_directory(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let text = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }

    fn read_stdin(&self) -> io::Result<Vec<u8>> {
        Ok(self.stdin.clone().into_bytes())
    }

    fn list_directory(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let below = self.files.keys().filter_map(|path| path.strip_prefix(directory).ok());
        let names: BTreeSet<OsString> =
            below.filter_map(|rest| Some(rest.components().next()?.as_os_str().to_owned())).collect();
        Ok(names.into_iter().rev().collect())
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file != path && file.starts_with(path))
    }

    fn absolute_path(&self, path: &Path) -> PathBuf {
        Path::new("/").join(path)
    }

    fn interface_addresses(&self, interface: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(self.interfaces.get(interface).cloned().unwrap_or_default())
    }

    fn interface_index(&self, interface: &str) -> Option<u32> {
        matches!(interface, "eth0" | "2").then_some(2)
    }
}
