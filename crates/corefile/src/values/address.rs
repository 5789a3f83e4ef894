//! Addresses in flags and Corefiles.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::error::ConfigError;
use crate::host::Host;
use crate::tree::Directive;

/// Parses a listen address: `HOST:PORT`, where HOST is an IP address, `localhost` or empty.
///
/// `:9253` is returned as `[::]:9253`, which stands for all addresses of both families: it is bound
/// dual stack, or as `0.0.0.0` on a host without IPv6. With port 0 the kernel chooses a port.
///
/// # Errors
/// The reason, with the text.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = host_and_port(text)?;
    let port: u16 = port.parse().map_err(|_| format!("address {text}: invalid port {port:?}"))?;
    let ip = match host {
        "" => Ipv6Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => host.parse::<IpAddr>().map_err(|_| format!("address {text}: {host:?} is not an IP address"))?,
    };
    Ok(SocketAddr::new(ip, port))
}

/// Splits `HOST:PORT`, with the reason if it has another form.
pub(crate) fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    split_port(text).ok_or_else(|| format!("address {text}: {}", without_port(text)))
}

/// Why a text has no port that could be told from its host, in Go's words, with the remedy.
fn without_port(text: &str) -> String {
    if text.starts_with('[') || text.matches(':').count() < 2 {
        return "missing port in address".to_owned();
    }
    let with_port = text.rsplit_once(':').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok());
    let bracketed = match with_port {
        Some((host, port)) => format!("[{host}]:{port}"),
        None if text.parse::<Ipv6Addr>().is_ok() => format!("[{text}]:PORT"),
        None => return "too many colons in address".to_owned(),
    };
    format!("too many colons in address (an IPv6 address is written in brackets: {bracketed})")
}

/// The listen address that is a directive's only argument, or `default`.
pub(crate) fn listen_argument(directive: &Directive, default: &str) -> Result<SocketAddr, ConfigError> {
    let argument = directive.line.optional_argument()?;
    let text = argument.map_or(default, |argument| &argument.text);
    let token = argument.unwrap_or_else(|| directive.name());
    parse_listen_address(text).map_err(|reason| ConfigError::at(token, reason))
}

/// Splits `HOST:PORT` or `[V6]:PORT`; `None` without a port, or for several colons without
/// brackets.
pub(crate) fn split_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((host, port.strip_prefix(':')?));
    }
    text.split_once(':').filter(|(_, port)| !port.contains(':'))
}

/// Why a text is not an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidIp {
    /// It has another form.
    NotAnAddress,
    /// The node has no interface of this name or index.
    UnknownInterface,
}

/// Parses an IP address, IPv6 with an optional `%INTERFACE`, the name or index of one, and adds
/// `port`. A link-local address gets the interface as its scope (RFC 4007 section 11).
pub(crate) fn parse_ip(text: &str, port: u16, host: &dyn Host) -> Result<SocketAddr, InvalidIp> {
    let Some((ip, interface)) = text.split_once('%') else {
        return text.parse().map_or(Err(InvalidIp::NotAnAddress), |ip: IpAddr| Ok(SocketAddr::new(ip, port)));
    };
    let ip: Ipv6Addr = ip.parse().map_err(|_| InvalidIp::NotAnAddress)?;
    let index = host.interface_index(interface).ok_or(InvalidIp::UnknownInterface)?;
    let scope = if ip.is_unicast_link_local() { index } else { 0 };
    Ok(SocketAddrV6::new(ip, port, 0, scope).into())
}

/// True for a link-local IPv6 address without a scope: the kernel cannot tell its interface.
pub(crate) fn lacks_scope(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

/// Why an address with an unknown interface is rejected.
pub(crate) fn unknown_interface(text: &str) -> String {
    format!("{text:?} names an interface that this node does not have")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_have_an_optional_ip_address_and_a_port() {
        for (text, address) in [
            (":9253", "[::]:9253"),
            ("localhost:9153", "127.0.0.1:9153"),
            ("169.254.25.10:9254", "169.254.25.10:9254"),
            ("[fd00::10]:8080", "[fd00::10]:8080"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(parse_listen_address(text), Ok(address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn malformed_listen_addresses_are_rejected_with_a_reason() {
        assert_eq!(parse_listen_address("8080"), Err("address 8080: missing port in address".to_owned()));
        assert_eq!(parse_listen_address("[::1]"), Err("address [::1]: missing port in address".to_owned()));
        assert_eq!(parse_listen_address(":65536"), Err("address :65536: invalid port \"65536\"".to_owned()));
        assert_eq!(
            parse_listen_address("node.example:53"),
            Err("address node.example:53: \"node.example\" is not an IP address".to_owned())
        );
    }

    #[test]
    fn an_ipv6_address_without_brackets_is_rejected_with_the_bracketed_form() {
        for (text, bracketed) in [
            ("fd00::10:9254", "[fd00::10]:9254"),
            ("fd00:1:2:3:4:5:6:7:9254", "[fd00:1:2:3:4:5:6:7]:9254"),
            ("fd00::1", "[fd00::1]:PORT"),
            ("::1", "[::1]:PORT"),
        ] {
            let hint = format!("an IPv6 address is written in brackets: {bracketed}");
            let reason = format!("address {text}: too many colons in address ({hint})");
            assert_eq!(parse_listen_address(text), Err(reason));
        }
        let reason = "address a:b:c: too many colons in address".to_owned();
        assert_eq!(parse_listen_address("a:b:c"), Err(reason));
    }
}
