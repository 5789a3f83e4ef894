//! An upstream in TO of `forward`: its scheme, address, port and TLS server name.

use std::net::{IpAddr, SocketAddr};

use crate::error::ConfigError;
use crate::host::Host;
use crate::token::Token;
use crate::values::address::{InvalidIp, parse_ip, split_port, unknown_interface};
use crate::values::positive_port;

/// Port of DNS over TLS (RFC 7858 section 3.1).
const TLS_PORT: u16 = 853;

/// Why host names are rejected, and the remedy.
pub(super) const NO_LOOKUP: &str = "host names are not resolved, because the resolver of the node may be this cache: \
                                    write IP addresses, or the path of a file with nameserver lines";

/// Parses `tls://IP` or `tls://IP%NAME`, each with an optional `:PORT`, and returns the address and
/// NAME; `None` without `tls://`.
pub(super) fn parse_tls(to: &Token) -> Result<Option<(SocketAddr, Option<&str>)>, ConfigError> {
    let Some(("tls", text)) = to.text.split_once("://") else { return Ok(None) };
    let (ip, name, port) = match text.split_once('%') {
        Some((ip, rest)) => match rest.split_once(':') {
            Some((name, port)) => (ip, Some(name), Some(port)),
            None => (ip, Some(rest), None),
        },
        None if text.parse::<IpAddr>().is_ok() => (text, None, None),
        None => match split_port(text) {
            Some((ip, port)) => (ip, None, Some(port)),
            None => (text, None, None),
        },
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let ip = ip.map_err(|_| ConfigError::at(to, format!("tls:// needs an IP address: {:?}", to.text)))?;
    let port = port.map_or(Ok(TLS_PORT), |port| positive_port(to, text, port))?;
    Ok(Some((SocketAddr::new(ip, port), name.map(|name| name.trim_end_matches(']')))))
}

/// Parses `IP`, `IP:PORT` or `[V6]:PORT`, each with an optional `dns://`, or `tls://`; `None` for
/// anything else.
pub(super) fn parse(to: &Token, host: &dyn Host) -> Result<Option<SocketAddr>, ConfigError> {
    if let Some((address, _)) = parse_tls(to)? {
        return Ok(Some(address));
    }
    let text = without_scheme(to)?;
    if text.is_empty() {
        return Err(ConfigError::at(to, format!("invalid address: {:?}", to.text)));
    }
    let ip = |text, port| match parse_ip(text, port, host) {
        Ok(address) => Ok(Some(address)),
        Err(InvalidIp::NotAnAddress) => Ok(None),
        Err(InvalidIp::UnknownInterface) => Err(ConfigError::at(to, unknown_interface(&to.text))),
    };
    if let Some(address) = ip(text, 53)? {
        return Ok(Some(address));
    }
    let Some((text, port)) = split_port(text) else { return Ok(None) };
    let Some(mut address) = ip(text, 0)? else { return Ok(None) };
    address.set_port(positive_port(to, &to.text, port)?);
    Ok(Some(address))
}

fn without_scheme(to: &Token) -> Result<&str, ConfigError> {
    match to.text.split_once("://") {
        Some(("dns", rest)) => Ok(rest),
        Some((transport @ ("https" | "quic" | "grpc" | "unix"), _)) => {
            let reason =
                format!("{transport}:// upstreams are not supported by nodelocaldns yet: {}", to.text);
            Err(ConfigError::at(to, reason))
        }
        _ => Ok(&to.text),
    }
}
