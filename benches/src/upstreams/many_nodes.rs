//! One CoreDNS and the caches of many nodes: connections and memory of CoreDNS, memory and CPU time of
//! a cache that is hardly used.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use clap::Args;

use super::addon::{NEW, corefile, name};
use super::addon_upstream::AddonUpstream;
use super::namespace;
use crate::clients::{LoadConfig, udp};
use crate::figures::{count, micros};
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::scan::resident_kib;
use crate::servers::{Program, Server, TempDir};

/// New names of a node in a pass, and those of them that are outstanding at once: a pod that starts.
const NAMES: u32 = 64;
const WINDOW: usize = 16;
const PASSES: u32 = 5;
/// Idle connections are counted after these times, the second one counted from the first.
const IDLE: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(45)];
/// ESTABLISHED in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";

/// The size of the measurement.
#[derive(Args)]
pub(crate) struct ManyNodesOptions {
    /// Caches on the one CoreDNS
    #[arg(long, default_value_t = 50)]
    nodes: u32,
}

/// Prints a row per program.
pub(super) fn measure(options: &ManyNodesOptions) -> Result<(), BenchError> {
    let upstream = namespace::enter()?;
    print(
        &mut std::io::stdout(),
        &format!(
            "{} caches on one CoreDNS; {PASSES} times {NAMES} new names of each, {WINDOW} at once\n{:<16}{:>22}{:>24}{:>14}{:>14}",
            options.nodes, "", "connections at CoreDNS", "CoreDNS RSS MiB", "RSS MiB", "idle",
        ),
    );
    print(
        &mut std::io::stdout(),
        &format!(
            "{:<16}{:>10}{:>6}{:>6}{:>12}{:>12}{:>14}{:>14}",
            "", "busy", "15 s", "60 s", "before", "after", "per cache", "millicores"
        ),
    );
    for program in Program::all()? {
        print(&mut std::io::stdout(), &row(&program, upstream, options)?);
    }
    Ok(())
}

fn row(program: &Program, upstream: SocketAddr, options: &ManyNodesOptions) -> Result<String, BenchError> {
    let coredns = AddonUpstream::start(upstream, NEW)?;
    let Some(process) = coredns.process() else {
        return Err(BenchError(
            "COREDNS is not set: scripts/coredns builds it and prints its path".to_owned(),
        ));
    };
    let coredns_mib = || resident_mib(process);
    let dir = TempDir::new()?;
    let mut numbers = 0..;
    let mut caches = Vec::new();
    for _ in 0..options.nodes {
        let cache = program.start(&corefile(upstream), &dir)?;
        hit::fill(&cache, &fresh(&mut numbers, 1)?)?;
        caches.push(cache);
    }
    let before = coredns_mib()?;
    let mut busy = 0;
    for _ in 0..PASSES {
        for cache in &caches {
            pass(cache, &fresh(&mut numbers, NAMES)?)?;
        }
        busy = busy.max(connections(upstream)?);
    }
    let after = coredns_mib()?;
    let mut idle = Vec::new();
    for pause in IDLE {
        let cpu = cpu_ns(&caches)?;
        thread::sleep(pause);
        idle.push((connections(upstream)?, cpu_ns(&caches)?.saturating_sub(cpu)));
    }
    let [(first, _), (second, cpu)] = idle.try_into().map_err(|_| BenchError("two pauses".to_owned()))?;
    let nodes = f64::from(options.nodes);
    let [_, pause] = IDLE;
    let millicores = micros(cpu) / 1000.0 / pause.as_secs_f64() / nodes;
    let mut resident = 0.0;
    for cache in &caches {
        resident += resident_mib(cache.pid())?;
    }
    Ok(format!(
        "{:<16}{busy:>10}{first:>6}{second:>6}{before:>12.1}{after:>12.1}{:>14.1}{millicores:>14.2}",
        program.name,
        resident / nodes,
    ))
}

fn fresh(numbers: &mut impl Iterator<Item = u32>, count: u32) -> Result<Vec<TestQuery>, BenchError> {
    (0..count).map(|_| name(&format!("n{}", numbers.next().unwrap_or_default()))).collect()
}

fn pass(cache: &Server, queries: &[TestQuery]) -> Result<(), BenchError> {
    let outcome = udp::run(cache, queries, LoadConfig::new(u64::from(NAMES), WINDOW))?;
    match outcome.failed() {
        0 => Ok(()),
        failed => Err(BenchError(format!("{}: {failed} queries without a correct response", cache.name))),
    }
}

fn cpu_ns(caches: &[Server]) -> Result<u64, BenchError> {
    caches.iter().map(Server::cpu_ns).sum()
}

fn resident_mib(process: u32) -> Result<f64, BenchError> {
    Ok(count(resident_kib(&process.to_string(), "VmRSS")?) / 1024.0)
}

/// Established TCP connections to the upstream.
fn connections(upstream: SocketAddr) -> Result<usize, BenchError> {
    let SocketAddr::V4(upstream) = upstream else { return Ok(0) };
    let remote = format!("{:08X}:{:04X}", u32::from_le_bytes(upstream.ip().octets()), upstream.port());
    let table = fs::read_to_string("/proc/net/tcp")?;
    let is_one = |line: &&str| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        fields.next() == Some(&remote) && fields.next() == Some(ESTABLISHED)
    };
    Ok(table.lines().filter(is_one).count())
}
