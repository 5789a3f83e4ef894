//! [`Host`]: the files and interfaces that a configuration refers to.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Maximum length of a file in octets; a ConfigMap has at most 1 MiB.
pub const MAX_FILE_LEN: u64 = 4 << 20;

/// Files and interface addresses of the host. The process passes one in; tests pass a fake.
pub trait Host {
    /// Reads a file.
    ///
    /// # Errors
    /// An I/O error; also for a pipe or device, and for a file longer than [`MAX_FILE_LEN`].
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Reads standard input up to its end.
    ///
    /// # Errors
    /// As [`Host::read_file`].
    fn read_stdin(&self) -> io::Result<Vec<u8>>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// An I/O error.
    fn list_directory(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// True for an existing directory.
    fn is_directory(&self, path: &Path) -> bool;

    /// The path, made absolute with the working directory.
    fn absolute_path(&self, path: &Path) -> PathBuf;

    /// Addresses of an interface with port 0; link-local ones have the interface index as scope ID.
    /// Empty if there is no such interface.
    ///
    /// # Errors
    /// An I/O error.
    fn interface_addresses(&self, interface: &str) -> io::Result<Vec<SocketAddr>>;

    /// The index of an interface, given by its name or its index, as in the zone of an IPv6 address
    /// (RFC 4007 section 11.2). Nothing if there is no such interface.
    fn interface_index(&self, interface: &str) -> Option<u32>;
}
