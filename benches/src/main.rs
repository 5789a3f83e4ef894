//! What a query costs, beside a floor and beside other programs; `benches/README.md` says how to read it.
//!
//! Reading order: [`hit`] (rounds and table), [`load`] (who asks), [`questions`] (what is asked), [`servers`]
//! (who answers), [`floor`] (the least that answers), [`upstream`] (who answers the first misses), [`cpu`];
//! [`instructions`] counts without a kernel, in the loop of [`inside`]; [`scan`] floods the cache, [`flood`] the daemon.
#![forbid(unsafe_code)]

mod cpu;
mod flood;
mod floor;
mod hit;
mod inside;
mod instructions;
mod load;
mod questions;
mod scan;
mod servers;
mod upstream;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a query costs, beside a floor and beside other programs.
#[derive(Parser)]
struct CommandLine {
    /// A short run that fails when answers are missing or wrong, and says nothing about time.
    #[arg(long)]
    smoke: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// CPU time per answer from the cache, of whole processes.
    Hit(hit::Extent),
    /// Instructions per answer from the cache, of the resolver alone, counted by valgrind.
    Instructions,
    /// Hits of hot names, and memory, during a flood of names asked once.
    Scan(scan::Flood),
    /// The same of the whole daemon, over sockets.
    Flood(flood::Extent),
    /// The flood in this process, with CAPACITY entries for each store.
    #[command(hide = true)]
    ScanOne {
        capacity: u32,
        #[command(flatten)]
        flood: scan::Flood,
    },
    /// Runs the floor on a port of its own, which it prints.
    #[command(hide = true)]
    Floor,
    /// Answers from the cache, without sockets: NAMES names, HITS answers.
    #[command(hide = true)]
    Inside { names: u16, hits: u32 },
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    // The process under test is this program under its other name, so that one build makes both.
    if args.nth(1).is_some_and(|first| first == servers::DAEMON) {
        return match cpu::end_with_parent() {
            Ok(()) => daemon::run(std::env::args_os().skip(1)),
            Err(failed) => end(Err(failed)),
        };
    }
    end(match CommandLine::parse() {
        CommandLine { smoke: true, .. } => smoke(),
        CommandLine { what: Some(What::Hit(extent)), .. } => hit::measure(&extent),
        CommandLine { what: Some(What::Instructions), .. } => instructions::measure(),
        CommandLine { what: Some(What::Scan(flood)), .. } => scan::measure(&flood),
        CommandLine { what: Some(What::Flood(extent)), .. } => flood::measure(&extent),
        CommandLine { what: Some(What::ScanOne { capacity, flood }), .. } => scan::run(capacity, flood),
        CommandLine { what: Some(What::Floor), .. } => floor::run(),
        CommandLine { what: Some(What::Inside { names, hits }), .. } => inside::run(names, hits),
        CommandLine { what: None, .. } => {
            Err(Failed("say what: hit, instructions, scan, flood or --smoke".to_owned()))
        }
    })
}

fn end(outcome: Result<(), Failed>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(reason)) => {
            say(&mut std::io::stderr(), &format!("benches: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn smoke() -> Result<(), Failed> {
    inside::run(50, 10_000)?;
    hit::smoke()?;
    flood::smoke()
}

/// Why there is no figure.
struct Failed(String);

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<nix::Error> for Failed {
    fn from(error: nix::Error) -> Self {
        Self(error.to_string())
    }
}

/// Writes a line; who closed the stream does not want it.
fn say(to: &mut impl Write, line: &str) {
    writeln!(to, "{line}").unwrap_or_default();
}
