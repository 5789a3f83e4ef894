//! All costs of a cache beside other DNS servers: CPU time, response times, memory, connections and
//! start.
//!
//! Reading order: [`options`], [`peers`] (servers), [`configs`], [`testbed`], [`metrics`]; the stages [`cost`], [`latency`],
//! [`memory`], [`startup`]; [`records`] (raw data), [`tables`], [`plot`], [`machine`].

mod configs;
mod cost;
mod latency;
mod machine;
mod memory;
mod metrics;
mod options;
mod peers;
mod plot;
mod records;
mod startup;
mod tables;
mod testbed;

use std::fs;
use std::path::PathBuf;

use crate::output::{BenchError, print};
use crate::servers::DAEMON;
use crate::upstreams::namespace;
pub(crate) use options::LoadOptions;
use options::Stage;
use peers::Peer;
use records::Records;
use testbed::Testbed;

/// Measures in a network namespace, prints the tables and writes the files.
pub(crate) fn measure(options: &LoadOptions) -> Result<(), BenchError> {
    namespace::enter()?;
    let (peers, records) = run(options)?;
    let report = format!("{}\n{}", machine::note(&peers)?, tables::all(&records));
    print(&mut std::io::stdout(), &report);
    fs::create_dir_all(&options.output)?;
    let base = options.output.join(machine::run_name()?);
    for (extension, content) in
        [("txt", report), ("csv", records.csv()), ("svg", plot::svg(&records, &machine::run_name()?))]
    {
        let path = base.with_extension(extension);
        fs::write(&path, content)?;
        print(&mut std::io::stdout(), &format!("wrote {}", path.display()));
    }
    Ok(())
}

/// A short run without a namespace, of the servers that are installed; fails when ours has a query
/// without a correct response.
pub(crate) fn smoke() -> Result<(), BenchError> {
    let options = LoadOptions {
        rounds: 1,
        queries: 2000,
        milliseconds: 100,
        entries: vec![1000, 2000],
        only: Vec::new(),
        stages: vec![Stage::Cost, Stage::Latency, Stage::Memory, Stage::Startup],
        output: PathBuf::new(),
    };
    let (_, records) = run(&options)?;
    print(&mut std::io::stdout(), &tables::all(&records));
    match records.failures_of(DAEMON) {
        failures if failures.is_empty() => Ok(()),
        failures => Err(BenchError(failures.join("; "))),
    }
}

fn run(options: &LoadOptions) -> Result<(Vec<Peer>, Records), BenchError> {
    let (mut peers, absent) = peers::installed()?;
    peers.retain(|peer| options.only.is_empty() || options.only.iter().any(|name| name == peer.name()));
    let mut records = Records::new(peers.iter().map(Peer::name).collect());
    if !absent.is_empty() {
        print(&mut std::io::stdout(), &format!("not measured: {}", absent.join(", ")));
    }
    let testbed = Testbed::new()?;
    for stage in &options.stages {
        match stage {
            Stage::Cost => cost::measure(&peers, options, &testbed, &mut records)?,
            Stage::Latency => latency::measure(&peers, options, &testbed, &mut records)?,
            Stage::Memory => memory::measure(&peers, options, &testbed, &mut records)?,
            Stage::Startup => startup::measure(&peers, options, &testbed, &mut records)?,
        }
    }
    Ok((peers, records))
}
