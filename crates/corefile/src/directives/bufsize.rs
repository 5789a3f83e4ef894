//! ```text
//! bufsize [OCTETS]
//! ```
//!
//! UDP answers have at most OCTETS, 512 to 4096, 1232 if not given, whatever size the client claims. Without the
//! directive that is 1232 too: it is here to have more or less. Of several in a block the first counts.

use super::no_options;
use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn read(directive: &Directive) -> Result<u16, ConfigError> {
    no_options(directive)?;
    let Some(word) = directive.head.optional()? else { return Ok(wire::edns::DEFAULT_UDP_SIZE) };
    let octets = super::integer(word)?;
    let reason = || ConfigError::at(word, format!("bufsize {octets} must be within 512 - 4096"));
    u16::try_from(octets).ok().filter(|octets| (512..=4096).contains(octets)).ok_or_else(reason)
}
