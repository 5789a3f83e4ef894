//! Calls that a worker would make if an attacker had taken it over, for the process tests of the
//! confinement. In debug builds only.

use std::io;
use std::os::unix::net::UnixStream;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, execv};
use nix::{fcntl, sys::ptrace};

/// Makes the call of this name.
///
/// # Errors
/// Why it is denied, or an unknown name.
pub(super) fn make_call(name: &str) -> io::Result<()> {
    match name {
        "openat" => fcntl::open("/etc/passwd", fcntl::OFlag::O_RDONLY, Mode::empty()).map(drop),
        "netlink" => {
            let protocol = SockProtocol::NetlinkRoute;
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), protocol).map(drop)
        }
        "raw" => {
            let protocol = SockProtocol::Icmp;
            socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), protocol).map(drop)
        }
        "ptrace" => ptrace::attach(Pid::this()),
        "execve" => execv(c"/bin/true", &[c"/bin/true"]).map(drop),
        "kill" => kill(Pid::this(), Signal::SIGCONT),
        "mount" => mount(Some("none"), "/mnt", Some("tmpfs"), MsFlags::empty(), None::<&str>),
        "unix" => return UnixStream::connect("/run/systemd/private").map(drop),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    .map_err(io::Error::from)
}
