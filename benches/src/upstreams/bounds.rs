//! Bounds of the daemon, checked when all rows are printed.

use crate::output::BenchError;
use crate::servers::Program;

/// Collects the rows of the daemon that exceed a bound.
#[derive(Default)]
pub(crate) struct Bounds {
    exceeded: Vec<String>,
}

impl Bounds {
    /// Records a row that does not hold its bound. Bounds apply to the daemon of this build only.
    pub(crate) fn check(&mut self, program: &Program, holds: bool, row: &str) {
        if program.is_ours() && !holds {
            self.exceeded.push(row.to_owned());
        }
    }

    /// An error that names the recorded rows.
    pub(crate) fn result(self, bound: &str) -> Result<(), BenchError> {
        if self.exceeded.is_empty() {
            return Ok(());
        }
        Err(BenchError(format!("beyond the bound ({bound}): {}", self.exceeded.join("; "))))
    }
}
