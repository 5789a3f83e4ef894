//! Zones in a Corefile: names or networks in CIDR notation, with a port and a transport in keys.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::name::{Name, NameError};

use crate::error::ConfigError;
use crate::settings::ServerBlockKey;
use crate::token::Token;
use crate::tree::Line;

/// Transports that CoreDNS serves and nodelocaldns does not.
const OTHER_TRANSPORTS: [&str; 6] = ["tls", "quic", "grpc", "https", "https3", "unix"];

/// Parses a key. A network whose prefix does not end at a label boundary becomes several zones.
pub(crate) fn parse_key(token: &Token, default_port: u16) -> Result<Vec<ServerBlockKey>, ConfigError> {
    let text = token.text.strip_prefix("dns://").unwrap_or(&token.text);
    if let Some((transport, _)) = text.split_once("://").filter(|(name, _)| OTHER_TRANSPORTS.contains(name)) {
        let reason = format!(
            "the key '{}' requests {transport}, but nodelocaldns serves plain DNS only; \
             write the zone without '{transport}://' or remove the block",
            token.text
        );
        return Err(ConfigError::at(token, reason));
    }
    let (host, port) = split_port(text).map_err(|reason| ConfigError::at(token, reason))?;
    let port = match port {
        None => default_port,
        Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            ConfigError::at(token, format!("port {digits} of '{}' is not 1 to 65535", token.text))
        })?,
    };
    let zones = expand(host).map_err(|reason| ConfigError::at(token, reason))?;
    Ok(zones.into_iter().map(|zone| ServerBlockKey { zone, port }).collect())
}

/// Parses an argument that names zones. As in keys, it may have a port and a transport, which are
/// ignored.
pub(crate) fn parse_zones(token: &Token) -> Result<Vec<Name>, ConfigError> {
    let text = token.text.split_once("://").map_or(&*token.text, |(_, rest)| rest);
    let parsed = split_port(text).and_then(|(host, _)| expand(host));
    parsed.map_err(|reason| ConfigError::at(token, reason))
}

/// The same for several arguments.
pub(crate) fn parse_all_zones(tokens: &[Token]) -> Result<Vec<Name>, ConfigError> {
    let zones = tokens.iter().map(parse_zones).collect::<Result<Vec<_>, _>>()?;
    Ok(zones.concat())
}

/// The zones of an option `fallthrough`; all without an argument.
pub(crate) fn fallthrough(option: &Line) -> Result<Vec<Name>, ConfigError> {
    if option.args.is_empty() { Ok(vec![Name::root()]) } else { parse_all_zones(&option.args) }
}

/// Splits off the digits after the last colon.
fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    match text.rsplit_once(':') {
        Some((_, "")) => Err(format!("expecting data after last colon: {text:?}")),
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => Ok((host, Some(port))),
        _ => Ok((text, None)),
    }
}

fn expand(text: &str) -> Result<Vec<Name>, String> {
    let invalid = |error: NameError| {
        let reason = match error {
            NameError::EmptyLabel => "a label is empty",
            NameError::LabelTooLong => "a label has more than 63 octets",
            NameError::NameTooLong => "it has more than 255 octets",
            NameError::BadEscape => "a '\\' is followed by no octet",
        };
        format!("zone is not a valid domain name: {text} ({reason})")
    };
    let names = match parse_network(text) {
        Some((IpAddr::V4(ip), prefix)) => reverse_v4(ip, prefix),
        Some((IpAddr::V6(ip), prefix)) => reverse_v6(ip, prefix),
        None if text.is_empty() => return Ok(vec![Name::root()]),
        None => vec![text.to_owned()],
    };
    names.iter().map(|name| Name::parse(name).map_err(invalid)).collect()
}

/// Parses `IP/PREFIX`; `None` for anything else, which is a name.
fn parse_network(text: &str) -> Option<(IpAddr, u32)> {
    let (ip, prefix) = text.split_once('/')?;
    let ip: IpAddr = ip.parse().ok()?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= longest)?;
    Some((ip, prefix))
}

/// Reverse zones of a network (RFC 1035 section 3.5): one, or up to 128 for a prefix that ends
/// within an octet.
fn reverse_v4(ip: Ipv4Addr, prefix: u32) -> Vec<String> {
    let address = u32::from(ip).checked_shr(32 - prefix).unwrap_or(0);
    let missing = (8 - prefix % 8) % 8;
    let octets = (prefix + missing) / 8;
    let first = u64::from(address) << missing;
    let zone = |number: u64| {
        let labels = (0..octets).map(|octet| format!("{}.", (number >> (8 * octet)) & 0xff));
        labels.chain(["in-addr.arpa.".to_owned()]).collect()
    };
    (first..first + (1 << missing)).map(zone).collect()
}

/// Reverse zones of a network (RFC 3596 section 2.5): one, or up to 8 for a prefix that ends within
/// a nibble.
fn reverse_v6(ip: Ipv6Addr, prefix: u32) -> Vec<String> {
    let address = u128::from(ip).checked_shr(128 - prefix).unwrap_or(0);
    let missing = (4 - prefix % 4) % 4;
    let nibbles = (prefix + missing) / 4;
    let first = address << missing;
    let zone = |last: u128| {
        let labels = (0..nibbles).map(|nibble| format!("{:x}.", ((first | last) >> (4 * nibble)) & 0xf));
        labels.chain(["ip6.arpa.".to_owned()]).collect()
    };
    (0..1 << missing).map(zone).collect()
}

/// True when every label consists of letters, digits and inner hyphens (RFC 1035 section 2.3.1; a
/// leading digit is allowed).
pub(crate) fn is_preferred_syntax(zone: &str) -> bool {
    let plain = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    zone.trim_end_matches('.').split('.').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_expand_to_reverse_zones() {
        let zones = |text: &str| match parse_network(text) {
            Some((IpAddr::V4(ip), prefix)) => reverse_v4(ip, prefix),
            Some((IpAddr::V6(ip), prefix)) => reverse_v6(ip, prefix),
            None => Vec::new(),
        };
        for (text, expected) in [
            ("10.0.0.0/24", &["0.0.10.in-addr.arpa."][..]),
            ("10.1.2.3/8", &["10.in-addr.arpa."]),
            ("10.0.0.0/15", &["0.10.in-addr.arpa.", "1.10.in-addr.arpa."]),
            ("192.168.1.4/31", &["4.1.168.192.in-addr.arpa.", "5.1.168.192.in-addr.arpa."]),
            ("192.168.1.4/32", &["4.1.168.192.in-addr.arpa."]),
            ("0.0.0.0/0", &["in-addr.arpa."]),
            ("2001:db8::/32", &["8.b.d.0.1.0.0.2.ip6.arpa."]),
            ("fd00::/7", &["c.f.ip6.arpa.", "d.f.ip6.arpa."]),
            ("::/0", &["ip6.arpa."]),
            ("10.0.0.0/33", &[]),
            ("10.0.0/8", &[]),
            ("example.org/8", &[]),
        ] {
            assert_eq!(zones(text), expected, "{text}");
        }
        assert_eq!(zones("192.168.1.0/25").len(), 128);
        assert_eq!(zones("192.168.1.0/25").last().unwrap(), "127.1.168.192.in-addr.arpa.");
    }

    #[test]
    fn ports_are_digits_after_the_last_colon() {
        assert_eq!(split_port("example.org:5353"), Ok(("example.org", Some("5353"))));
        assert_eq!(split_port("2001:db8::/32"), Ok(("2001:db8::/32", None)));
        assert_eq!(split_port("10.0.0.0/24:54"), Ok(("10.0.0.0/24", Some("54"))));
        assert_eq!(split_port("example.org:http"), Ok(("example.org:http", None)));
        assert!(split_port("example.org:").is_err());
    }
}
