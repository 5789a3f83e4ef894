//! Differential test: sends the same queries to real servers directly and through the daemon, and
//! compares the responses. The upstreams are CoreDNS with zones of many shapes and unbound
//! resolving from a root of its own; each question is sent in ten variants of transport, flags and
//! OPT. Every response of the daemon must equal its upstream's, except for the differences listed
//! in [`deviations`]. `scripts/differential` builds everything and creates the namespace.
#![forbid(unsafe_code)]

mod arguments;
mod comparison;
mod deviations;
mod questions;
mod report;
mod rules;
mod servers;
mod zones;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Parser;
use testkit::clock::now;

use arguments::Arguments;
use comparison::Comparison;
use report::Report;
use servers::{Servers, Target};
use tools::command_line::exit_code;
use tools::question::Question;
use tools::rng::Rng;
use tools::variants::VARIANTS;

/// Client threads: more than cores, as each of them mostly waits.
const CLIENTS: usize = 4;

fn main() -> ExitCode {
    exit_code("differential", run(&Arguments::parse()))
}

/// True if every difference is listed.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(linux::link::bring_up_loopback())?;
    let mut out = io::stdout();
    let mut rng = Rng::new(arguments.seed);
    let zones = zones::zones(&mut rng);
    let mut questions = questions::questions(&zones, arguments.questions, &mut rng);
    questions.retain(|question| question.name.contains(&arguments.comparison.only));
    if questions.is_empty() {
        return Err("no question matches --only".into());
    }
    let mut servers = Servers::start_all(arguments, &zones)?;
    let mut reports = Vec::new();
    for target in servers::targets() {
        let started = now();
        let report = compare_all(&target, &questions, arguments.seed)?;
        servers.check_alive()?;
        for line in report.defects() {
            writeln!(out, "{line}\n")?;
        }
        let seconds = started.elapsed().as_secs_f64();
        writeln!(out, "{}: {report}, {seconds:.0} s", target.upstream)?;
        writeln!(out, "    {}", report.kinds())?;
        reports.push((target.upstream, report));
    }
    report::table(&reports, &mut out)?;
    let (count, variants) = (questions.len(), VARIANTS.len());
    let summary: Vec<String> = reports
        .iter()
        .map(|(upstream, _)| format!("{upstream} {count} questions x {variants} variants"))
        .collect();
    let mut total = Report::default();
    reports.into_iter().for_each(|(_, report)| total.add(report));
    writeln!(out, "differential: {}: {total}", summary.join(", "))?;
    Ok(total.is_clean())
}

/// Compares all questions, several at a time.
fn compare_all(target: &Target, questions: &[Question], seed: u64) -> io::Result<Report> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut comparison = Comparison::new(target);
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(question) = questions.get(number)
        {
            let rng = Rng::new(seed ^ u64::try_from(number).unwrap_or_default());
            comparison.compare(question, number, rng);
        }
        comparison.finish()
    };
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().name("client".to_owned()).spawn_scoped(scope, work);
        let clients = (0..CLIENTS).map(spawn).collect::<io::Result<Vec<_>>>()?;
        let mut total = Report::default();
        for client in clients {
            total.add(client.join().map_err(|_| io::Error::other("a client panicked"))?);
        }
        Ok(total)
    })
}
