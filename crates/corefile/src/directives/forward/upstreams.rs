//! The words of TO: addresses, and files that list them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use super::super::DirectiveContext;
use super::{NO_LOOKUP, connection};
use crate::address::{split_port, with_port};
use crate::error::ConfigError;
use crate::host::Host;
use crate::lexer::Token;
use crate::upstream_files;

/// Words of TO in one directive, as CoreDNS has it.
const MAX_WORDS: usize = 15;

/// Each upstream once, in the order of TO; `last` is the last word of it.
pub(super) fn read(
    to: &[Token],
    last: &Token,
    context: &mut DirectiveContext<'_>,
) -> Result<Vec<SocketAddr>, ConfigError> {
    if to.len() > MAX_WORDS {
        let reason = format!("more than {MAX_WORDS} TOs configured: {}", to.len());
        return Err(ConfigError::at(last, reason));
    }
    let mut upstreams = Vec::new();
    for entry in to {
        let found = match address(entry, context.host)? {
            Some(address) => vec![address],
            None => nameservers(entry, context)?,
        };
        for address in found {
            if !upstreams.contains(&address) {
                upstreams.push(address);
            }
        }
    }
    if upstreams.is_empty() {
        return Err(ConfigError::at(last, "no nameservers found"));
    }
    Ok(upstreams)
}

/// Reads `IP`, `IP:PORT`, `[V6]:PORT`, each with `dns://` in front if one likes; nothing for anything else.
fn address(entry: &Token, host: &dyn Host) -> Result<Option<SocketAddr>, ConfigError> {
    if let Some((address, _)) = connection::encrypted(entry)? {
        return Ok(Some(address));
    }
    let text = connection::without_scheme(entry)?;
    if text.is_empty() {
        return Err(ConfigError::at(entry, format!("invalid address: {:?}", entry.text)));
    }
    if let Some(address) = with_port(text, 53, host) {
        return Ok(Some(address));
    }
    let Some((ip, port)) = split_port(text) else { return Ok(None) };
    let Some(mut address) = with_port(ip, 0, host) else { return Ok(None) };
    let port = port.parse().ok().filter(|port| *port > 0);
    address.set_port(
        port.ok_or_else(|| ConfigError::at(entry, format!("the port of {text:?} is not 1 to 65535")))?,
    );
    Ok(Some(address))
}

/// The upstreams that a file lists. A file that several directives name is read once, and not at all when it is
/// known what it lists.
fn nameservers(entry: &Token, context: &mut DirectiveContext<'_>) -> Result<Vec<SocketAddr>, ConfigError> {
    let path = Path::new(&*entry.text);
    if let Some(known) = context.files.get(path) {
        return Ok(known.clone());
    }
    let found = upstream_files::read(path, context.host).map_err(|error| {
        let is_path = entry.text.contains('/');
        let reason = match error.kind() {
            ErrorKind::NotFound if !is_path => {
                format!("not an IP address or file: {:?}; {NO_LOOKUP}", entry.text)
            }
            _ => format!("cannot read the upstreams from {:?}: {error}", entry.text),
        };
        ConfigError::at(entry, reason)
    })?;
    let place = entry.place();
    context.warnings.extend(found.warnings.iter().map(|warning| format!("{place} - {warning}")));
    context.files.insert(path.to_path_buf(), found.addresses.clone());
    Ok(found.addresses)
}
