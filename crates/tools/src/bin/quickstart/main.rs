//! Shows the daemon at work in a network namespace of its own: makes the cluster's DNS Service and serves a small
//! zone there, starts the daemon beside it with kubespray's arguments, asks as pods do, checks every answer, shows
//! what moved, and ends the daemon. `scripts/quickstart` builds everything and makes the namespace.
#![forbid(unsafe_code)]

mod dialogue;
mod http;
mod kernel;
mod metrics;
mod process;
mod scenes;

use std::error::Error;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use linux::link::{Link, LinkConfig, LinkError, LinkKindPreference};
use testkit::upstream::{Transport, Upstream};
use tokio::signal::unix::{SignalKind, signal};

use dialogue::Dialogue;
use process::Daemon;

/// The address of the Service named coredns, where kubespray puts it.
const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 233, 0, 3));
/// The link that carries the addresses of Services, under the name kube-proxy gives it in IPVS mode.
const SERVICE_LINK: &str = "kube-ipvs0";
/// The daemon's link.
const LINK: &str = "nodelocaldns";
/// The daemon's address.
const LOCAL: &str = "169.254.25.10";
/// How long the daemon may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Show the daemon at work; scripts/quickstart starts this in a network namespace of its own
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// The program nodelocaldns
    #[arg(long)]
    daemon: PathBuf,
    /// Go on serving after the demonstration, until interrupted
    #[arg(long)]
    keep: bool,
    /// The network namespace belongs to a user namespace; nsenter has to enter both
    #[arg(long)]
    user_namespace: bool,
}

/// What the command prints to, and what it makes of what it sees.
struct Stage {
    out: io::Stdout,
    passed: usize,
    failed: usize,
}

impl Stage {
    fn say(&mut self, line: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    fn head(&mut self, line: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "\n=== {line}")
    }

    /// Counts an expectation, and names it if it does not hold.
    fn check(&mut self, holds: bool, expected: impl std::fmt::Display) -> io::Result<()> {
        if holds {
            self.passed += 1;
            return Ok(());
        }
        self.failed += 1;
        self.say(format_args!("  WRONG, expected {expected}"))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut stage = Stage { out: io::stdout(), passed: 0, failed: 0 };
    let shown = show(&arguments, &mut stage);
    let closing = match &shown {
        Ok(()) => {
            writeln!(stage.out, "\nquickstart: {} checks passed, {} failed", stage.passed, stage.failed)
        }
        Err(error) => writeln!(io::stderr(), "quickstart: {error}"),
    };
    if shown.is_ok() && closing.is_ok() && stage.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(arguments: &Arguments, stage: &mut Stage) -> Result<(), Box<dyn Error>> {
    if kernel::is_up("lo")? {
        return Err("this network namespace is in use; start me with scripts/quickstart".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    stage.head("A node of its own: a network namespace with the cluster's DNS Service")?;
    runtime.block_on(linux::link::bring_up_loopback())?;
    runtime.block_on(make_service_link())?;
    let zone = testkit::cluster_zone::start((SERVICE, 53).into())?;
    stage.say(format_args!("coredns.kube-system is {SERVICE}; a small cluster zone answers there"))?;

    let mut daemon = Daemon::start(&arguments.daemon)?;
    stage.head(format_args!("{daemon}"))?;
    let ready = daemon.wait_until_ready(PATIENCE);
    print_log(stage, &daemon)?;
    ready?;
    let played = play(stage, &zone);
    print_log(stage, &daemon)?;
    played?;
    show_link(stage)?;
    if arguments.keep {
        tell_how_to_ask(arguments, stage)?;
        runtime.block_on(until_interrupted(&mut daemon))?;
    }
    end(stage, &mut daemon)?;
    drop(runtime);
    Ok(())
}

/// Makes the link with the Service's address.
async fn make_service_link() -> Result<(), LinkError> {
    let plan = LinkConfig {
        name: SERVICE_LINK.to_owned(),
        kind: LinkKindPreference::Auto,
        addresses: vec![SERVICE],
    };
    Link::ensure(plan).await.map(drop)
}

fn print_log(stage: &mut Stage, daemon: &Daemon) -> io::Result<()> {
    for line in daemon.take_log() {
        stage.say(format_args!("| {line}"))?;
    }
    Ok(())
}

/// Health, the dialogue, what moved, and what the upstream saw.
fn play(stage: &mut Stage, zone: &Upstream) -> Result<(), Box<dyn Error>> {
    let health = http::get(LOCAL, 9254, "/health")?;
    stage.say(format_args!("http://{LOCAL}:9254/health says {} {}", health.status, health.body.trim()))?;
    stage.check(health.status == 200, "200")?;

    stage.head("What a pod's resolv.conf says")?;
    stage.say(scenes::Pod::Default.stub())?;
    let before = metrics::scrape()?;
    let mut dialogue = Dialogue::new(stage, zone)?;
    for scene in scenes::SCENES {
        dialogue.play(scene)?;
    }
    let summary = dialogue.summary();
    stage.head("In short")?;
    stage.say(summary)?;
    let asked = zone.queries();
    let over = |transport| asked.iter().filter(|question| question.transport == transport).count();
    stage.say(format_args!(
        "upstream: {} questions over {} TCP connections, {} over UDP for names outside the cluster",
        over(Transport::Tcp),
        zone.connections().accepted,
        over(Transport::Udp),
    ))?;
    let cluster = |name: &str| name.ends_with("cluster.local.") || name.ends_with(".arpa.");
    let leaked =
        asked.iter().find(|question| question.transport == Transport::Udp && cluster(&question.name));
    stage.check(leaked.is_none(), "cluster names over TCP only")?;

    stage.head(format_args!(
        "What moved on http://{LOCAL}:9253/metrics (histograms, and labels that never differ, left out)"
    ))?;
    let moved = before.moved(&metrics::scrape()?);
    for line in &moved {
        stage.say(line)?;
    }
    stage.check(moved.iter().any(|line| line.starts_with("coredns_cache_hits_total")), "hits among them")?;
    Ok(())
}

fn show_link(stage: &mut Stage) -> Result<(), Box<dyn Error>> {
    stage.head("The link, as the kernel shows it")?;
    let shown = kernel::show(LINK)?;
    for line in &shown {
        stage.say(line)?;
    }
    let carried = format!("inet {LOCAL}/32");
    stage.check(shown.iter().any(|line| line.trim() == carried), carried)?;
    Ok(())
}

fn tell_how_to_ask(arguments: &Arguments, stage: &mut Stage) -> io::Result<()> {
    let users = if arguments.user_namespace { "-U --preserve-credentials " } else { "" };
    let enter = format!("nsenter -t {} {users}-n", std::process::id());
    let ask = arguments.daemon.with_file_name("ask");
    stage.head("It goes on serving; ask it from another terminal, end it with Ctrl-C here")?;
    stage.say(format_args!("{enter} {} myweb-svc A AAAA", ask.display()))?;
    stage.say(format_args!("{enter} dig @{LOCAL} myweb-svc.default.svc.cluster.local"))?;
    stage.say(format_args!("{enter} curl -s http://{LOCAL}:9253/metrics"))
}

async fn until_interrupted(daemon: &mut Daemon) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut glance = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = glance.tick() => if daemon.has_ended()? { return Ok(()) },
        }
    }
}

fn end(stage: &mut Stage, daemon: &mut Daemon) -> Result<(), Box<dyn Error>> {
    stage.head("The end, by SIGTERM unless it has ended already")?;
    let ended = daemon.end(PATIENCE)?;
    print_log(stage, daemon)?;
    stage.say(format_args!("{ended}"))?;
    stage.check(ended.code() == Some(0), "exit code 0")?;
    let left = kernel::show(LINK)?;
    stage.say(if left.is_empty() { "the link is gone" } else { "the link is still there" })?;
    stage.check(left.is_empty(), "no link left behind")?;
    Ok(())
}
