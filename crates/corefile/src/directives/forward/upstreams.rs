//! TO of `forward`: upstream addresses, and files that list them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::endpoint::{self, NO_LOOKUP};
use crate::directives::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::upstream_files;
use crate::values::address::lacks_scope;

/// Words of TO in one directive, CoreDNS's limit.
const MAX_WORDS: usize = 15;

/// The upstreams in the order of TO, each once, and the files in TO; `last` is the last word of TO.
pub(super) fn parse(
    to: &[Token],
    last: &Token,
    context: &mut DirectiveContext<'_>,
) -> Result<(Vec<SocketAddr>, Vec<PathBuf>), ConfigError> {
    if to.len() > MAX_WORDS {
        let reason = format!("more than {MAX_WORDS} TOs configured: {}", to.len());
        return Err(ConfigError::at(last, reason));
    }
    let (mut upstreams, mut files, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for word in to {
        let addresses = match endpoint::parse(word, context.host)? {
            Some(address) => {
                if lacks_scope(address) {
                    context.warnings.push(format!("{} - {}", word.location(), no_scope(&word.text)));
                }
                vec![address]
            }
            None => {
                files.push(PathBuf::from(&*word.text));
                nameservers(word, context, &mut problems)?
            }
        };
        for address in addresses {
            if !upstreams.contains(&address) {
                upstreams.push(address);
            }
        }
    }
    if upstreams.is_empty() {
        return Err(ConfigError::at(last, format!("no nameservers found: {}", problems.join("; "))));
    }
    context.warnings.extend(problems.iter().map(|problem| format!("{} - {problem}", last.location())));
    Ok((upstreams, files))
}

/// Warns about an upstream that cannot be reached.
fn no_scope(text: &str) -> String {
    format!(
        "{text:?} is a link-local address, which cannot be reached without its interface, as in fe80::1%eth0"
    )
}

/// The upstreams that a file lists; lines that are not used go to `problems`. Each file is read only
/// once.
fn nameservers(
    word: &Token,
    context: &mut DirectiveContext<'_>,
    problems: &mut Vec<String>,
) -> Result<Vec<SocketAddr>, ConfigError> {
    let path = Path::new(&*word.text);
    if let Some(known) = context.files.upstreams.get(path) {
        return Ok(known.clone());
    }
    let found = upstream_files::read(path, context.host).map_err(|error| {
        let is_path = word.text.contains('/');
        let reason = match error.kind() {
            ErrorKind::NotFound if !is_path => {
                format!("not an IP address or file: {:?}; {NO_LOOKUP}", word.text)
            }
            _ => format!("cannot read the upstreams from {:?}: {error}", word.text),
        };
        ConfigError::at(word, reason)
    })?;
    problems.extend(found.warnings);
    context.files.upstreams.insert(path.to_path_buf(), found.addresses.clone());
    Ok(found.addresses)
}
