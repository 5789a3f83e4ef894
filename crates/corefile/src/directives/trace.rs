//! ```text
//! trace [zipkin|datadog] [ENDPOINT] {
//!     every N
//!     service NAME
//!     client_server [BOOLEAN]
//!     datadog_analytics_rate [RATE]
//!     zipkin_max_backlog_size [N]
//!     zipkin_max_batch_size [N]
//!     zipkin_max_batch_interval [DURATION]
//! }
//! ```
//!
//! Accepted without effect. Other options are skipped, as in CoreDNS.

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::values::{duration, integer};

/// Go's words for a boolean.
const BOOLEANS: [&str; 12] =
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];

pub(super) fn parse(directive: &Directive, context: &mut DirectiveContext<'_>) -> Result<(), ConfigError> {
    if let [kind, _] = directive.line.arguments(0, 2)?
        && !["zipkin", "datadog"].contains(&&*kind.text.to_lowercase())
    {
        let reason = format!("tracing endpoint type '{}' is not supported", kind.text.to_lowercase());
        return Err(ConfigError::at(kind, reason));
    }
    directive.options.iter().try_for_each(check_option)?;
    context.warn_without_effect(directive, "queries are not traced");
    Ok(())
}

fn check_option(option: &Line) -> Result<(), ConfigError> {
    match &*option.name.text {
        "every" => {
            let number = option.single_argument()?;
            let is_valid = number.text.parse::<u64>().is_ok();
            is_valid.then_some(()).ok_or_else(|| invalid(number, "is not a whole number"))
        }
        "service" => option.single_argument().map(|_| ()),
        "client_server" => check(option, |value| {
            let is_valid = BOOLEANS.contains(&&*value.text);
            is_valid.then_some(()).ok_or_else(|| invalid(value, "is neither true nor false"))
        }),
        "datadog_analytics_rate" => check(option, |rate| {
            let is_valid = rate.text.parse().is_ok_and(|rate: f64| (0.0..=1.0).contains(&rate));
            is_valid.then_some(()).ok_or_else(|| invalid(rate, "is not a rate from 0 to 1"))
        }),
        "zipkin_max_backlog_size" | "zipkin_max_batch_size" => check(option, |size| integer(size).map(drop)),
        "zipkin_max_batch_interval" => check(option, |interval| duration(interval).map(drop)),
        _ => Ok(()),
    }
}

/// Checks the argument of an option that may have one.
fn check(option: &Line, check: impl Fn(&Token) -> Result<(), ConfigError>) -> Result<(), ConfigError> {
    option.optional_argument()?.map_or(Ok(()), check)
}

fn invalid(token: &Token, reason: &str) -> ConfigError {
    ConfigError::at(token, format!("'{}' {reason}", token.text))
}
