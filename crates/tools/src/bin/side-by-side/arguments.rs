//! Command line.

use std::path::PathBuf;

use clap::Parser;

/// Run the daemon and node-cache on the same Corefiles and compare them; scripts/side-by-side runs
/// this in namespaces of its own
#[derive(Debug, Parser)]
#[command(name = "side-by-side")]
pub(crate) struct Arguments {
    /// Path of nodelocaldns
    #[arg(long)]
    pub(crate) daemon: PathBuf,
    /// Path of coredns: the upstream, and the peer for directives that node-cache lacks
    #[arg(long)]
    pub(crate) coredns: PathBuf,
    /// Path of node-cache with CoreDNS 1.13; without it, coredns stands in
    #[arg(long)]
    pub(crate) node_cache: Option<PathBuf>,
    /// Path of node-cache with CoreDNS 1.14 (node-local-dns); without it, coredns stands in
    #[arg(long)]
    pub(crate) node_local_dns: Option<PathBuf>,
    /// Directory of the Corefiles
    #[arg(long)]
    pub(crate) corefiles: PathBuf,
    /// Absolute path of a directory for logs
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// Only Corefiles whose name contains this text
    #[arg(long, default_value = "")]
    pub(crate) only: String,
    /// Print every difference, also the listed ones
    #[arg(long)]
    pub(crate) all: bool,
}
