//! nf_tables sets: addresses or TCP connections, which time out.

use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, SetAttribute, SetDescription, SetElementAttribute, SetElementList, SetFlags,
};

use super::address::{Family, octets};

/// Numbers of data types in nft(8), which the kernel stores for it, and the bits that one takes in
/// the number of a concatenation.
const IPV4_ADDRESS: u32 = 7;
const IPV6_ADDRESS: u32 = 8;
const INET_SERVICE: u32 = 13;
const TYPE_BITS: u32 = 6;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ElementKind {
    Address,
    Connection,
}

/// A named set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Set {
    pub(super) name: String,
    family: Family,
    kind: ElementKind,
    /// Maximum number of elements.
    size: u32,
}

impl Set {
    /// Addresses that rules add, each with a timeout.
    pub(crate) fn of_addresses(name: &str, family: Family, size: u32) -> Self {
        Self { name: name.to_owned(), family, kind: ElementKind::Address, size }
    }

    /// TCP connections that rules add, each with a timeout.
    pub(crate) fn of_connections(name: &str, family: Family, size: u32) -> Self {
        Self { name: name.to_owned(), family, kind: ElementKind::Connection, size }
    }

    /// The family of its addresses.
    pub(super) const fn family(&self) -> Family {
        self.family
    }

    pub(super) fn attributes(&self, table: &str, id: u32) -> Vec<SetAttribute> {
        let (key_type, key_octets) = self.key();
        vec![
            SetAttribute::Table(table.to_owned()),
            SetAttribute::Name(self.name.clone()),
            SetAttribute::KeyType(key_type),
            SetAttribute::KeyLen(key_octets),
            SetAttribute::Id(id),
            SetAttribute::Flags(SetFlags::Timeout | SetFlags::Eval),
            SetAttribute::Description(vec![SetDescription::Size(self.size)]),
        ]
    }

    /// Number of the type, and octets of a key: each part of a concatenation is padded to a word.
    fn key(&self) -> (u32, u32) {
        let (address, octets) = match self.family {
            Family::V4 => (IPV4_ADDRESS, 4),
            Family::V6 => (IPV6_ADDRESS, 16),
        };
        match self.kind {
            ElementKind::Address => (address, octets),
            ElementKind::Connection => {
                (((address << TYPE_BITS | address) << TYPE_BITS) | INET_SERVICE, 2 * octets + 4)
            }
        }
    }

    pub(super) fn with_element(&self, table: &str, element: Element) -> Vec<SetElementList> {
        vec![
            SetElementList::Table(table.to_owned()),
            SetElementList::Set(self.name.clone()),
            SetElementList::Elements(vec![ListAttribute::Element(element.attributes())]),
        ]
    }
}

/// An address in a set, for this long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Element {
    pub(crate) address: IpAddr,
    pub(crate) timeout: Duration,
}

impl Element {
    fn attributes(self) -> Vec<SetElementAttribute> {
        let milliseconds = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        vec![
            SetElementAttribute::Key(DataAttribute::Value(octets(self.address))),
            SetElementAttribute::Timeout(milliseconds),
        ]
    }
}
