//! Floods of new names from spoofed sources against a silent upstream, with a full cache and the
//! process in a cgroup with a memory limit: memory over time, and hits of names that were cached
//! before.

mod cgroup;
mod spoofed;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::{self, Builder};
use std::time::Duration;
use std::{fs, io};

use clap::Args;
use testkit::upstream::Blackhole;

use self::cgroup::Cgroup;
use self::spoofed::Flood;
use crate::clients::{LoadConfig, udp};
use crate::figures;
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::scan::resident_kib;
use crate::servers::{Program, Server, TempDir};
use crate::upstream::{ADDRESS, UnknownNames, Upstream};
use crate::upstreams::pace::{Answer, Pace, Sample};

/// Names that are cached before the flood.
const HOT: u16 = 1000;
/// Names that fill the cache before them, asked in runs of the load generator.
const FILL: u32 = 100_000;
const NAMES_PER_RUN: u32 = 1000;
/// Outstanding queries of a run.
const WINDOW: usize = 64;
/// Minimum share of the responses to queries for hot names that are hits, in per cent.
const MIN_HIT_PERCENT: f64 = 99.0;
/// Limits of the process, in MiB.
const LIMITS: [u64; 2] = [128, 64];
/// The domain of the names that fill the cache, and of the flood.
const FILL_DOMAIN: &str = "fill.example";
const DOMAIN: &str = "flood.example";

/// The size of a flood.
#[derive(Args, Clone, Copy)]
pub(crate) struct MemoryOptions {
    /// New names per second
    #[arg(long, default_value_t = 200_000)]
    rate: u32,
    /// Duration of each flood
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Queries per second for hot names
    #[arg(long, default_value_t = 1000)]
    hot_rate: u32,
    /// Workers of the daemon
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// Instead of 128 and 64, a limit of this many MiB
    #[arg(long)]
    limit: Option<u64>,
}

/// Prints a table for each program, limit and transport; fails when the daemon is killed or a hot
/// name misses.
pub(crate) fn measure(options: MemoryOptions) -> Result<(), BenchError> {
    let limits = options.limit.map_or_else(|| LIMITS.to_vec(), |limit| vec![limit]);
    let mut failed = Vec::new();
    for program in Program::all()? {
        for limit in &limits {
            for transport in ["", "force_tcp"] {
                let (name, transport_name) =
                    (program.name, if transport.is_empty() { "UDP" } else { transport });
                let title = format!("{name}, limit {limit} MiB, silent upstream over {transport_name}");
                print(&mut io::stdout(), &title);
                let holds = Experiment { program: &program, limit: *limit, transport, options }.run()?;
                if program.is_ours() && !holds {
                    failed.push(title);
                }
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(BenchError(format!("beyond the bounds: {}", failed.join("; "))))
    }
}

/// Puts this process into a cgroup and replaces it by a program.
pub(crate) fn run_in_cgroup(procs: &Path, command: &[OsString]) -> Result<(), BenchError> {
    fs::write(procs, std::process::id().to_string())?;
    let (program, args) = command.split_first().ok_or_else(|| BenchError("no program".to_owned()))?;
    Err(Command::new(program).args(args).exec().into())
}

struct Experiment<'a> {
    program: &'a Program,
    /// In MiB.
    limit: u64,
    transport: &'static str,
    options: MemoryOptions,
}

impl Experiment<'_> {
    /// True when the bounds hold.
    fn run(&self) -> Result<bool, BenchError> {
        let hot = TestQuery::several(HOT)?;
        let upstream = Upstream::start(&hot, UnknownNames::Answered)?;
        let silent = Blackhole::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let (dir, cgroup) = (TempDir::new()?, Cgroup::create(self.limit << 20)?);
        let corefile = corefile(upstream.addr, silent.addr(), self.transport);
        let workers = self.options.workers.to_string();
        let server = self.program.start_in(&cgroup.procs(), &corefile, &["-workers", &workers], &dir)?;
        fill_cache(&server)?;
        hit::fill(&server, &hot)?;
        let before = upstream.query_count();
        let samples = self.flood(&server, &cgroup, &hot)?;
        self.report((&server, &cgroup), &samples, upstream.query_count() - before)
    }

    /// Prints the memory of each second. Returns what became of the queries for hot names.
    fn flood(&self, server: &Server, cgroup: &Cgroup, hot: &[TestQuery]) -> Result<Vec<Sample>, BenchError> {
        let MemoryOptions { rate, seconds, hot_rate, .. } = self.options;
        let mut flood = Flood::start(server.addr, rate, DOMAIN)?;
        let count = usize::try_from(hot_rate * seconds).unwrap_or(usize::MAX);
        let queries: Vec<TestQuery> = hot.iter().cycle().take(count).cloned().collect();
        let pace = Pace { server: server.addr, rate: hot_rate };
        let client = Builder::new().name("client".to_owned()).spawn(move || pace.run(&queries))?;
        let mut resident = Vec::new();
        let mut used = Vec::new();
        for _ in 0..seconds {
            thread::sleep(Duration::from_secs(1));
            resident.push(mib(resident_kib(&server.pid().to_string(), "VmRSS").unwrap_or(0) << 10));
            used.push(mib(cgroup.usage()?));
        }
        let sent = flood.stop()?;
        print(
            &mut io::stdout(),
            &format!("  sent {sent} new names, {} per second", sent / u64::from(seconds.max(1))),
        );
        print(&mut io::stdout(), &format!("  RSS MiB each second     {}", resident.join(" ")));
        print(&mut io::stdout(), &format!("  cgroup MiB each second  {}", used.join(" ")));
        client.join().map_err(|_| BenchError("the client has failed".to_owned()))?
    }

    /// Prints what became of the queries for hot names. True when the daemon was not killed, and
    /// hot names were hits, unless the kernel dropped them.
    fn report(
        &self,
        (server, cgroup): (&Server, &Cgroup),
        samples: &[Sample],
        misses: u64,
    ) -> Result<bool, BenchError> {
        let responses: Vec<Answer> = samples.iter().filter_map(|sample| sample.response).collect();
        let expected = responses.iter().filter(|response| response.expected).count();
        let [asked, responded, answered] =
            [samples.len(), responses.len(), expected].map(|count| u64::try_from(count).unwrap_or(0));
        let (failed, unanswered) = (responded - answered, asked - responded);
        let hits = 100.0 * figures::count(answered.saturating_sub(misses)) / figures::count(responded);
        let most = resident_kib(&server.pid().to_string(), "VmHWM").unwrap_or(0);
        let kills = cgroup.oom_kills()?;
        print(
            &mut io::stdout(),
            &format!(
                "  hot names: {asked} asked, {answered} answered, {failed} failed, {unanswered} unanswered, {misses} missed, {hits:.2} % of the responses hits\n  killed {kills}, VmHWM {} MiB",
                mib(most << 10)
            ),
        );
        if kills > 0 {
            return Ok(false);
        }
        for counter in COUNTERS {
            if let Some(count) = server.counter(counter)? {
                print(&mut io::stdout(), &format!("  {counter} {count}"));
            }
        }
        Ok(hits >= MIN_HIT_PERCENT)
    }
}

/// Counters that explain a run.
const COUNTERS: [&str; 4] = [
    "coredns_dns_requests_total",
    "nodelocaldns_limit_hits_total",
    "nodelocaldns_udp_queue_overflows_total",
    "nodelocaldns_log_lines_dropped_total",
];

/// Hot names go to an upstream that answers, all others to one that does not.
fn corefile(answering: SocketAddr, silent: SocketAddr, transport: &str) -> String {
    let block = |zone: &str, forward: &str| {
        format!(
            "{zone}:PORT {{\n    errors\n    cache 3600 {{\n        success 1000000\n        denial 1000000\n    }}\n    bind 127.0.0.1\n    forward . {forward}\n    prometheus METRICS\n}}\n"
        )
    };
    let to_silent = if transport.is_empty() {
        silent.to_string()
    } else {
        format!("{silent} {{\n        {transport}\n    }}")
    };
    block("cluster.local", &answering.to_string())
        + &block(FILL_DOMAIN, &answering.to_string())
        + &block(".", &to_silent)
}

/// Asks more names than the cache holds.
fn fill_cache(server: &Server) -> Result<(), BenchError> {
    for first in (0..FILL).step_by(usize::try_from(NAMES_PER_RUN).unwrap_or(1)) {
        let numbers = first..first + NAMES_PER_RUN;
        let names =
            numbers.map(|number| TestQuery::named(&format!("n{number}.{FILL_DOMAIN}"), ADDRESS, false));
        let queries = names.collect::<Result<Vec<_>, _>>()?;
        udp::run(server, &queries, LoadConfig::new(u64::from(NAMES_PER_RUN), WINDOW))?;
    }
    Ok(())
}

fn mib(octets: u64) -> String {
    format!("{:.1}", f64::from(u32::try_from(octets >> 10).unwrap_or(u32::MAX)) / 1024.0)
}
