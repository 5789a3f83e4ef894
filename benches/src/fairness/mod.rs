//! Fairness of one worker: TCP clients and misses beside a flood of UDP queries that takes all of
//! the worker's core, and what becomes of the flood.
//!
//! [`flood`] is the flood, a separate process; [`probes`] are the other clients; [`rows`] compares
//! the programs; [`kernel`] reads the drops of the receive queue.

mod flood;
mod kernel;
mod probes;
mod rows;

use std::time::Duration;

use clap::Args;

use crate::cpu::{self, Cores};
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{self, Program, Server, TempDir};
use crate::upstream::{UnknownNames, Upstream};

use flood::{Flood, NAMES, Names, Pace};
pub(crate) use flood::{FloodCommand, run as run_flood};
use rows::{Round, Row};

/// Outstanding queries of a flood that fills the worker's core and not its receive queue.
const WINDOW: u16 = 128;
/// For the last responses, and for the counters of the server.
const SETTLING_TIME: Duration = Duration::from_millis(1500);

/// The size of the measurement.
#[derive(Args)]
pub(crate) struct FairnessOptions {
    /// Rounds; in each, every server gets the same load, one server after another
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds per round
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Queries per second of a flood of hits that overflows the receive queue
    #[arg(long, default_value_t = 300_000)]
    hit_rate: u32,
    /// The same of misses
    #[arg(long, default_value_t = 80_000)]
    miss_rate: u32,
}

/// Prints a table per flood; fails when the daemon exceeds a bound.
pub(crate) fn measure(options: &FairnessOptions) -> Result<(), BenchError> {
    let cores = Cores::choose()?;
    cpu::pin(cores.load)?;
    let known = TestQuery::several(NAMES)?;
    let upstream = Upstream::start(&known, UnknownNames::Answered)?;
    let dir = TempDir::new()?;
    let forward = format!("forward . {} {{\n        prefer_udp\n    }}", upstream.addr);
    let corefile = servers::corefile("cache 3600", &forward);
    let mut servers = Vec::new();
    for program in Program::all()? {
        cpu::pin(cores.server)?;
        let server = program.start_with(&corefile, &["-workers", "1"], &dir)?;
        cpu::pin(cores.load)?;
        hit::fill(&server, &known)?;
        servers.push(server);
    }
    let mut exceeded = Vec::new();
    for (names, rate) in [(Names::Hits, options.hit_rate), (Names::Misses, options.miss_rate)] {
        for pace in [Pace::Window(WINDOW), Pace::Rate(rate)] {
            let flood = Flood { names, pace, seconds: options.seconds };
            let rows = rounds(&servers, &known, &flood, options.rounds)?;
            print(&mut std::io::stdout(), &rows::table(&rows, &flood, options.rounds));
            exceeded.extend(rows::exceeded_bounds(&rows, &flood));
        }
    }
    if exceeded.is_empty() { Ok(()) } else { Err(BenchError(exceeded.join("; "))) }
}

fn rounds(
    servers: &[Server],
    known: &[TestQuery],
    flood: &Flood,
    rounds: usize,
) -> Result<Vec<Row>, BenchError> {
    let mut rows: Vec<Row> =
        servers.iter().map(|server| Row { name: server.name, rounds: Vec::new() }).collect();
    for _ in 0..rounds {
        for (server, row) in servers.iter().zip(&mut rows) {
            row.rounds.push(round(server, known, flood)?);
        }
    }
    Ok(rows)
}

fn round(server: &Server, known: &[TestQuery], flood: &Flood) -> Result<Round, BenchError> {
    let counters = || -> Result<_, BenchError> {
        let counter = |name| server.counter(name).map(Option::unwrap_or_default);
        let drops = kernel::drops(server.addr.port())?;
        let counted = counter("nodelocaldns_udp_queue_overflows_total")?;
        let answered = server.labelled_counter("coredns_dns_responses_total", "rcode=\"NOERROR\"")?;
        Ok([counter("coredns_dns_requests_total")?, drops, counted, answered.unwrap_or_default()])
    };
    let (before, cpu_before) = (counters()?, server.cpu_ns()?);
    let process = flood.start(server.addr)?;
    let time = Duration::from_secs(flood.seconds);
    let probes = probes::run(server.addr, known, matches!(flood.pace, Pace::Window(_)), time)?;
    let cpu_ns = server.cpu_ns()?.saturating_sub(cpu_before);
    let flooded = process.finish()?;
    std::thread::sleep(SETTLING_TIME);
    let after = counters()?;
    let mut deltas = after.iter().zip(before).map(|(after, before)| after.saturating_sub(before));
    let mut delta = || deltas.next().unwrap_or_default();
    let (requests, drops, counted, answered) = (delta(), delta(), delta(), delta());
    Ok(Round { time, cpu_ns, requests, drops, counted, answered, flooded, probes })
}
