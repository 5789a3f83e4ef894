//! Benchmarks: the cost of a query, compared to a floor and to other programs. See
//! `benches/README.md`.
//!
//! Reading order: [`hit`] (CPU time per hit), [`clients`] (load generators), [`queries`], [`servers`]
//! (servers under test), [`floor`] (echo server), [`upstream`], [`cpu`], [`figures`]; [`miss`] (CPU
//! time per miss); [`load`] compares all costs with other servers; [`instructions`] counts the
//! instructions of [`resolver_loop`], [`micro`] those of its parts; [`scan`] and [`flood`] query
//! one-time names, of the resolver and of the daemon; [`upstreams`] is about upstreams that fail,
//! [`configuration`] about configurations that cannot be put in force, [`fairness`] about clients beside
//! a flood, [`memory`] about a memory limit in one, [`idle`] about a process without queries, [`rules`]
//! about the packet filter, [`snapshot`] about the file of the cache, [`workers`] about what workers cost
//! each other.
#![deny(unsafe_code)]

mod cache;
mod clients;
mod configuration;
mod confinement;
mod cpu;
mod directives;
mod fairness;
mod figures;
mod first_response;
mod flood;
#[expect(unsafe_code, reason = "plain system calls; each block is justified")]
mod floor;
mod hit;
mod idle;
mod insight;
mod instructions;
mod load;
mod memory;
mod micro;
mod miss;
mod output;
mod queries;
mod resolver_loop;
mod rules;
mod scan;
mod servers;
mod snapshot;
mod upstream;
mod upstreams;
mod workers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use directives::Directives;
use output::{BenchError, print};

/// Cost of a query, compared to a floor and to other programs
#[derive(Parser)]
struct CommandLine {
    /// Short run that fails on missing or wrong responses and measures no time
    #[arg(long)]
    smoke: bool,
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
}

#[derive(Subcommand)]
enum Benchmark {
    /// CPU time per cache hit, of whole processes
    Hit(hit::HitOptions),
    /// CPU time per cache miss, of whole processes, and upstream connections
    Miss(miss::MissOptions),
    /// All costs beside other DNS servers, on a node of its own: CPU time, response times, memory
    Load(load::LoadOptions),
    /// Instructions per cache hit of the resolver, counted by valgrind
    Instructions,
    /// Instructions and allocations of the parts of a hit and a miss, counted by valgrind
    Micro,
    /// Hit ratio of hot names and memory during a scan of one-time names, of the resolver
    Scan(scan::ScanOptions),
    /// The same of the daemon, over sockets
    Flood(flood::FloodOptions),
    /// Response times of TCP clients and of misses beside floods of UDP queries, with one worker
    Fairness(fairness::FairnessOptions),
    /// Memory of the daemon in floods of new names under a memory limit, and hits of cached names
    Memory(memory::MemoryOptions),
    /// Wake-ups, CPU time and sockets of a process without queries, on a node of its own
    Idle(idle::IdleOptions),
    /// CPU time per cache hit with and without the packet-filter rules, on a node of its own
    Rules(rules::RulesOptions),
    /// CPU time per cache hit with one and with two workers
    Workers(workers::WorkersOptions),
    /// CPU time per cache hit and time to the first response with and without confinement
    Confinement(confinement::ConfinementOptions),
    /// Instructions per cache hit of the daemon with and without insight, counted by valgrind
    Insight(insight::InsightOptions),
    /// Memory and time per entry of the cache's hash table and of others
    Cache(cache::CacheOptions),
    /// CPU time of a cache snapshot
    Snapshot(snapshot::SnapshotOptions),
    /// Behaviour with upstreams that fail, are slow, or disappear, of whole processes
    #[command(subcommand)]
    Upstreams(upstreams::Experiment),
    /// Queries during changes of the configuration that cannot be made
    Configuration(configuration::ConfigurationOptions),
    /// The scan in this process, with CAPACITY entries for each store
    #[command(hide = true)]
    ScanOne {
        capacity: u32,
        #[command(flatten)]
        options: scan::ScanOptions,
    },
    /// One candidate of `cache` in this process
    #[command(hide = true)]
    CacheOne {
        candidate: cache::Candidate,
        #[command(flatten)]
        options: cache::CacheOptions,
    },
    /// A flood of UDP queries; prints the queries sent, answered and failed
    #[command(hide = true)]
    FloodProcess(fairness::FloodCommand),
    /// Runs a program in the cgroup of the file PROCS
    #[command(hide = true)]
    InCgroup {
        procs: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// An operation of `micro`, COUNT times
    #[command(hide = true)]
    MicroLoop { operation: micro::Operation, count: u32 },
    /// Runs the floor and prints its port
    #[command(hide = true)]
    Floor,
    /// Cache hits without sockets: NAMES names, HITS queries
    #[command(hide = true)]
    ResolverLoop { names: u16, hits: u32, directives: Directives },
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    // The daemon under test is this program with another first argument, so that one build makes
    // both.
    if args.nth(1).is_some_and(|first| first == servers::DAEMON) {
        return match cpu::die_with_parent() {
            Ok(()) => daemon::run(std::env::args_os().skip(1)),
            Err(error) => end(Err(error)),
        };
    }
    end(match CommandLine::parse() {
        CommandLine { smoke: true, .. } => smoke(),
        CommandLine { benchmark: Some(Benchmark::Hit(options)), .. } => hit::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Miss(options)), .. } => miss::measure(options),
        CommandLine { benchmark: Some(Benchmark::Load(options)), .. } => load::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Instructions), .. } => instructions::measure(),
        CommandLine { benchmark: Some(Benchmark::Micro), .. } => micro::measure(),
        CommandLine { benchmark: Some(Benchmark::MicroLoop { operation, count }), .. } => {
            micro::run(operation, count)
        }
        CommandLine { benchmark: Some(Benchmark::Scan(options)), .. } => scan::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Flood(options)), .. } => flood::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Fairness(options)), .. } => fairness::measure(&options),
        CommandLine { benchmark: Some(Benchmark::FloodProcess(command)), .. } => {
            fairness::run_flood(&command)
        }
        CommandLine { benchmark: Some(Benchmark::Idle(options)), .. } => idle::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Rules(options)), .. } => rules::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Workers(options)), .. } => workers::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Confinement(options)), .. } => {
            confinement::measure(&options)
        }
        CommandLine { benchmark: Some(Benchmark::Insight(options)), .. } => insight::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Cache(options)), .. } => cache::measure(options),
        CommandLine { benchmark: Some(Benchmark::CacheOne { candidate, options }), .. } => {
            cache::run(candidate, options)
        }
        CommandLine { benchmark: Some(Benchmark::Snapshot(options)), .. } => snapshot::measure(&options),
        CommandLine { benchmark: Some(Benchmark::Upstreams(experiment)), .. } => {
            upstreams::measure(&experiment)
        }
        CommandLine { benchmark: Some(Benchmark::ScanOne { capacity, options }), .. } => {
            scan::run(capacity, options)
        }
        CommandLine { benchmark: Some(Benchmark::Configuration(options)), .. } => {
            configuration::measure(&options)
        }
        CommandLine { benchmark: Some(Benchmark::Memory(options)), .. } => memory::measure(options),
        CommandLine { benchmark: Some(Benchmark::InCgroup { procs, command }), .. } => {
            memory::run_in_cgroup(&procs, &command)
        }
        CommandLine { benchmark: Some(Benchmark::Floor), .. } => floor::run(),
        CommandLine { benchmark: Some(Benchmark::ResolverLoop { names, hits, directives }), .. } => {
            resolver_loop::run(names, hits, directives)
        }
        CommandLine { benchmark: None, .. } => {
            Err(BenchError("a command is required (--help lists them), or --smoke".to_owned()))
        }
    })
}

fn end(outcome: Result<(), BenchError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(BenchError(reason)) => {
            print(&mut std::io::stderr(), &format!("benches: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn smoke() -> Result<(), BenchError> {
    resolver_loop::run(50, 10_000, Directives::SameBlock)?;
    hit::smoke()?;
    miss::smoke()?;
    load::smoke()?;
    flood::smoke()?;
    upstreams::failing_names::smoke()
}
