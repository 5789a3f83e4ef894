//! ```text
//! pprof [ADDRESS] {
//!     block [RATE]
//! }
//! ```
//!
//! Accepted without effect: there is no Go runtime whose profiles it could serve.

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::tree::Directive;
use crate::values::address::host_and_port;
use crate::values::integer;

pub(super) fn parse(directive: &Directive, context: &mut DirectiveContext<'_>) -> Result<(), ConfigError> {
    if let Some(address) = directive.line.optional_argument()? {
        host_and_port(&address.text).map_err(|reason| ConfigError::at(address, reason))?;
    }
    for option in &directive.options {
        if !option.name.is("block") {
            return Err(ConfigError::unknown_property(&option.name, &["block"]));
        }
        option.optional_argument()?.map(integer).transpose()?;
    }
    context.warn_without_effect(directive, "there are no profiles of a Go runtime");
    Ok(())
}
