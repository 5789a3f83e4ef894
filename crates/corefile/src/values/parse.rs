//! Arguments as values, with errors at the argument.

use std::time::Duration;

use super::duration::{DurationError, parse};
use crate::error::ConfigError;
use crate::token::Token;

/// Parses a non-negative duration.
pub(crate) fn duration(token: &Token) -> Result<Duration, ConfigError> {
    parse(&token.text).map_err(|error| ConfigError::at(token, error.to_string()))
}

/// Parses a duration; `negative` is the reason for a negative one.
pub(crate) fn duration_or(token: &Token, negative: &str) -> Result<Duration, ConfigError> {
    parse(&token.text).map_err(|error| match error {
        DurationError::Negative(_) => ConfigError::at(token, negative),
        other => ConfigError::at(token, other.to_string()),
    })
}

/// As [`duration_or`]; the reason for any other error starts with `invalid NAME`.
pub(crate) fn duration_named(token: &Token, name: &str, negative: &str) -> Result<Duration, ConfigError> {
    parse(&token.text).map_err(|error| match error {
        DurationError::Negative(_) => ConfigError::at(token, negative),
        other => ConfigError::at(token, format!("invalid {name}: {other}")),
    })
}

/// Parses an integer.
pub(crate) fn integer(token: &Token) -> Result<i64, ConfigError> {
    let reason = || ConfigError::at(token, format!("'{}' is not a whole number", token.text));
    token.text.parse().map_err(|_| reason())
}

/// Parses a port above 0; `endpoint` is the text that `port` is part of.
pub(crate) fn positive_port(token: &Token, endpoint: &str, port: &str) -> Result<u16, ConfigError> {
    let port = port.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| ConfigError::at(token, format!("the port of {endpoint:?} is not 1 to 65535")))
}
