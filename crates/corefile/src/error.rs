//! [`ConfigError`]: why a word of a configuration is rejected.

use std::fmt;

use crate::token::Token;
use crate::{suggestion, support};

/// Why a word of a configuration is rejected.
///
/// Displayed as node-cache prints it, `FILE:LINE - Error during parsing: REASON`, with
/// `plugin/NAME: ` in front for an argument or option of a directive. Below it are the line of the
/// file and a caret under the word. Environment variables in the word that are not set are named. A
/// misspelled word is followed by the right one, after the caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    plugin: Option<String>,
    location: Option<Box<Location>>,
    reason: String,
    suggestion: Option<String>,
    cause: Cause,
}

/// What an error depends on: those that follow from another one are not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A word.
    Word,
    /// The number of arguments.
    ArgumentCount,
    /// Several options together.
    Combination,
}

/// Where in a Corefile an error is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Location {
    file_and_line: String,
    column: usize,
    /// The word's number in the order of the file, imports included.
    order: usize,
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
        let (reason, cause) = (reason.into(), Cause::Word);
        Self { plugin: None, location: None, reason, suggestion: None, cause }
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
        Self { cause: Cause::ArgumentCount, ..Self::at(token, reason) }
    }

    /// The error is not about the word alone, but about several options together.
    pub(crate) fn of_combination(self) -> Self {
        Self { cause: Cause::Combination, ..self }
    }

    /// An unknown word: it is followed by the one of `known` that was probably meant.
    pub(crate) fn unknown(token: &Token, reason: impl Into<String>, known: &[&'static str]) -> Self {
        Self::at(token, reason).suggest(token, known)
    }

    /// An unknown option, in CoreDNS's words for a wrong number of arguments.
    pub(crate) fn unknown_option(token: &Token, known: &[&'static str]) -> Self {
        Self { cause: Cause::Word, ..Self::argument_count(token) }.suggest(token, known)
    }

    /// An unknown option, in the words of the plugins that call them properties.
    pub(crate) fn unknown_property(token: &Token, known: &[&'static str]) -> Self {
        Self::unknown(token, format!("unknown property '{}'", token.text), known)
    }

    /// Suggests the one of `known` that was probably meant.
    pub(crate) fn suggest(self, token: &Token, known: &[&'static str]) -> Self {
        let word = &*token.text;
        let suggestion = match suggestion::closest(word, known) {
            _ if support::known().contains(&word) => {
                Some(format!("'{word}' is a directive: is a `}}` missing before it?"))
            }
            closest => closest.map(|closest| format!("did you mean `{closest}`?")),
        };
        Self { suggestion, ..self }
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

    /// `FILE:LINE` of the word; `None` for an error without a place in a file.
    pub fn location(&self) -> Option<&str> {
        self.location.as_ref().map(|location| location.file_and_line.as_str())
    }

    /// The character of the line that the word starts at, from 1.
    pub fn column(&self) -> Option<usize> {
        self.location.as_ref().map(|location| location.column)
    }

    /// What was probably meant, as a question.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// What it depends on.
    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    /// True if it names this directive.
    pub(crate) fn is_in_directive(&self, plugin: &str) -> bool {
        self.plugin.as_deref() == Some(plugin)
    }

    /// The number of the word in the order of the file; 0 without a location.
    pub(crate) fn order(&self) -> usize {
        self.location.as_ref().map_or(0, |location| location.order)
    }

    /// True if both are about the same word.
    pub(crate) fn is_at_same_word(&self, other: &Self) -> bool {
        let pair = self.location.as_ref().zip(other.location.as_ref());
        pair.is_some_and(|(one, other)| {
            one.column == other.column && one.file_and_line == other.file_and_line
        })
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
        let (file_and_line, column, order) = (token.location(), token.column, token.order);
        let location = Some(Box::new(Location { file_and_line, column, order, category, excerpt }));
        Self { plugin: None, location, reason, suggestion: None, cause: Cause::Word }
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
        self.suggestion.as_ref().map_or(Ok(()), |suggestion| write!(f, " {suggestion}"))
    }
}

impl std::error::Error for ConfigError {}
