//! Hosts files: lines of an IP address and its names, as in /etc/hosts (hosts(5)).

use std::net::IpAddr;

use wire::name::Name;

/// Octets of the longest field that is used, as in CoreDNS 1.15.
const MAX_FIELD_LEN: usize = 1024;

/// An address with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostsEntry {
    pub(crate) address: IpAddr,
    pub(crate) names: Vec<Name>,
}

/// Reads the entries of a file. Lines without an address or a name, and what is not a name, are left
/// out, as in CoreDNS. Returns the numbers of the lines, from 1, with a field that is too long.
pub(crate) fn read(content: &[u8], mut add: impl FnMut(HostsEntry)) -> Vec<usize> {
    let mut too_long = Vec::new();
    for (number, line) in (1..).zip(content.split(|octet| *octet == b'\n')) {
        let line = line.split(|octet| *octet == b'#').next().unwrap_or_default();
        let text = String::from_utf8_lossy(line);
        let fields = text.split_whitespace();
        if fields.clone().any(|field| field.len() > MAX_FIELD_LEN) {
            too_long.push(number);
        }
        if let Some(entry) = entry(fields.filter(|field| field.len() <= MAX_FIELD_LEN)) {
            add(entry);
        }
    }
    too_long
}

/// The entry of a line; `None` without an address or a name.
pub(crate) fn entry<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<HostsEntry> {
    let address = parse_address(fields.next()?)?;
    let names: Vec<Name> = fields.filter_map(|field| Name::parse(field).ok()).collect();
    (!names.is_empty()).then_some(HostsEntry { address, names })
}

/// Parses an IP address; the interface in `fe80::1%eth0` is left out.
pub(crate) fn parse_address(field: &str) -> Option<IpAddr> {
    let (address, interface) = field.split_once('%').map_or((field, None), |(ip, zone)| (ip, Some(zone)));
    let address: IpAddr = address.parse().ok()?;
    (address.is_ipv6() || interface.is_none()).then_some(address)
}
