//! Networks in CIDR notation (RFC 4632 section 3.1).

use std::net::IpAddr;

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address in it, in 128 bits from the first on.
    bits: u128,
    is_ipv4: bool,
    /// Bits that all its addresses have in common.
    prefix: u32,
}

impl Network {
    /// `None` for a prefix longer than the address.
    pub fn new(address: IpAddr, prefix: u32) -> Option<Self> {
        let is_ipv4 = address.is_ipv4();
        let longest = if is_ipv4 { 32 } else { 128 };
        (prefix <= longest).then(|| Self { bits: bits(address), is_ipv4, prefix })
    }

    /// Parses CIDR notation, such as `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        Self::new(address.parse().ok()?, prefix.parse().ok()?)
    }

    /// The network of one address.
    pub fn of_address(address: IpAddr) -> Option<Self> {
        Self::new(address, if address.is_ipv4() { 32 } else { 128 })
    }

    /// True for an address in it; never for one of the other family.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = (bits(address) ^ self.bits).leading_zeros();
        address.is_ipv4() == self.is_ipv4 && differing >= self.prefix
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        for (text, inside, outside) in [
            ("10.1.2.3/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.128/25", "192.0.2.129", "192.0.2.127"),
            ("192.0.2.1/32", "192.0.2.1", "192.0.2.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::/0", "::1", "0.0.0.1"),
            ("::1/128", "::1", "::"),
        ] {
            let network = Network::parse(text).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} {outside}");
        }
    }

    #[test]
    fn a_prefix_is_at_most_as_long_as_the_address() {
        assert_eq!(Network::new("192.0.2.1".parse().unwrap(), 33), None);
        assert_eq!(Network::new("::".parse().unwrap(), 129), None);
    }
}
