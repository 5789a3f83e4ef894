//! ```text
//! loop
//! ```
//!
//! Detects forwarding loops by an HINFO query for a random name that arrives twice.

use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn parse(directive: &Directive) -> Result<bool, ConfigError> {
    directive.line.no_arguments()?;
    directive.no_options()?;
    Ok(true)
}
