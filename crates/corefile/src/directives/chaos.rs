//! ```text
//! chaos [VERSION] [AUTHORS...]
//! ```
//!
//! Answers TXT queries of class CH: `version.bind.` and `version.server.` with VERSION, by default the
//! program's name and version; `authors.bind.` with AUTHORS, each a record, by default the authors of the
//! program; `hostname.bind.` and `id.server.` with the name of the node. Texts are cut after 255 octets.
//! The first of several in a block counts.

use std::sync::Arc;

use resolver::policy::Chaos;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::tree::Directive;

const DEFAULT_VERSION: &str = concat!("nodelocaldns-", env!("CARGO_PKG_VERSION"));
const DEFAULT_AUTHORS: &str = "the authors of nodelocaldns";

/// Maximum octets of a character string (RFC 1035 section 3.3).
const MAX_TEXT: usize = 255;

pub(super) fn parse(directive: &Directive, context: &DirectiveContext<'_>) -> Result<Chaos, ConfigError> {
    directive.no_properties()?;
    let mut words = directive.line.args.iter().map(|word| text(&word.text));
    let version = words.next().unwrap_or_else(|| text(DEFAULT_VERSION));
    let mut authors: Vec<Arc<[u8]>> = words.collect();
    if authors.is_empty() {
        authors.push(text(DEFAULT_AUTHORS));
    }
    authors.sort();
    authors.dedup();
    Ok(Chaos { version, authors, host_name: text(&context.host_name()) })
}

/// The first octets of a text.
fn text(word: &str) -> Arc<[u8]> {
    word.as_bytes().iter().copied().take(MAX_TEXT).collect()
}
