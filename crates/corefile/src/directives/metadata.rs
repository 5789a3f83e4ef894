//! ```text
//! metadata [ZONES...]
//! ```
//!
//! Accepted, as in CoreDNS with any words as ZONES. No directive sets metadata here: `{/label}` in a
//! format of `log` is `-`.

use crate::error::ConfigError;
use crate::tree::Directive;

pub(super) fn parse(directive: &Directive) -> Result<(), ConfigError> {
    directive.no_options()
}
