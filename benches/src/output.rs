//! Errors and output of the benchmarks.

use std::io::Write;

/// Why a benchmark has no result.
pub(crate) struct BenchError(pub(crate) String);

impl From<std::io::Error> for BenchError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<nix::Error> for BenchError {
    fn from(error: nix::Error) -> Self {
        Self(error.to_string())
    }
}

/// Writes a line.
pub(crate) fn print(to: &mut impl Write, line: &str) {
    // An error means that the reader closed the stream.
    writeln!(to, "{line}").ok();
}
