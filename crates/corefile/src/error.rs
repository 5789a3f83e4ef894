//! [`ConfigError`]: why a configuration is rejected.

use std::fmt;

use crate::token::Token;

/// Why a configuration is rejected.
///
/// Displayed as node-cache prints it, `FILE:LINE - Error during parsing: REASON`, with
/// `plugin/NAME: ` in front for an argument or option of a directive. Below it are the line of the
/// file and a caret under the word. Environment variables in the word that are not set are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    plugin: Option<String>,
    location: Option<Location>,
    reason: String,
}

/// Where in a Corefile an error is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Location {
    file_and_line: String,
    /// `Error during parsing` or `Syntax error`.
    category: &'static str,
    /// The text of the line, and the number of characters before the word.
    excerpt: Option<(String, usize)>,
}

/// Characters of a line that are shown; an error at a later word has no excerpt, because its caret
/// would not be visible.
const EXCERPT_LEN: usize = 160;

impl ConfigError {
    /// An error without a location in a file.
    pub(crate) fn without_location(reason: impl Into<String>) -> Self {
        Self { plugin: None, location: None, reason: reason.into() }
    }

    /// An error at a token.
    pub(crate) fn at(token: &Token, reason: impl Into<String>) -> Self {
        Self::located(token, "Error during parsing", reason.into())
    }

    /// A token where another is expected.
    pub(crate) fn unexpected(token: &Token, expecting: &str) -> Self {
        let reason = format!("Unexpected token '{}', expecting '{expecting}'", token.text);
        Self::located(token, "Syntax error", reason)
    }

    /// Too few or too many arguments; `token` is the last one parsed.
    pub(crate) fn argument_count(token: &Token) -> Self {
        let reason = match &*token.text {
            "{" => "Unexpected token '{', expecting argument".to_owned(),
            text => format!("Wrong argument count or unexpected line ending after '{text}'"),
        };
        Self::at(token, reason)
    }

    /// Adds what to do about it.
    pub(crate) fn with_remedy(mut self, remedy: &str) -> Self {
        self.reason.push_str("; ");
        self.reason.push_str(remedy);
        self
    }

    /// Names the directive whose argument or option is rejected.
    pub(crate) fn in_directive(self, plugin: &str) -> Self {
        Self { plugin: Some(plugin.to_owned()), ..self }
    }

    fn located(token: &Token, category: &'static str, mut reason: String) -> Self {
        for variable in token.unset.iter() {
            reason.push_str("; the environment variable ");
            reason.push_str(variable);
            reason.push_str(" is not set");
            // A container gets the variables of the Services that exist when it starts.
            if variable.ends_with("_SERVICE_HOST") || variable.contains("_SERVICE_PORT") {
                reason.push_str(", and the Service must exist before the container starts");
            }
        }
        let excerpt = token.source.line(token.line).and_then(|line| {
            let before = token.column.checked_sub(1)?;
            (before < EXCERPT_LEN).then(|| {
                let visible = |c: char| if c.is_control() { ' ' } else { c };
                (line.chars().take(EXCERPT_LEN).map(visible).collect(), before)
            })
        });
        let location = Location { file_and_line: token.location(), category, excerpt };
        Self { plugin: None, location: Some(location), reason }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plugin) = &self.plugin {
            write!(f, "plugin/{plugin}: ")?;
        }
        let Some(location) = &self.location else {
            return f.write_str(&self.reason);
        };
        write!(f, "{} - {}: {}", location.file_and_line, location.category, self.reason)?;
        if let Some((line, before)) = &location.excerpt {
            write!(f, "\n    {line}\n    {:before$}^", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
