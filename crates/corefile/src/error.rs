//! What is said when a configuration is refused.

use std::fmt;

use crate::lexer::Token;

/// Why a configuration was refused.
///
/// GoDuration, it is the line node-cache prints, `FILE:LINE - Error during parsing: REASON`, with `plugin/NAME: `
/// in front where a directive's own arguments are wrong, and below it the line of the file with a caret under
/// the word. Of a word with a variable that is not set, the reason says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    plugin: Option<String>,
    place: Option<Place>,
    reason: String,
}

/// A word of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file_and_line: String,
    kind: &'static str,
    /// The text of the line, and how many characters stand before the word.
    excerpt: Option<(String, usize)>,
}

/// Characters of a line that are shown; a caret beyond would not be seen either.
const EXCERPT_LEN: usize = 160;

impl ConfigError {
    /// A reason that no word of a file stands for.
    pub(super) fn plain(reason: impl Into<String>) -> Self {
        Self { plugin: None, place: None, reason: reason.into() }
    }

    /// A reason at a word.
    pub(super) fn at(token: &Token, reason: impl Into<String>) -> Self {
        Self::placed(token, "Error during parsing", reason.into())
    }

    /// A word where another was expected.
    pub(super) fn unexpected(token: &Token, expecting: &str) -> Self {
        let reason = format!("Unexpected token '{}', expecting '{expecting}'", token.text);
        Self::placed(token, "Syntax error", reason)
    }

    /// Too few or too many arguments; `token` is the last that was read.
    pub(super) fn argument(token: &Token) -> Self {
        let reason = match &*token.text {
            "{" => "Unexpected token '{', expecting argument".to_owned(),
            text => format!("Wrong argument count or unexpected line ending after '{text}'"),
        };
        Self::at(token, reason)
    }

    /// Says whose arguments are wrong.
    pub(super) fn of(self, plugin: &str) -> Self {
        Self { plugin: Some(plugin.to_owned()), ..self }
    }

    fn placed(token: &Token, kind: &'static str, mut reason: String) -> Self {
        for variable in token.unset.iter() {
            reason.push_str("; the environment has no ");
            reason.push_str(variable);
            // Kubernetes gives a container the variables of the Services that are there when it starts.
            if variable.ends_with("_SERVICE_HOST") || variable.contains("_SERVICE_PORT") {
                reason.push_str(", and the Service has to be there before the container starts");
            }
        }
        let excerpt = token.source.line(token.line).and_then(|line| {
            let before = token.column.checked_sub(1)?;
            (before < EXCERPT_LEN).then(|| {
                let visible = |c: char| if c.is_control() { ' ' } else { c };
                (line.chars().take(EXCERPT_LEN).map(visible).collect(), before)
            })
        });
        let place = Place { file_and_line: token.place(), kind, excerpt };
        Self { plugin: None, place: Some(place), reason }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plugin) = &self.plugin {
            write!(f, "plugin/{plugin}: ")?;
        }
        let Some(place) = &self.place else {
            return f.write_str(&self.reason);
        };
        write!(f, "{} - {}: {}", place.file_and_line, place.kind, self.reason)?;
        if let Some((line, before)) = &place.excerpt {
            write!(f, "\n    {line}\n    {:before$}^", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
