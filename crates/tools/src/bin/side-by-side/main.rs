//! Side-by-side test: runs node-cache with CoreDNS 1.13, node-cache with CoreDNS 1.14 and the daemon
//! on the same Corefiles, in network namespaces with equal upstreams, sends the same queries to
//! each, and compares responses, metrics and log lines. Every difference must be listed, with its
//! reason, in `differences.md`. `scripts/side-by-side` builds everything and creates the outer
//! namespace.
#![forbid(unsafe_code)]

mod arguments;
mod difference;
mod fixture;
mod log_lines;
mod metrics;
mod namespace;
mod questions;
mod rendering;
mod report;
mod responses;
mod subject;
mod table;
mod upstream;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use clap::Parser;

use arguments::Arguments;
use fixture::Fixture;
use namespace::{Environment, Observation};
use report::Report;
use subject::{Program, Subject};
use tools::command_line::exit_code;

/// A subject, and its results in the order of the Corefiles that it is given.
struct Results {
    subject: Subject,
    jobs: Sender<Arc<Fixture>>,
    observed: Receiver<Result<Observation, String>>,
}

fn main() -> ExitCode {
    exit_code("side-by-side", run(&Arguments::parse()))
}

/// True if every difference is listed.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let comparison = &arguments.comparison;
    let fixtures: Vec<Arc<Fixture>> =
        Fixture::all(&arguments.corefiles, &comparison.only)?.into_iter().map(Arc::new).collect();
    let mut out = io::stdout();
    let subjects = subjects(arguments)?;
    if subjects.iter().any(|subject| subject.stands_in) {
        writeln!(out, "side-by-side: not both lines of node-cache are at hand: CoreDNS stands in")?;
    }
    upstream::write_certificates(&comparison.work)?;
    let environment = Environment {
        coredns: comparison.coredns.canonicalize()?,
        corefiles: arguments.corefiles.canonicalize()?,
        work: comparison.work.clone(),
    };
    let mut results = Vec::new();
    for subject in subjects {
        results.push(start(subject, &environment)?);
    }
    let mut report = Report::new(arguments)?;
    let failed = compare_all(&fixtures, &results, &mut report)?;
    let again: Vec<Arc<Fixture>> =
        fixtures.into_iter().filter(|fixture| failed.contains(&fixture.name)).collect();
    if !again.is_empty() {
        writeln!(out, "once more, in case the machine was busy:")?;
    }
    let failed = compare_all(&again, &results, &mut report)?;
    let names: Vec<&str> = results.iter().map(|result| result.subject.name()).collect();
    Ok(report.finish(failed.len(), &names)?)
}

/// Runs all servers on the Corefiles; returns the name of a Corefile for each failed comparison.
fn compare_all(
    fixtures: &[Arc<Fixture>],
    results: &[Results],
    report: &mut Report,
) -> Result<Vec<String>, Box<dyn Error>> {
    for Results { subject, jobs, .. } in results {
        for fixture in fixtures.iter().filter(|fixture| subject.runs(fixture)) {
            jobs.send(Arc::clone(fixture))?;
        }
    }
    let mut failed = Vec::new();
    let Some((ours, peers)) = results.split_first() else { return Ok(failed) };
    for fixture in fixtures {
        let own = ours.observed.recv()?;
        for peer in peers.iter().filter(|peer| peer.subject.runs(fixture)) {
            let theirs = peer.observed.recv()?;
            if !report.compare(fixture, &peer.subject, &theirs, &own)? {
                failed.push(fixture.name.clone());
            }
        }
    }
    Ok(failed)
}

/// The daemon, then its peers.
fn subjects(arguments: &Arguments) -> io::Result<Vec<Subject>> {
    let mut subjects = vec![subject(Program::Nodelocaldns, &arguments.comparison.daemon)?];
    for (program, path) in
        [(Program::NodeCache, &arguments.node_cache), (Program::NodeLocalDns, &arguments.node_local_dns)]
    {
        subjects.extend(path.as_deref().map(|path| subject(program, path)).transpose()?);
    }
    let stands_in = subjects.len() < 3;
    subjects.push(Subject { stands_in, ..subject(Program::CoreDns, &arguments.comparison.coredns)? });
    Ok(subjects)
}

fn subject(program: Program, path: &Path) -> io::Result<Subject> {
    let missing = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    Ok(Subject { program, path: path.canonicalize().map_err(missing)?, stands_in: false })
}

/// Starts the thread of a subject.
fn start(subject: Subject, environment: &Environment) -> io::Result<Results> {
    let (jobs, queue) = channel();
    let (sender, observed) = channel();
    let (theirs, environment) = (subject.clone(), environment.clone());
    // Detached: it ends with its queue, and its servers with the PID namespace at the latest.
    drop(thread::Builder::new().name(subject.name().to_owned()).spawn(move || {
        namespace::run(&theirs, &environment, &queue, &sender);
    })?);
    Ok(Results { subject, jobs, observed })
}
