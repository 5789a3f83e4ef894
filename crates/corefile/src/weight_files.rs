//! Weight files (`loadbalance weighted FILE`): a name on a line of its own, then an address and its
//! weight on each line.

use std::net::IpAddr;
use std::num::NonZeroU8;

use resolver::policy::AddressWeights;
use wire::name::Name;

/// Reads the weights of a file. Empty lines and those that begin with `#` are left out.
///
/// # Errors
/// The number of a line, from 1, and why it is invalid.
pub(crate) fn read(content: &[u8]) -> Result<AddressWeights, (usize, String)> {
    let text = String::from_utf8_lossy(content);
    let (mut weights, mut owner) = (AddressWeights::default(), None);
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split_whitespace();
        let Some(first) = words.next().filter(|first| !first.starts_with('#')) else { continue };
        let result = match (words.next(), words.next()) {
            (None, _) => name(first).map(|name| owner = Some(name)),
            (Some(weight), None) => weight_of(first, weight).and_then(|(address, weight)| match &owner {
                Some(owner) => {
                    weights.add(owner, address, weight);
                    Ok(())
                }
                None => Err("no name stands before the first address".to_owned()),
            }),
            _ => Err(format!("{:?} is neither a name nor an address and its weight", line.trim())),
        };
        result.map_err(|reason| (number, reason))?;
    }
    Ok(weights)
}

fn name(word: &str) -> Result<Name, String> {
    if word.parse::<IpAddr>().is_ok() {
        return Err(format!("the address {word} has no weight"));
    }
    Name::parse(word).map_err(|error| format!("{word:?} is not a valid domain name: {error}"))
}

fn weight_of(address: &str, weight: &str) -> Result<(IpAddr, NonZeroU8), String> {
    let parsed = address.parse().map_err(|_| format!("{address:?} is not an IP address"))?;
    let weight = weight.parse().map_err(|_| format!("the weight {weight:?} is not 1 to 255"))?;
    Ok((parsed, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_addresses_with_weights() {
        let text =
            b"# weights\nWWW.example\n192.0.2.1 3\n\n  2001:db8::1   255\nother.example.\n192.0.2.1 1\n";
        let mut expected = AddressWeights::default();
        for (owner, address, weight) in [
            ("www.example", "192.0.2.1", 3),
            ("www.example", "2001:db8::1", 255),
            ("other.example", "192.0.2.1", 1),
        ] {
            let weight = NonZeroU8::new(weight).unwrap();
            expected.add(&Name::parse(owner).unwrap(), address.parse().unwrap(), weight);
        }
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read(b""), Ok(AddressWeights::default()));
    }

    #[test]
    fn invalid_lines_are_named() {
        for (text, line, reason) in [
            ("192.0.2.1 3", 1, "no name stands before the first address"),
            ("a.example\n192.0.2.1", 2, "the address 192.0.2.1 has no weight"),
            ("a.example\n192.0.2.256 3", 2, "\"192.0.2.256\" is not an IP address"),
            ("a.example\n192.0.2.1 0", 2, "the weight \"0\" is not 1 to 255"),
            ("a.example\n192.0.2.1 256", 2, "the weight \"256\" is not 1 to 255"),
            (
                "\na.example\n192.0.2.1 3 4",
                3,
                "\"192.0.2.1 3 4\" is neither a name nor an address and its weight",
            ),
        ] {
            assert_eq!(read(text.as_bytes()), Err((line, reason.to_owned())), "{text}");
        }
        assert!(read(b"a..example").is_err());
    }
}
