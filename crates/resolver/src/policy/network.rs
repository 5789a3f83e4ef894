//! Networks in CIDR notation (RFC 4632 section 3.1).

use std::net::IpAddr;

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl Network {
    /// `None` for a prefix longer than the address.
    pub fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (prefix_len <= longest).then_some(Self { address, prefix_len })
    }

    /// Parses CIDR notation, such as `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix_len) = text.split_once('/')?;
        let is_number = prefix_len.bytes().all(|octet| octet.is_ascii_digit());
        Self::new(address.parse().ok()?, prefix_len.parse().ok().filter(|_| is_number)?)
    }

    /// The network of one address.
    pub fn of_address(address: IpAddr) -> Option<Self> {
        Self::new(address, if address.is_ipv4() { 32 } else { 128 })
    }

    /// An address in it: the one that it was made of.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits that all its addresses have in common, from the first on.
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// True for an address in it; never for one of the other family.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = (bits(address) ^ bits(self.address)).leading_zeros();
        address.is_ipv4() == self.address.is_ipv4() && differing >= u32::from(self.prefix_len)
    }
}

/// An address in 128 bits, from the first on.
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
