//! nf_tables sets: addresses or TCP connections, which time out, and names of interfaces.

use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, SetAttribute, SetDescription, SetElementAttribute, SetElementList, SetFlags,
};

use super::address::{Family, interface_octets, octets};

/// Numbers of data types in nft(8), which the kernel stores for it, and the bits that one takes in
/// the number of a concatenation.
const IPV4_ADDRESS: u32 = 7;
const IPV6_ADDRESS: u32 = 8;
const INET_SERVICE: u32 = 13;
const INTERFACE_NAME: u32 = 41;
const TYPE_BITS: u32 = 6;
/// NFTNL_UDATA_SET_KEYBYTEORDER, which nft(8) needs to list names, and its value for them.
const KEY_BYTE_ORDER: u8 = 0;
const HOST_ENDIAN: u32 = 1;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ElementKind {
    Address,
    Connection,
    Interface,
}

/// A named set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Set {
    pub(super) name: String,
    family: Family,
    kind: ElementKind,
    /// Maximum number of elements that rules add.
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

    /// Names of interfaces.
    pub(crate) fn of_interfaces(name: &str) -> Self {
        Self { name: name.to_owned(), family: Family::V4, kind: ElementKind::Interface, size: 0 }
    }

    /// The family of its addresses.
    pub(super) const fn family(&self) -> Family {
        self.family
    }

    pub(super) fn attributes(&self, table: &str, id: u32) -> Vec<SetAttribute> {
        let (key_type, key_octets) = self.key();
        let mut attributes = vec![
            SetAttribute::Table(table.to_owned()),
            SetAttribute::Name(self.name.clone()),
            SetAttribute::KeyType(key_type),
            SetAttribute::KeyLen(key_octets),
            SetAttribute::Id(id),
        ];
        if self.kind == ElementKind::Interface {
            let host_endian = HOST_ENDIAN.to_ne_bytes();
            let length = u8::try_from(host_endian.len()).unwrap_or(u8::MAX);
            let user_data = [KEY_BYTE_ORDER, length].into_iter().chain(host_endian);
            attributes.push(SetAttribute::UserData(user_data.collect()));
        } else {
            attributes.push(SetAttribute::Flags(SetFlags::Timeout | SetFlags::Eval));
            attributes.push(SetAttribute::Description(vec![SetDescription::Size(self.size)]));
        }
        attributes
    }

    /// Number of the type, and octets of a key: each part of a concatenation is padded to a word.
    fn key(&self) -> (u32, u32) {
        let (address, octets) = match self.family {
            Family::V4 => (IPV4_ADDRESS, 4),
            Family::V6 => (IPV6_ADDRESS, 16),
        };
        match self.kind {
            ElementKind::Address => (address, octets),
            ElementKind::Interface => (INTERFACE_NAME, 16),
            ElementKind::Connection => {
                (((address << TYPE_BITS | address) << TYPE_BITS) | INET_SERVICE, 2 * octets + 4)
            }
        }
    }

    /// All of its elements.
    pub(super) fn every_element(&self, table: &str) -> Vec<SetElementList> {
        vec![SetElementList::Table(table.to_owned()), SetElementList::Set(self.name.clone())]
    }

    pub(super) fn with_element(&self, table: &str, element: &Element) -> Vec<SetElementList> {
        vec![
            SetElementList::Table(table.to_owned()),
            SetElementList::Set(self.name.clone()),
            SetElementList::Elements(vec![ListAttribute::Element(element.attributes())]),
        ]
    }
}

/// An element of a set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Element {
    /// An address, for this long.
    Address(IpAddr, Duration),
    Interface(String),
}

impl Element {
    fn attributes(&self) -> Vec<SetElementAttribute> {
        let key = |octets| SetElementAttribute::Key(DataAttribute::Value(octets));
        match self {
            Self::Address(address, timeout) => {
                let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                vec![key(octets(*address)), SetElementAttribute::Timeout(milliseconds)]
            }
            Self::Interface(name) => vec![key(interface_octets(name))],
        }
    }
}
