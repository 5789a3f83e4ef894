//! ```text
//! nsid [TEXT...]
//! ```
//!
//! Sends TEXT, by default the name of the node, as the identifier of the server (RFC 5001) to clients
//! that ask for it.

use std::sync::Arc;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::tree::Directive;

/// Octets of the longest identifier: it must leave room for records in 512 octets.
const MAX_LEN: usize = 255;

pub(super) fn parse(directive: &Directive, context: &DirectiveContext<'_>) -> Result<Arc<[u8]>, ConfigError> {
    directive.no_options()?;
    let words: Vec<&str> = directive.line.args.iter().map(|word| &*word.text).collect();
    let text = if words.is_empty() { context.host_name() } else { words.join(" ") };
    if text.len() > MAX_LEN {
        let name = directive.line.args.last().unwrap_or_else(|| directive.name());
        let reason = format!("an identifier of {} octets is too long: at most {MAX_LEN}", text.len());
        return Err(ConfigError::at(name, reason));
    }
    Ok(text.into_bytes().into())
}
