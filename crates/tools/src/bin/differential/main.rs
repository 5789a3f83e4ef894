//! Asks real servers directly and through the daemon, and compares: CoreDNS with zones of many shapes, and unbound
//! that resolves from a root of its own, each over ten ways. Every answer of the daemon must say what its upstream
//! says, but for the table in [`deviations`]. `scripts/differential` builds everything and makes the namespace.
#![forbid(unsafe_code)]

mod asking;
mod compare;
mod deviations;
mod dice;
mod message;
mod questions;
mod round;
mod stage;
mod tally;
mod world;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Parser;
use testkit::clock::now;

use asking::WAYS;
use dice::Dice;
use questions::Question;
use round::Round;
use stage::{Course, Stage};
use tally::Tally;

/// Threads that ask: more than cores, as each waits most of the time.
const CLIENTS: usize = 4;

/// Compare answers of the daemon with those of its upstreams; scripts/differential starts this in a network
/// namespace of its own
#[derive(Debug, Parser)]
#[command(name = "differential")]
struct Arguments {
    /// The program nodelocaldns
    #[arg(long)]
    daemon: PathBuf,
    /// The program coredns
    #[arg(long)]
    coredns: PathBuf,
    /// The program unbound
    #[arg(long)]
    unbound: PathBuf,
    /// A folder for files and logs, absolute
    #[arg(long)]
    work: PathBuf,
    /// How many names and types
    #[arg(long, default_value = "2400")]
    questions: usize,
    /// Where the choice of questions begins
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Only names with this in them
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing can be done about a closed stderr.
            drop(writeln!(io::stderr(), "differential: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether every difference is a listed one.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(linux::link::bring_up_loopback())?;
    let mut out = io::stdout();
    let mut dice = Dice::new(arguments.seed);
    let zones = world::zones(&mut dice);
    let mut questions = questions::questions(&zones, arguments.questions, &mut dice);
    questions.retain(|question| question.name.contains(&arguments.only));
    if questions.is_empty() {
        return Err("there is nothing to ask".into());
    }
    let mut stage = Stage::set_up(arguments, &zones)?;
    let mut tallies = Vec::new();
    for course in stage::courses() {
        let began = now();
        let tally = ask_all(&course, &questions, arguments.seed)?;
        stage.check_alive()?;
        for line in tally.defects() {
            writeln!(out, "{line}\n")?;
        }
        writeln!(out, "{}: {tally}, {:.0} s", course.upstream, began.elapsed().as_secs_f64())?;
        writeln!(out, "    {}", tally.sorts())?;
        tallies.push((course.upstream, tally));
    }
    tally::table(&tallies, &mut out)?;
    let summary: Vec<String> = tallies
        .iter()
        .map(|(upstream, _)| format!("{upstream} {} questions x {} ways", questions.len(), WAYS.len()))
        .collect();
    let mut all = Tally::default();
    tallies.into_iter().for_each(|(_, tally)| all.add(tally));
    writeln!(out, "differential: {}: {all}", summary.join(", "))?;
    Ok(all.is_clean())
}

/// Asks all questions, several at a time.
fn ask_all(course: &Course, questions: &[Question], seed: u64) -> io::Result<Tally> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut round = Round::new(course);
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(question) = questions.get(number)
        {
            let dice = Dice::new(seed ^ u64::try_from(number).unwrap_or_default());
            round.compare(question, number, dice);
        }
        round.finish()
    };
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().name("client".to_owned()).spawn_scoped(scope, work);
        let clients = (0..CLIENTS).map(spawn).collect::<io::Result<Vec<_>>>()?;
        let mut all = Tally::default();
        for client in clients {
            all.add(client.join().map_err(|_| io::Error::other("a client panicked"))?);
        }
        Ok(all)
    })
}
