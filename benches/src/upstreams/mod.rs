//! Behaviour with upstreams that fail, are slow, serve few connections or disappear: the daemon, and
//! beside it the programs that environment variables name.
//!
//! Each experiment prints a table and fails when the daemon exceeds a bound of it; the rows of
//! other programs are for comparison. [`pace`] sends queries at a constant rate, [`latency`]
//! summarises their responses; [`closed_loops`] sends the next query after each response;
//! [`namespace`] is a network namespace with packet-filter rules.

mod addon;
mod addon_upstream;
pub(crate) mod bounds;
mod closed_loops;
mod conntrack;
mod dead_nameserver;
pub(crate) mod failing_names;
pub(crate) mod latency;
mod loss;
mod many_nodes;
pub(crate) mod namespace;
mod outage;
pub(crate) mod pace;
mod slow_upstream;
mod tcp_workers;

use clap::Subcommand;

use crate::output::BenchError;

/// An experiment.
#[derive(Subcommand)]
pub(crate) enum Experiment {
    /// Response times when the first of two nameservers never responds
    DeadNameserver,
    /// Failed queries beside names for which the upstream fails
    FailingNames(failing_names::FailingNamesOptions),
    /// Response times of known names while the upstream is gone, or loses packets
    Outage {
        /// Instead of an outage, lose this percentage of the packets in each direction
        #[arg(long)]
        loss: Option<u8>,
    },
    /// Connections and memory of one CoreDNS, memory and CPU time of the caches of many nodes
    ManyNodes(many_nodes::ManyNodesOptions),
    /// Connection-tracking entries of UDP queries; failed queries and memory with a slow upstream
    Conntrack,
    /// Late and failed queries of several daemons on an upstream that serves 20 connections
    TcpWorkers(tcp_workers::TcpWorkersOptions),
}

/// Runs an experiment; fails when the daemon exceeds a bound.
pub(crate) fn measure(experiment: &Experiment) -> Result<(), BenchError> {
    match experiment {
        Experiment::DeadNameserver => dead_nameserver::measure(),
        Experiment::FailingNames(options) => failing_names::measure(options),
        Experiment::Outage { loss: None } => outage::measure(),
        Experiment::Outage { loss: Some(percent) } => loss::measure(*percent),
        Experiment::ManyNodes(options) => many_nodes::measure(options),
        Experiment::Conntrack => conntrack::measure(),
        Experiment::TcpWorkers(options) => tcp_workers::measure(options),
    }
}
