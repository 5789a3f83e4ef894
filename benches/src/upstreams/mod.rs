//! Behaviour with upstreams that fail, are slow or disappear: the daemon,
//! and beside it the programs that environment variables name.
//!
//! Each experiment prints a table and fails when the daemon exceeds a bound of it; the rows of
//! other programs are for comparison. [`pace`] sends queries at a constant rate, [`latency`]
//! summarises their responses; [`closed_loops`] sends the next query after each response.

mod closed_loops;
mod dead_nameserver;
mod failing_names;
mod latency;
mod pace;

use clap::Subcommand;

use crate::output::BenchError;
use crate::servers::Program;

/// An experiment.
#[derive(Subcommand)]
pub(crate) enum Experiment {
    /// Response times when the first of two nameservers never responds
    DeadNameserver,
    /// Failed queries beside names for which the upstream fails
    FailingNames(failing_names::FailingNamesOptions),
}

/// Runs an experiment; fails when the daemon exceeds a bound.
pub(crate) fn measure(experiment: &Experiment) -> Result<(), BenchError> {
    match experiment {
        Experiment::DeadNameserver => dead_nameserver::measure(),
        Experiment::FailingNames(options) => failing_names::measure(options),
    }
}

/// Collects the rows of the daemon that exceed a bound.
#[derive(Default)]
struct Bounds {
    exceeded: Vec<String>,
}

impl Bounds {
    /// Records a row that does not hold its bound. Bounds apply to the daemon of this build only.
    fn check(&mut self, program: &Program, holds: bool, row: &str) {
        if program.is_ours() && !holds {
            self.exceeded.push(row.to_owned());
        }
    }

    /// An error that names the recorded rows.
    fn result(self, bound: &str) -> Result<(), BenchError> {
        if self.exceeded.is_empty() {
            return Ok(());
        }
        Err(BenchError(format!("beyond the bound ({bound}): {}", self.exceeded.join("; "))))
    }
}
