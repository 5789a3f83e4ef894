//! Command-line options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The size of the measurement.
#[derive(Args, Clone)]
pub(crate) struct LoadOptions {
    /// Rounds that count, after one that does not; in each, one server after another
    #[arg(long, default_value_t = 5)]
    pub(super) rounds: usize,
    /// Queries per round for cached names over UDP; half of it over TCP, a tenth for new names
    #[arg(long, default_value_t = 100_000)]
    pub(super) queries: u64,
    /// Milliseconds at each rate of queries
    #[arg(long, default_value_t = 2000)]
    pub(super) milliseconds: u32,
    /// Cache entries at which memory is measured
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    pub(super) entries: Vec<u32>,
    /// Only these servers
    #[arg(long, value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', default_value = "cost,latency,memory,startup")]
    pub(super) stages: Vec<Stage>,
    /// Directory of the report, the plot and the raw data
    #[arg(long, default_value = "benches/runs")]
    pub(super) output: PathBuf,
}

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Stage {
    /// CPU time per query, and upstream connections
    Cost,
    /// Response times at fixed rates
    Latency,
    /// Memory with a number of cache entries
    Memory,
    /// Time from exec to the first response
    Startup,
}
