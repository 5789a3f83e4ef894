//! Errors of record templates: when they are parsed, and when they are evaluated.

use std::fmt;

/// Why a text is not a template, or not one in the supported subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The character of the text, from 1.
    pub column: usize,
    /// The reason.
    pub reason: String,
}

impl TemplateError {
    /// An error at an octet of the template.
    pub(super) fn at(template: &str, at: usize, reason: impl Into<String>) -> Self {
        let before = template.get(..at).map_or(0, |before| before.chars().count());
        Self { column: before + 1, reason: reason.into() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {} of the text: {}", self.column, self.reason)
    }
}

impl std::error::Error for TemplateError {}

/// Why a template has no result for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluateError(pub &'static str);
