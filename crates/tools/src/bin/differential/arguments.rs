//! Command line.

use std::path::PathBuf;

use clap::Parser;
use tools::command_line::ComparisonArguments;

/// Compare the daemon's responses with those of its upstreams; scripts/differential runs this in a
/// network namespace of its own
#[derive(Debug, Parser)]
#[command(name = "differential")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) comparison: ComparisonArguments,
    /// Path of unbound
    #[arg(long)]
    pub(crate) unbound: PathBuf,
    /// Number of questions (name and type)
    #[arg(long, default_value = "2400")]
    pub(crate) questions: usize,
    /// Seed of the random choice of zones and questions
    #[arg(long, default_value = "1")]
    pub(crate) seed: u64,
}
