//! ```text
//! whoami
//! ```
//!
//! Answers the names that no `forward` matches, with address and port of the client as additional
//! records. The first of several in a block counts.

use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn parse(directive: &Directive) -> Result<(), ConfigError> {
    directive.line.no_arguments()?;
    directive.no_options()
}
