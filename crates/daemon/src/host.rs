//! [`OsHost`]: files, standard input and interface addresses of the node, for the configuration.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use corefile::host::{Host, MAX_FILE_LEN};
use nix::fcntl::OFlag;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{if_nameindex, if_nametoindex};

/// The node that the process runs on. Records the paths that are read or listed, whether they exist
/// or not.
#[derive(Debug, Default)]
pub struct OsHost {
    paths: RefCell<BTreeSet<PathBuf>>,
}

impl OsHost {
    /// The recorded paths; a directory that was listed as a file in it.
    pub(crate) fn into_paths(self) -> BTreeSet<PathBuf> {
        self.paths.into_inner()
    }

    fn record(&self, path: PathBuf) {
        self.paths.borrow_mut().insert(path);
    }
}

impl Host for OsHost {
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.record(path.to_path_buf());
        read_file(path).map_err(with_remedy)
    }

    fn read_stdin(&self) -> io::Result<Vec<u8>> {
        read_up_to_limit(io::stdin())
    }

    fn list_directory(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        // As a file in it, so that what appears in it is noticed.
        self.record(directory.join("*"));
        std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn absolute_path(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
    }

    fn interface_addresses(&self, interface: &str) -> io::Result<Vec<SocketAddr>> {
        let addresses = getifaddrs()?.filter(|entry| entry.interface_name == interface);
        Ok(addresses
            .filter_map(|entry| {
                let storage = entry.address?;
                let v4 = storage.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4).into());
                v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into()))
            })
            .collect())
    }

    fn interface_index(&self, interface: &str) -> Option<u32> {
        let exists = |index: &u32| {
            // nix does not report the errors of if_indextoname.
            if_nameindex().is_ok_and(|all| all.iter().any(|interface| interface.index() == *index))
        };
        let by_index = || interface.parse().ok().filter(exists);
        if_nametoindex(interface).ok().or_else(by_index)
    }
}

/// The error, with the remedy if the process has confined itself to other folders.
fn with_remedy(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied || !linux::confinement::is_confined_to_files() {
        return error;
    }
    let reason =
        format!("{error}: its folder was not in use at the start: restart, or add it to -landlock-read");
    io::Error::new(error.kind(), reason)
}

/// Reads a regular file, up to [`MAX_FILE_LEN`].
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // O_NONBLOCK: opening a pipe without a writer does not block.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    read_up_to_limit(file)
}

fn read_up_to_limit(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE_LEN) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {} MiB", MAX_FILE_LEN >> 20),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_addresses_are_listed_and_empty_for_an_unknown_interface() {
        assert!(
            OsHost::default().interface_addresses("lo").unwrap().contains(&"127.0.0.1:0".parse().unwrap())
        );
        assert!(OsHost::default().interface_addresses("no-such-link0").unwrap().is_empty());
    }

    #[test]
    fn interfaces_are_found_by_name_and_by_index() {
        let host = OsHost::default();
        let index = host.interface_index("lo").unwrap();
        assert_eq!(host.interface_index(&index.to_string()), Some(index));
        for unknown in ["no-such-link0", "", "0", "4294967295", "-1", "a/b"] {
            assert_eq!(host.interface_index(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_file_without_end_is_rejected() {
        let error = read_up_to_limit(io::repeat(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    /// Opening a pipe for reading would block, with signals unhandled, until it has a writer.
    #[test]
    fn a_pipe_is_rejected_without_blocking() {
        let path = std::env::temp_dir().join(format!("nodelocaldns-pipe-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let read = read_file(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap_err().to_string(), "not a regular file");
    }
}
