//! ```text
//! minimal
//! ```
//!
//! Removes the authority and additional records of positive responses.

use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn parse(directive: &Directive) -> Result<(), ConfigError> {
    directive.line.no_arguments()?;
    directive.no_options()
}
