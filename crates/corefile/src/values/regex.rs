//! Regular expressions.

use regex::Regex;

use crate::error::ConfigError;
use crate::token::Token;

/// Maximum length of a pattern in characters, CoreDNS's.
const MAX_PATTERN_LEN: usize = 10_000;

/// Parses a regular expression; `invalid` is what to say of a wrong one, before its description.
pub(crate) fn regex(token: &Token, invalid: &str) -> Result<Regex, ConfigError> {
    let length = token.text.chars().count();
    if length > MAX_PATTERN_LEN {
        let reason = format!("regex pattern too long: {length} > {MAX_PATTERN_LEN}");
        return Err(ConfigError::at(token, reason));
    }
    Regex::new(&token.text).map_err(|error| ConfigError::at(token, format!("{invalid}: {error}")))
}
