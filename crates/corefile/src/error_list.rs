//! [`ConfigErrors`]: all errors of a configuration, in the order of the file.

use std::fmt;

use crate::error::ConfigError;

/// Errors that are reported; a file of another kind has one on each line.
const MAX_ERRORS: usize = 50;

/// Why a configuration is rejected: its errors, at least one, in the order of the file.
///
/// Displayed one below the other, each as [`ConfigError`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    omitted: usize,
}

impl ConfigErrors {
    /// The errors: the first 50 that were found.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// How many more there are.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self { errors: vec![error], omitted: 0 }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\n(and {omitted} more)"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects errors.
#[derive(Debug, Default)]
pub(crate) struct ErrorList {
    errors: Vec<ConfigError>,
    omitted: usize,
}

impl ErrorList {
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// True if further errors are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.errors.len() >= MAX_ERRORS
    }

    /// The number of errors collected.
    pub(crate) fn len(&self) -> usize {
        self.errors.len()
    }

    /// True if an error from the number `first` on is in this directive.
    pub(crate) fn is_any_in_directive(&self, first: usize, plugin: &str) -> bool {
        self.errors.iter().skip(first).any(|error| error.is_in_directive(plugin))
    }

    /// Adds an error, unless there is one about the same word.
    pub(crate) fn push(&mut self, error: ConfigError) {
        if self.errors.iter().any(|other| other.is_at_same_word(&error)) {
            return;
        }
        if self.is_full() {
            self.omitted = self.omitted.saturating_add(1);
        } else {
            self.errors.push(error);
        }
    }

    /// # Errors
    /// The errors in the order of the file, if there are any.
    pub(crate) fn into_result(mut self) -> Result<(), ConfigErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(ConfigError::order);
        Err(ConfigErrors { errors: self.errors, omitted: self.omitted })
    }
}
