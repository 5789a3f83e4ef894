//! Sockets of the node that receive DNS queries, from /proc/net.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// TCP_LISTEN and TCP_CLOSE, which is the state of a UDP socket without a peer.
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Udp,
    Tcp,
}

/// A socket that receives what is sent to its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeSocket {
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    pub(super) inode: u64,
}

/// The process that has a socket open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SocketOwner {
    pub(super) name: String,
    pub(super) pid: u32,
}

impl fmt::Display for SocketOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (PID {})", self.name, self.pid)
    }
}

impl fmt::Display for NodeSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
        };
        write!(f, "{protocol} {}", self.address)
    }
}

/// The first process that has the socket open, if it is visible: those of other containers are not,
/// without their PID namespace.
pub(super) fn owner(inode: u64) -> Option<SocketOwner> {
    let target = PathBuf::from(format!("socket:[{inode}]"));
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.map(|entry| fs::read_link(entry.path())).any(|link| link.is_ok_and(|link| link == target))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned();
    Some(SocketOwner { name, pid })
}

/// The sockets of the network namespace; none where /proc does not list them.
pub(super) fn list() -> Vec<NodeSocket> {
    let tables =
        [(Protocol::Udp, "udp"), (Protocol::Udp, "udp6"), (Protocol::Tcp, "tcp"), (Protocol::Tcp, "tcp6")];
    let mut sockets = Vec::new();
    for (protocol, name) in tables {
        let table = fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
        sockets.extend(table.lines().skip(1).filter_map(|row| parse(protocol, row)));
    }
    sockets
}

fn parse(protocol: Protocol, row: &str) -> Option<NodeSocket> {
    let mut columns = row.split_ascii_whitespace();
    let (local, state) = (columns.nth(1)?, columns.nth(1)?);
    let wanted = match protocol {
        Protocol::Udp => UNCONNECTED,
        Protocol::Tcp => LISTEN,
    };
    let inode = columns.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == wanted).then_some(NodeSocket {
        protocol,
        address: (parse_address(address)?, port).into(),
        inode,
    })
}

/// An address as words of 32 bits in the byte order of the machine.
fn parse_address(text: &str) -> Option<IpAddr> {
    let words = text.as_bytes().chunks(8).map(|word| {
        let word = str::from_utf8(word).ok().filter(|word| word.len() == 8)?;
        u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
    });
    let octets = words.collect::<Option<Vec<_>>>()?.concat();
    let v4 = || <[u8; 4]>::try_from(octets.as_slice()).ok().map(|octets| Ipv4Addr::from(octets).into());
    let v6 = || <[u8; 16]>::try_from(octets.as_slice()).ok().map(|octets| Ipv6Addr::from(octets).into());
    v4().or_else(v6)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn listening_sockets_of_both_protocols_and_families_are_listed() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let (udp, tcp) = (UdpSocket::bind(any).unwrap(), TcpListener::bind(any).unwrap());
            let connected = UdpSocket::bind(any).unwrap();
            connected.connect(udp.local_addr().unwrap()).unwrap();
            let sockets = list();
            let of = |protocol, address| {
                let same = |socket: &&NodeSocket| (socket.protocol, socket.address) == (protocol, address);
                let owner = sockets.iter().find(same).and_then(|socket| owner(socket.inode));
                owner.is_some_and(|owner| owner.pid == std::process::id())
            };
            assert!(of(Protocol::Udp, udp.local_addr().unwrap()), "{sockets:?}");
            assert!(of(Protocol::Tcp, tcp.local_addr().unwrap()), "{sockets:?}");
            assert!(!of(Protocol::Udp, connected.local_addr().unwrap()), "{sockets:?}");
        }
    }

    #[test]
    fn malformed_rows_are_skipped() {
        for row in [
            "",
            "0:",
            "0: 0100007F:0035",
            "0: 0100007F 0:0 07",
            "0: 01007F:0035 0:0 07",
            "0: 0100007F:Z 0:0 07",
        ] {
            assert_eq!(parse(Protocol::Udp, row), None, "{row}");
        }
    }
}
