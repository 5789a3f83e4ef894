//! Demonstrates the daemon in a network namespace of its own: creates the cluster's DNS Service
//! with a small cluster zone, starts the daemon with kubespray's arguments, sends queries as pods
//! do, checks and prints every response, prints the changed metrics, and stops the daemon.
//! `scripts/quickstart` builds everything and creates the namespace.
#![forbid(unsafe_code)]

mod http;
mod link;
mod metrics;
mod process;
mod queries;
mod report;
mod session;
mod setup;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use linux::link::{Link, LinkConfig, LinkError, LinkKindPreference};
use testkit::upstream::{Transport, Upstream};
use tokio::signal::unix::{SignalKind, signal};

use process::Daemon;
use report::Report;
use session::Session;
use setup::{LINK, LOCAL, SERVICE, SERVICE_LINK, TIMEOUT};

/// Demonstrate the daemon; scripts/quickstart runs this in a network namespace of its own
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// Path of nodelocaldns
    #[arg(long)]
    daemon: PathBuf,
    /// Keep serving after the demonstration, until interrupted
    #[arg(long)]
    keep: bool,
    /// The network namespace belongs to a user namespace, which nsenter must enter too
    #[arg(long)]
    user_namespace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut report = Report::new();
    let result = demonstrate(&arguments, &mut report);
    let Report { mut out, passed, failed } = report;
    let printed = match &result {
        Ok(()) => writeln!(out, "\nquickstart: {passed} checks passed, {failed} failed"),
        Err(error) => writeln!(io::stderr(), "quickstart: {error}"),
    };
    if result.is_ok() && printed.is_ok() && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn demonstrate(arguments: &Arguments, report: &mut Report) -> Result<(), Box<dyn Error>> {
    if link::is_up("lo")? {
        return Err("this network namespace is in use; run scripts/quickstart instead".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    report.heading("A network namespace with the cluster's DNS Service")?;
    runtime.block_on(linux::link::bring_up_loopback())?;
    runtime.block_on(create_service_link())?;
    let zone = testkit::cluster_zone::start((SERVICE, 53).into())?;
    report.line(format_args!("Service coredns at {SERVICE}, serving a small cluster zone"))?;

    let mut daemon = Daemon::start(&arguments.daemon)?;
    report.heading(format_args!("{daemon}"))?;
    let ready = daemon.wait_until_ready(TIMEOUT);
    print_log(report, &daemon)?;
    ready?;
    let result = run_session(report, &zone);
    print_log(report, &daemon)?;
    result?;
    check_link(report)?;
    if arguments.keep {
        print_commands(arguments, report)?;
        runtime.block_on(wait_for_interrupt(&mut daemon))?;
    }
    stop(report, &mut daemon)?;
    drop(runtime);
    Ok(())
}

/// Creates the link with the cluster IP of the Service.
async fn create_service_link() -> Result<(), LinkError> {
    let config = LinkConfig {
        name: SERVICE_LINK.to_owned(),
        kind: LinkKindPreference::Auto,
        addresses: vec![SERVICE],
    };
    Link::ensure(config).await.map(drop)
}

fn print_log(report: &mut Report, daemon: &Daemon) -> io::Result<()> {
    for line in daemon.take_log() {
        report.line(format_args!("| {line}"))?;
    }
    Ok(())
}

/// The health endpoint, all lookups, the upstream's queries and the changed metrics.
fn run_session(report: &mut Report, zone: &Upstream) -> Result<(), Box<dyn Error>> {
    let health = http::get(LOCAL, 9254, "/health")?;
    let body = health.body.trim();
    report.line(format_args!("http://{LOCAL}:9254/health: {} {body}", health.status))?;
    report.check(health.status == 200, "200")?;

    report.heading("resolv.conf of a pod")?;
    report.line(queries::Pod::Default.stub())?;
    let before = metrics::scrape()?;
    let mut session = Session::new(report, zone)?;
    for section in queries::SECTIONS {
        session.run(section)?;
    }
    let summary = session.summary();
    report.heading("Summary")?;
    report.line(summary)?;
    check_upstream(report, zone)?;

    report.heading(format_args!(
        "Changed metrics at http://{LOCAL}:9253/metrics (without histograms and constant labels)"
    ))?;
    let changes = before.changes(&metrics::scrape()?);
    for line in &changes {
        report.line(line)?;
    }
    let mut names = changes.iter();
    let has_hits = names.any(|line| line.starts_with("coredns_cache_hits_total"));
    report.check(has_hits, "coredns_cache_hits_total among them")?;
    Ok(())
}

fn check_upstream(report: &mut Report, zone: &Upstream) -> io::Result<()> {
    let queries = zone.queries();
    let count = |transport| queries.iter().filter(|query| query.transport == transport).count();
    report.line(format_args!(
        "upstream: {} queries on {} TCP connections, {} over UDP for names outside the cluster",
        count(Transport::Tcp),
        zone.connections().accepted,
        count(Transport::Udp),
    ))?;
    let is_cluster = |name: &str| name.ends_with("cluster.local.") || name.ends_with(".arpa.");
    let mut over_udp = queries.iter().filter(|query| query.transport == Transport::Udp);
    report.check(!over_udp.any(|query| is_cluster(&query.name)), "cluster names over TCP only")
}

fn check_link(report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.heading("The daemon's link")?;
    let lines = link::format(LINK)?;
    for line in &lines {
        report.line(line)?;
    }
    let address = format!("inet {LOCAL}/32");
    report.check(lines.iter().any(|line| line.trim() == address), address)?;
    Ok(())
}

fn print_commands(arguments: &Arguments, report: &mut Report) -> io::Result<()> {
    let users = if arguments.user_namespace { "-U --preserve-credentials " } else { "" };
    let enter = format!("nsenter -t {} {users}-n", std::process::id());
    let ask = arguments.daemon.with_file_name("ask");
    report.heading("Still serving: send queries from another terminal, stop with Ctrl-C here")?;
    report.line(format_args!("{enter} {} myweb-svc A AAAA", ask.display()))?;
    report.line(format_args!("{enter} dig @{LOCAL} myweb-svc.default.svc.cluster.local"))?;
    report.line(format_args!("{enter} curl -s http://{LOCAL}:9253/metrics"))
}

async fn wait_for_interrupt(daemon: &mut Daemon) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut poll = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = poll.tick() => if daemon.has_exited()? { return Ok(()) },
        }
    }
}

fn stop(report: &mut Report, daemon: &mut Daemon) -> Result<(), Box<dyn Error>> {
    report.heading("Exit after SIGTERM")?;
    let status = daemon.terminate(TIMEOUT)?;
    print_log(report, daemon)?;
    report.line(format_args!("{status}"))?;
    report.check(status.code() == Some(0), "exit code 0")?;
    let lines = link::format(LINK)?;
    report.line(if lines.is_empty() { "link removed" } else { "link not removed" })?;
    report.check(lines.is_empty(), "the link removed")?;
    Ok(())
}
