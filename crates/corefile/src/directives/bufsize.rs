//! ```text
//! bufsize [OCTETS]
//! ```
//!
//! Size limit of UDP responses in octets, 512 to 4096, whatever the client's OPT allows; 1232 by
//! default and without the directive. The first of several in a block counts.

use crate::error::ConfigError;
use crate::tree::Directive;
use crate::values::integer;

pub(super) fn parse(directive: &Directive) -> Result<u16, ConfigError> {
    directive.no_options()?;
    let Some(argument) = directive.line.optional_argument()? else { return Ok(wire::edns::DEFAULT_UDP_SIZE) };
    let octets = integer(argument)?;
    let reason = || ConfigError::at(argument, format!("bufsize {octets} must be within 512 - 4096"));
    u16::try_from(octets).ok().filter(|octets| (512..=4096).contains(octets)).ok_or_else(reason)
}
