//! ```text
//! debug
//! ```
//!
//! `[DEBUG]` lines are logged, of the whole process. A panic is caught in any case.

use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn parse(directive: &Directive) -> Result<bool, ConfigError> {
    directive.line.no_arguments()?;
    directive.no_options()?;
    Ok(true)
}
