//! ```text
//! dnstap SOCKET [full] {
//!     skipverify
//!     identity IDENTITY
//!     version VERSION
//!     extra EXTRA
//!     message_types TYPE...
//! }
//! ```
//!
//! Accepted without effect. Other options and arguments are skipped, as in CoreDNS.

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::tree::Directive;

/// Options with an argument.
const WITH_ARGUMENT: [&str; 4] = ["identity", "version", "extra", "message_types"];

pub(super) fn parse(directive: &Directive, context: &mut DirectiveContext<'_>) -> Result<(), ConfigError> {
    directive.line.arguments(1, usize::MAX)?;
    for option in &directive.options {
        if WITH_ARGUMENT.contains(&&*option.name.text) {
            option.arguments(1, usize::MAX)?;
        }
    }
    context.warn_without_effect(directive, "messages are not copied to a socket");
    Ok(())
}
