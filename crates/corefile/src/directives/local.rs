//! ```text
//! local {
//!     localhost_prefix on|off
//! }
//! ```
//!
//! Answers queries for localhost, for names below it, and for the reverse names of 0/8, 127/8 and 255/8,
//! in front of the cache; with `localhost_prefix`, as is the default, also those for names with localhost
//! as first label. The last `localhost_prefix` of a block counts.

use crate::error::ConfigError;
use crate::tree::Directive;

/// Whether names with localhost as first label are answered, after `before` of the directives above.
pub(super) fn parse(directive: &Directive, before: Option<bool>) -> Result<bool, ConfigError> {
    directive.line.no_arguments()?;
    let mut localhost_prefix = before.unwrap_or(true);
    for option in &directive.options {
        if !option.name.is("localhost_prefix") {
            return Err(ConfigError::unknown_property(&option.name, &["localhost_prefix"]));
        }
        let value = option.single_argument()?;
        localhost_prefix = match &*value.text {
            "on" => true,
            "off" => false,
            other => {
                let reason = format!("localhost_prefix expects 'on' or 'off', got \"{other}\"");
                return Err(ConfigError::at(value, reason));
            }
        };
    }
    Ok(localhost_prefix)
}
