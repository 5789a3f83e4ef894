//! ```text
//! any
//! ```
//!
//! Answers queries of type ANY with an HINFO record (RFC 8482), in front of the cache.

use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn parse(directive: &Directive) -> Result<(), ConfigError> {
    directive.line.no_arguments()?;
    directive.no_properties()
}
