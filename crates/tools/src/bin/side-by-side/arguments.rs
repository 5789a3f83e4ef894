//! Command line.

use std::path::PathBuf;

use clap::Parser;
use tools::command_line::ComparisonArguments;

/// Run the daemon and node-cache on the same Corefiles and compare them; scripts/side-by-side runs
/// this in namespaces of its own
#[derive(Debug, Parser)]
#[command(name = "side-by-side")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) comparison: ComparisonArguments,
    /// Path of node-cache with CoreDNS 1.13; without it, coredns stands in
    #[arg(long)]
    pub(crate) node_cache: Option<PathBuf>,
    /// Path of node-cache with CoreDNS 1.14 (node-local-dns); without it, coredns stands in
    #[arg(long)]
    pub(crate) node_local_dns: Option<PathBuf>,
    /// Directory of the Corefiles
    #[arg(long)]
    pub(crate) corefiles: PathBuf,
    /// Print every difference, also the listed ones
    #[arg(long)]
    pub(crate) all: bool,
}
