//! ```text
//! header {
//!     [response|query] set|clear aa|ra|rd...
//! }
//! ```
//!
//! Sets or clears AA in responses, RD in queries to upstreams. RA is set in every response, RD is the
//! client's, and AA and RA mean nothing in a query: those have no effect.

use resolver::policy::MessageChanges;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::{Directive, Line};

/// The messages, and the actions that may stand in their place.
const SELECTORS: [&str; 4] = ["response", "query", "set", "clear"];
/// The flags.
const FLAGS: [&str; 3] = ["aa", "ra", "rd"];

pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
    changes: &mut MessageChanges,
) -> Result<(), ConfigError> {
    directive.line.no_arguments()?;
    for option in &directive.options {
        let (is_query, value, flags) = rule(option)?;
        for flag in flags {
            match (is_query, &*flag.text.to_ascii_lowercase()) {
                (false, "aa") => changes.authoritative = Some(value),
                (true, "rd") => changes.recursion_desired = Some(value),
                (true, "aa" | "ra") => {
                    context.warn_without_effect(directive, "upstreams ignore AA and RA of a query");
                }
                (false, "ra" | "rd") => {
                    context.warn_without_effect(directive, "responses have RA, and RD of the client's query");
                }
                (_, other) => {
                    let reason = format!("setting up rule: unknown/unsupported flag={other}");
                    return Err(ConfigError::unknown(flag, reason, &FLAGS));
                }
            }
        }
    }
    Ok(())
}

/// True for a query, the value, and the flags.
fn rule(option: &Line) -> Result<(bool, bool, &[Token]), ConfigError> {
    let selector = option.name.text.to_ascii_lowercase();
    let (is_query, action, flags) = match (&*selector, &*option.args) {
        ("set" | "clear", flags) => (false, &option.name, flags),
        ("response" | "query", [action, flags @ ..]) => (selector == "query", action, flags),
        ("response" | "query", []) => {
            return Err(ConfigError::at(&option.name, "setting up rule: no flag action provided"));
        }
        _ => {
            let reason = format!("setting up rule: invalid selector={selector} should be query or response");
            return Err(ConfigError::unknown(&option.name, reason, &SELECTORS));
        }
    };
    if flags.is_empty() {
        let reason = "setting up rule: invalid length for flags, at least one should be provided";
        return Err(ConfigError::at(action, reason));
    }
    let value = match &*action.text.to_ascii_lowercase() {
        "set" => true,
        "clear" => false,
        other => {
            let reason = format!("setting up rule: unknown flag action={other}, should be set or clear");
            return Err(ConfigError::unknown(action, reason, &["set", "clear"]));
        }
    };
    Ok((is_query, value, flags))
}
