//! `dns64`: IPv6 addresses synthesized from IPv4 addresses (RFC 6147), for clients behind a NAT64.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A prefix of IPv6 addresses in which IPv4 addresses are embedded (RFC 6052 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat64Prefix {
    address: Ipv6Addr,
    /// In octets.
    len: usize,
}

/// The octet of an address that is always zero (RFC 6052 section 2.2).
const ZERO_OCTET: usize = 8;

impl Nat64Prefix {
    /// The well-known prefix, `64:ff9b::/96` (RFC 6052 section 2.1).
    pub const WELL_KNOWN: Self = Self { address: Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), len: 12 };

    /// The prefix of `bits` bits of an address; `None` unless that is 32, 40, 48, 56, 64 or 96.
    pub fn new(address: Ipv6Addr, bits: u8) -> Option<Self> {
        if !matches!(bits, 32 | 40 | 48 | 56 | 64 | 96) {
            return None;
        }
        let address = Ipv6Addr::from_bits(address.to_bits() & u128::MAX << (128 - u32::from(bits)));
        Some(Self { address, len: usize::from(bits / 8) })
    }

    /// The IPv6 address that stands for an IPv4 address.
    pub(crate) fn embed(&self, address: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.address.octets();
        let positions = (self.len..).filter(|position| *position != ZERO_OCTET);
        for (position, octet) in positions.zip(address.octets()) {
            if let Some(target) = octets.get_mut(position) {
                *target = octet;
            }
        }
        octets.into()
    }
}

/// A `dns64` directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dns64 {
    /// Of the synthesized addresses.
    pub prefix: Nat64Prefix,
    /// Addresses are synthesized for names with IPv6 addresses too.
    pub translate_all: bool,
    /// Addresses are synthesized for clients with IPv4 addresses too.
    pub allow_ipv4: bool,
}

impl Dns64 {
    /// True for a client that gets synthesized addresses.
    pub(crate) fn serves(&self, client: IpAddr) -> bool {
        self.allow_ipv4 || client.to_canonical().is_ipv6()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_embedded_as_in_rfc_6052_section_2_4() {
        for (prefix, bits, expected) in [
            ("2001:db8::", 32, "2001:db8:c000:221::"),
            ("2001:db8:100::", 40, "2001:db8:1c0:2:21::"),
            ("2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"),
        ] {
            let prefix = prefix.parse().ok().and_then(|address| Nat64Prefix::new(address, bits));
            let embedded = prefix.map(|prefix| prefix.embed(Ipv4Addr::new(192, 0, 2, 33)));
            assert_eq!(embedded, expected.parse().ok(), "/{bits}");
        }
        let longer = Nat64Prefix::new(Ipv6Addr::from_bits(u128::MAX), 96).map(|prefix| prefix.address);
        assert_eq!(longer, Some(Ipv6Addr::from_bits(u128::MAX << 32)));
    }
}
