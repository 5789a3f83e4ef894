//! ```text
//! nsid [TEXT...]
//! ```
//!
//! Sends TEXT, by default the name of the node, as the identifier of the server (RFC 5001) to clients
//! that ask for it.

use std::path::Path;
use std::sync::Arc;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::tree::Directive;

/// The name of the node, as gethostname(2) returns it.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Identifier of a node without a name, as in CoreDNS.
const DEFAULT: &str = "localhost";

/// Octets of the longest identifier: it must leave room for records in 512 octets.
const MAX_LEN: usize = 255;

pub(super) fn parse(directive: &Directive, context: &DirectiveContext<'_>) -> Result<Arc<[u8]>, ConfigError> {
    directive.no_options()?;
    let words: Vec<&str> = directive.line.args.iter().map(|word| &*word.text).collect();
    let text = if words.is_empty() { host_name(context) } else { words.join(" ") };
    if text.len() > MAX_LEN {
        let name = directive.line.args.last().unwrap_or_else(|| directive.name());
        let reason = format!("an identifier of {} octets is too long: at most {MAX_LEN}", text.len());
        return Err(ConfigError::at(name, reason));
    }
    Ok(text.into_bytes().into())
}

fn host_name(context: &DirectiveContext<'_>) -> String {
    let octets = context.host.read_file(Path::new(HOST_NAME)).unwrap_or_default();
    match String::from_utf8_lossy(&octets).trim() {
        "" => DEFAULT.to_owned(),
        name => name.to_owned(),
    }
}
