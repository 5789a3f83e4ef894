//! Hosts table (the `hosts` directive): addresses of names, and names of addresses, as in /etc/hosts.

use std::collections::HashMap;
use std::net::IpAddr;

use wire::name::Name;

/// A `hosts` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Names outside these zones are not looked up, except for those of type PTR.
    pub zones: Vec<Name>,
    /// `ttl`: TTL of its records in seconds, 1 to 65535.
    pub ttl: u32,
    /// `fallthrough`: names in these zones that the table does not have go to the next directive;
    /// others get SERVFAIL.
    pub fallthrough: Vec<Name>,
    /// `fallthrough_unsupported`: queries of other types for names that the table has go to the next
    /// directive.
    pub passes_other_types: bool,
    /// Its file and inline entries.
    pub table: HostsTable,
}

/// Names with their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsTable {
    /// By name in wire form, in the order in which they were added.
    addresses: HashMap<Box<[u8]>, Vec<IpAddr>>,
    /// By the name below the label `*`.
    wildcards: HashMap<Box<[u8]>, Vec<IpAddr>>,
    names: HashMap<IpAddr, Vec<Name>>,
}

impl HostsTable {
    /// Adds an address of a name, once; an IPv4-mapped one as IPv4. A name `*.example.` stands for
    /// each name that has one label more than `example.` and is not in the table itself.
    pub fn add(&mut self, name: &Name, address: IpAddr) {
        let (name, address) = (name.as_wire(), address.to_canonical());
        let (table, name) = match name.strip_prefix(b"\x01*") {
            Some(parent) => (&mut self.wildcards, parent),
            None => (&mut self.addresses, name),
        };
        let addresses = table.entry(name.into()).or_default();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }

    /// Adds a name of an address, for PTR.
    pub fn add_reverse(&mut self, address: IpAddr, name: &Name) {
        let names = self.names.entry(address.to_canonical()).or_default();
        if !names.contains(name) {
            names.push(name.clone());
        }
    }

    /// Pairs of name and address, and of address and name.
    pub fn entries(&self) -> usize {
        let addresses = self.addresses.values().chain(self.wildcards.values()).map(Vec::len);
        addresses.chain(self.names.values().map(Vec::len)).sum()
    }

    /// The addresses of a lower-case wire name, of both families; `None` if the table does not have
    /// it.
    pub(crate) fn addresses(&self, name: &[u8]) -> Option<&[IpAddr]> {
        let by_wildcard = || {
            let (len, rest) = name.split_first()?;
            self.wildcards.get(rest.get(usize::from(*len)..).filter(|_| *len > 0)?)
        };
        self.addresses.get(name).or_else(by_wildcard).map(Vec::as_slice)
    }

    /// The names of an address.
    pub(crate) fn names(&self, address: IpAddr) -> &[Name] {
        self.names.get(&address).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Hosts {
    /// True for a lower-case wire name in its zones.
    pub(crate) fn covers(&self, name: &[u8]) -> bool {
        self.zones.iter().any(|zone| zone.covers(name))
    }

    /// True for a lower-case wire name that goes to the next directive if the table lacks it.
    pub(crate) fn falls_through(&self, name: &[u8]) -> bool {
        self.fallthrough.iter().any(|zone| zone.covers(name))
    }
}
