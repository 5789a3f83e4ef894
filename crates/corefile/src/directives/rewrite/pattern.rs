//! Patterns of `rewrite` rules and their replacements.

use regex::Regex;
use resolver::policy::rewrite::NamePattern;

use crate::error::ConfigError;
use crate::token::Token;
use crate::values::regex;

/// The kinds of patterns.
pub(super) const KINDS: [&str; 5] = ["exact", "prefix", "suffix", "substring", "regex"];

/// A pattern; `None` for an unknown kind.
pub(super) fn pattern(kind: &str, from: &Token, invalid: &str) -> Result<Option<NamePattern>, ConfigError> {
    let text = || normalize(&from.text);
    Ok(Some(match kind {
        "exact" => NamePattern::Exact(text()),
        "prefix" => NamePattern::Prefix(text()),
        "suffix" => NamePattern::Suffix(text()),
        "substring" => NamePattern::Substring(text()),
        "regex" => NamePattern::Regex(regex(from, invalid)?),
        _ => return Ok(None),
    }))
}

/// Lower case, with a trailing dot.
pub(super) fn normalize(text: &str) -> String {
    let mut text = text.to_ascii_lowercase();
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// The replacement of a regular expression, in lower case with a trailing dot.
pub(super) struct Replacement(pub(super) String);

impl Replacement {
    /// Checks the number of groups as CoreDNS does: `{0}`, `{1}` … must not be more than the groups
    /// of the pattern.
    pub(super) fn new(pattern: &Regex, from: &Token, to: &Token) -> Result<Self, ConfigError> {
        let used = (0..=100).filter(|group| to.text.contains(&format!("{{{group}}}"))).count();
        if used >= pattern.captures_len() {
            return Err(ConfigError::at(
                to,
                format!(
                    "the rewrite regex pattern ({}) uses more subexpressions than its corresponding \
                     matching regex pattern ({})",
                    to.text, from.text
                ),
            ));
        }
        Ok(Self(normalize(&to.text)))
    }
}
