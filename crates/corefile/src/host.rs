//! What a configuration needs from the fake_host: files and the addresses of interfaces.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Octets of a file that are read at most; a ConfigMap has 1 MiB at most.
pub const MAX_FILE_LEN: u64 = 4 << 20;

/// The fake_host as the configuration sees it. The process implements it; tests put their own in its place.
pub trait Host {
    /// A whole file.
    ///
    /// # Errors
    /// As the kernel says; also when it is a pipe or device, or longer than [`MAX_FILE_LEN`].
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// What is piped to the process, up to its end.
    ///
    /// # Errors
    /// As [`Host::read`].
    fn read_stdin(&self) -> io::Result<Vec<u8>>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// As the kernel says.
    fn list_directory(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// True when the path is there and is a directory.
    fn is_directory(&self, path: &Path) -> bool;

    /// The addresses of an interface, with port 0; those of link-local scope carry the interface's index.
    /// None when there is no interface of that name.
    ///
    /// # Errors
    /// As the kernel says.
    fn interface_addresses(&self, interface: &str) -> io::Result<Vec<SocketAddr>>;
}
