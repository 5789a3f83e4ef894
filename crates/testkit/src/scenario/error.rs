//! Error of a scenario.

use std::fmt;

/// A scenario does not parse, or one of its steps failed.
#[derive(Clone, Debug)]
pub struct ScenarioError {
    /// The scenario's file.
    pub file: String,
    /// Line of the step, from 1; 0 if the file could not be read.
    pub line: usize,
    /// What was expected and what the resolver did.
    pub reason: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

impl std::error::Error for ScenarioError {}
