//! The words of TO: addresses, and files that list them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use super::super::super::address::{split_port, with_port};
use super::super::super::error::ConfigError;
use super::super::super::lexer::Token;
use super::super::super::system::System;
use super::super::Surroundings;
use super::carriage;

/// Upstreams in one directive, as CoreDNS has it.
const MAX_UPSTREAMS: usize = 15;

/// Each upstream once, in the order of TO; `last` is the last word of it.
pub(super) fn read(
    to: &[Token],
    last: &Token,
    around: &mut Surroundings<'_>,
) -> Result<Vec<SocketAddr>, ConfigError> {
    check_count(written(to, around)?, last)
}

/// All upstreams, as often as they were written.
fn written(to: &[Token], around: &mut Surroundings<'_>) -> Result<Vec<SocketAddr>, ConfigError> {
    let mut written = Vec::new();
    for entry in to {
        match address(entry, around.system)? {
            Some(address) => written.push(address),
            None => written.extend(nameservers(entry, around)?),
        }
    }
    Ok(written)
}

/// Each upstream once, and not more than there may be.
fn check_count(written: Vec<SocketAddr>, last: &Token) -> Result<Vec<SocketAddr>, ConfigError> {
    if written.is_empty() {
        return Err(ConfigError::at(last, "no nameservers found"));
    }
    if written.len() > MAX_UPSTREAMS {
        let reason = format!("more than {MAX_UPSTREAMS} TOs configured: {}", written.len());
        return Err(ConfigError::at(last, reason));
    }
    let mut upstreams: Vec<SocketAddr> = Vec::new();
    for address in written {
        if !upstreams.contains(&address) {
            upstreams.push(address);
        }
    }
    Ok(upstreams)
}

/// Reads `IP`, `IP:PORT`, `[V6]:PORT`, each with `dns://` in front if one likes; nothing for anything else.
fn address(entry: &Token, system: &dyn System) -> Result<Option<SocketAddr>, ConfigError> {
    if let Some((address, _)) = carriage::encrypted(entry)? {
        return Ok(Some(address));
    }
    let text = carriage::without_scheme(entry)?;
    if text.is_empty() {
        return Err(ConfigError::at(entry, format!("invalid address: {:?}", entry.text)));
    }
    if let Some(address) = with_port(text, 53, system) {
        return Ok(Some(address));
    }
    let Some((host, port)) = split_port(text) else { return Ok(None) };
    let Some(mut address) = with_port(host, 0, system) else { return Ok(None) };
    let port = port.parse().ok().filter(|port| *port > 0);
    address.set_port(
        port.ok_or_else(|| ConfigError::at(entry, format!("the port of {text:?} is not 1 to 65535")))?,
    );
    Ok(Some(address))
}

/// The `nameserver` lines of a file in the form of resolv.conf.
fn nameservers(entry: &Token, around: &mut Surroundings<'_>) -> Result<Vec<SocketAddr>, ConfigError> {
    let bytes = around.system.read(Path::new(&*entry.text)).map_err(|error| {
        let is_path = entry.text.contains('/');
        let reason = match error.kind() {
            ErrorKind::NotFound if !is_path => format!("not an IP address or file: {:?}", entry.text),
            _ => format!("cannot read the upstreams from {:?}: {error}", entry.text),
        };
        ConfigError::at(entry, reason)
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut addresses = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some("nameserver"), Some(server)) = (words.next(), words.next()) else { continue };
        let ip = server.split_once('%').map_or(server, |(ip, _)| ip);
        match ip.parse() {
            Ok(ip) => addresses.push(SocketAddr::new(ip, 53)),
            Err(_) => around.warnings.push(format!(
                "{} - {} names {server:?}, which is not an IP address and is left out",
                entry.place(),
                entry.text
            )),
        }
    }
    if addresses.is_empty() {
        around.warnings.push(format!("{} - {} names no nameserver", entry.place(), entry.text));
    }
    Ok(addresses)
}
