//! Addresses as flags and Corefiles write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::host::Host;

/// Reads an address to listen on: `HOST:PORT` with an IP address, `localhost` or nothing as host.
///
/// `:9253` comes back as `[::]:9253`, which stands for every address of both families: who listens there
/// opens it dual stack, and `0.0.0.0` instead on a host without IPv6. Port 0 lets the kernel choose.
///
/// # Errors
/// What is wrong, naming the text.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = split_port(text).ok_or_else(|| format!("address {text}: missing port in address"))?;
    let port: u16 = port.parse().map_err(|_| format!("address {text}: invalid port {port:?}"))?;
    let ip = match host {
        "" => Ipv6Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => host.parse::<IpAddr>().map_err(|_| format!("address {text}: {host:?} is not an IP address"))?,
    };
    Ok(SocketAddr::new(ip, port))
}

/// Splits `HOST:PORT` and `[V6]:PORT`; nothing when there is no port, or more colons than one without
/// brackets.
pub(super) fn split_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((host, port.strip_prefix(':')?));
    }
    text.split_once(':').filter(|(_, port)| !port.contains(':'))
}

/// Reads an IP address, with `%interface` behind an IPv6 one if need be, and puts `port` to it.
pub(super) fn with_port(text: &str, port: u16, host: &dyn Host) -> Option<SocketAddr> {
    let Some((ip, interface)) = text.split_once('%') else {
        return text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, port));
    };
    let ip: Ipv6Addr = ip.parse().ok()?;
    let addresses = host.interface_addresses(interface).ok()?;
    let scope = addresses.iter().find_map(|address| match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Some(v6.scope_id()),
        _ => None,
    })?;
    Some(SocketAddrV6::new(ip, port, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_in_use() {
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
    fn says_what_is_wrong() {
        assert_eq!(parse_listen_address("8080"), Err("address 8080: missing port in address".to_owned()));
        assert_eq!(
            parse_listen_address("fd00::1"),
            Err("address fd00::1: missing port in address".to_owned())
        );
        assert_eq!(parse_listen_address("[::1]"), Err("address [::1]: missing port in address".to_owned()));
        assert_eq!(parse_listen_address(":65536"), Err("address :65536: invalid port \"65536\"".to_owned()));
        assert_eq!(
            parse_listen_address("node.example:53"),
            Err("address node.example:53: \"node.example\" is not an IP address".to_owned())
        );
    }
}
