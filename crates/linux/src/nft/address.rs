//! IP addresses in packets: where they are, and their octets; names of interfaces.

use std::net::IpAddr;

use super::expression::Field;

/// The payload base of addresses (`enum nft_payload_bases`).
const NETWORK_HEADER: u32 = 1;
/// IFNAMSIZ: names of interfaces are padded with zeros.
const INTERFACE_NAME_OCTETS: usize = 16;

/// Source or destination of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// The IP version of a packet.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The field of an address in the IP header.
    pub(super) fn address(self, side: Side) -> Field {
        let (offset, octets) = match (self, side) {
            (Self::V4, Side::Source) => (12, 4),
            (Self::V4, Side::Destination) => (16, 4),
            (Self::V6, Side::Source) => (8, 16),
            (Self::V6, Side::Destination) => (24, 16),
        };
        Field { base: NETWORK_HEADER, offset, octets }
    }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The name padded to the length that the kernel compares; a longer one matches no interface.
pub(super) fn interface_octets(name: &str) -> Vec<u8> {
    let mut octets = name.as_bytes().to_vec();
    octets.resize(INTERFACE_NAME_OCTETS, 0);
    octets
}
