//! ```text
//! metadata [ZONES...]
//! ```
//!
//! Labels in a format of `log` have values: `{/forward/upstream}`, `{/log/type}` and `{/log/class}`.
//! ZONES are any words, without effect: in CoreDNS they are about labels of other directives.

use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn parse(directive: &Directive) -> Result<bool, ConfigError> {
    directive.no_options()?;
    Ok(true)
}
