//! [`UsageError`]: the process ends after parsing the command line.

use std::fmt;

/// The command line is wrong, or requests a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    /// The text to print, with its final newline: on stdout if `code` is 0, else on stderr.
    pub text: String,
    /// The exit code: 0 for `-help`, `-version` and `-plugins`, 2 for a wrong command line, as with
    /// Go's flag package.
    pub code: u8,
}

impl UsageError {
    /// A wrong command line.
    pub(super) fn wrong(reason: &str) -> Self {
        Self { text: format!("{reason}\n"), code: 2 }
    }

    /// A requested text.
    pub(super) fn text(text: String) -> Self {
        Self { text, code: 0 }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for UsageError {}
