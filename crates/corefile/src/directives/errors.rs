//! ```text
//! errors [stdout] {
//!     stacktrace
//!     consolidate DURATION REGEXP [warning|error|info|debug] [show_first]
//! }
//! ```
//!
//! Logs failed queries with the reason. Reasons that match REGEXP are counted instead, and the
//! count is logged after DURATION, at level `error` by default; `show_first` logs the first one
//! immediately as well. `stacktrace` logs panics with a backtrace.

use tracing::Level;

use crate::error::ConfigError;
use crate::settings::{Consolidate, Errors};
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::values::{duration, regex};

pub(super) fn parse(directive: &Directive) -> Result<Errors, ConfigError> {
    if let Some(file) = directive.line.optional_argument()?.filter(|file| !file.is("stdout")) {
        return Err(ConfigError::at(file, format!("invalid log file: {}", file.text)));
    }
    let mut errors = Errors::default();
    for option in &directive.options {
        match &*option.name.text {
            "stacktrace" => {
                option.no_arguments()?;
                errors.stacktrace = true;
            }
            "consolidate" => errors.consolidate.push(consolidate(option)?),
            _ => {
                let known = ["stacktrace", "consolidate"];
                return Err(
                    ConfigError::unexpected(&option.name, "consolidate").suggest(&option.name, &known)
                );
            }
        }
    }
    Ok(errors)
}

fn consolidate(option: &Line) -> Result<Consolidate, ConfigError> {
    let [period, pattern, rest @ ..] = option.arguments(2, 4)? else {
        return Err(ConfigError::argument_count(&option.name));
    };
    let (rest, show_first) = match rest.split_last() {
        Some((last, before)) if last.is("show_first") => (before, true),
        _ => (rest, false),
    };
    if let Some(surplus) = rest.get(1) {
        return Err(ConfigError::argument_count(surplus));
    }
    let level = rest.first().map_or(Ok(Level::ERROR), level)?;
    Ok(Consolidate {
        pattern: regex(pattern, "error parsing regexp")?,
        period: duration(period)?,
        level,
        show_first,
    })
}

fn level(token: &Token) -> Result<Level, ConfigError> {
    match &*token.text {
        "warning" => Ok(Level::WARN),
        "error" => Ok(Level::ERROR),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        other => Err(ConfigError::at(token, format!("unknown log level argument in consolidate: {other}"))),
    }
}
