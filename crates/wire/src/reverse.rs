//! Reverse names: names of the in-addr.arpa and ip6.arpa domains to addresses (RFC 1035 section 3.5,
//! RFC 3596 section 2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// in-addr.arpa in wire form.
const IN_ADDR_ARPA: &[u8] = b"\x07in-addr\x04arpa\x00";

/// ip6.arpa in wire form.
const IP6_ARPA: &[u8] = b"\x03ip6\x04arpa\x00";

/// The address of a reverse name, in wire form and lower case; `None` for any other name, and for
/// one with fewer labels than an address has.
pub fn address(name: &[u8]) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(IN_ADDR_ARPA) {
        return v4(labels).map(IpAddr::V4);
    }
    v6(name.strip_suffix(IP6_ARPA)?).map(IpAddr::V6)
}

/// Four labels, one decimal octet each, the last octet of the address first.
fn v4(mut labels: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    for octet in octets.iter_mut().rev() {
        let (label, rest) = split_label(labels)?;
        let has_leading_zero = label.len() > 1 && label.first() == Some(&b'0');
        if has_leading_zero || !label.iter().all(u8::is_ascii_digit) {
            return None;
        }
        *octet = std::str::from_utf8(label).ok()?.parse().ok()?;
        labels = rest;
    }
    labels.is_empty().then(|| Ipv4Addr::from(octets))
}

/// 32 labels, one hexadecimal digit each, the last digit of the address first.
fn v6(mut labels: &[u8]) -> Option<Ipv6Addr> {
    let mut address = 0_u128;
    for shift in 0..32 {
        let (label, rest) = split_label(labels)?;
        let &[digit] = label else { return None };
        address |= u128::from(char::from(digit).to_digit(16)?) << (4 * shift);
        labels = rest;
    }
    labels.is_empty().then(|| Ipv6Addr::from(address))
}

fn split_label(labels: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = labels.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn address_of(name: &str) -> Option<String> {
        address(Name::parse(name).unwrap().as_wire()).map(|address| address.to_string())
    }

    #[test]
    fn reverse_names_of_whole_addresses_are_read() {
        assert_eq!(address_of("7.2.0.192.in-addr.arpa").as_deref(), Some("192.0.2.7"));
        let nibbles = "0.".repeat(23);
        let v6 = format!("1.{nibbles}8.B.D.0.1.0.0.2.IP6.ARPA");
        assert_eq!(address_of(&v6).as_deref(), Some("2001:db8::1"));
    }

    #[test]
    fn other_names_are_no_addresses() {
        let nibbles = "0.".repeat(24);
        for name in [
            ".",
            "in-addr.arpa",
            "2.0.192.in-addr.arpa",
            "1.7.2.0.192.in-addr.arpa",
            "256.2.0.192.in-addr.arpa",
            "07.2.0.192.in-addr.arpa",
            "+7.2.0.192.in-addr.arpa",
            "7.2.0.192.in-addr.arpa.test",
            "7.2.0.192.xin-addr.arpa",
            "8.b.d.0.1.0.0.2.ip6.arpa",
            &format!("g.{nibbles}b.d.0.1.0.0.2.ip6.arpa"),
            &format!("11.{nibbles}b.d.0.1.0.0.2.ip6.arpa"),
            &format!("1.{nibbles}0.b.d.0.1.0.0.2.ip6.arpa"),
        ] {
            assert_eq!(address_of(name), None, "{name}");
        }
    }
}
