//! Network links, read from the kernel.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

/// Whether the link is up.
pub(crate) fn is_up(link: &str) -> io::Result<bool> {
    Ok(getifaddrs()?
        .any(|entry| entry.interface_name == link && entry.flags.contains(InterfaceFlags::IFF_UP)))
}

/// The link in one line and each of its addresses in another; empty without such a link.
pub(crate) fn format(link: &str) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in getifaddrs()?.filter(|entry| entry.interface_name == link) {
        if lines.is_empty() {
            let flags: Vec<_> =
                entry.flags.iter_names().map(|(name, _)| name.trim_start_matches("IFF_")).collect();
            lines.push(format!("{}: {link}: <{}>", if_nametoindex(link)?, flags.join(",")));
        }
        if let (Some(address), Some(mask)) = (entry.address.and_then(ip), entry.netmask.and_then(ip)) {
            let (family, prefix) = match mask {
                IpAddr::V4(mask) => ("inet", mask.to_bits().count_ones()),
                IpAddr::V6(mask) => ("inet6", mask.to_bits().count_ones()),
            };
            lines.push(format!("    {family} {address}/{prefix}"));
        }
    }
    Ok(lines)
}

fn ip(address: SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}
