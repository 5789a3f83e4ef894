//! Output of the demonstration, and the number of checks that passed and failed.

use std::fmt::Display;
use std::io::{self, Write};

/// Standard output and the results of the checks.
pub(crate) struct Report {
    pub(crate) out: io::Stdout,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { out: io::stdout(), passed: 0, failed: 0 }
    }

    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    pub(crate) fn heading(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.out, "\n=== {line}")
    }

    /// Counts a check; prints what was expected if it failed.
    pub(crate) fn check(&mut self, passed: bool, expected: impl Display) -> io::Result<()> {
        if passed {
            self.passed += 1;
            return Ok(());
        }
        self.failed += 1;
        self.line(format_args!("  FAILED: expected {expected}"))
    }
}
