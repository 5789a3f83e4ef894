//! Command line.

use std::path::PathBuf;

use clap::Parser;

/// Compare the daemon's responses with those of its upstreams; scripts/differential runs this in a
/// network namespace of its own
#[derive(Debug, Parser)]
#[command(name = "differential")]
pub(crate) struct Arguments {
    /// Path of nodelocaldns
    #[arg(long)]
    pub(crate) daemon: PathBuf,
    /// Path of coredns
    #[arg(long)]
    pub(crate) coredns: PathBuf,
    /// Path of unbound
    #[arg(long)]
    pub(crate) unbound: PathBuf,
    /// Absolute path of a directory for configuration files and logs
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// Number of questions (name and type)
    #[arg(long, default_value = "2400")]
    pub(crate) questions: usize,
    /// Seed of the random choice of zones and questions
    #[arg(long, default_value = "1")]
    pub(crate) seed: u64,
    /// Only names that contain this text
    #[arg(long, default_value = "")]
    pub(crate) only: String,
}
