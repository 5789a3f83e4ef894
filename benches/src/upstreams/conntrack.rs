//! Connection-tracking entries of UDP queries to an upstream; with a slow upstream, failed queries
//! and memory.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::bounds::Bounds;
use super::latency::failed;
use super::namespace;
use super::pace::Pace;
use super::slow_upstream;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::scan::resident_kib;
use crate::servers::{self, Program, TempDir};
use crate::upstream::ADDRESS;

/// Seconds of queries.
const SECONDS: u32 = 15;
/// Time to a response of the slow upstream: longer than the retransmission timeout of the daemon.
const DELAY: Duration = Duration::from_millis(2200);
/// Maximum entries towards an upstream that responds immediately.
const MAX_ENTRIES: usize = 64;
/// Maximum of `VmHWM` with the slow upstream.
const MAX_RESIDENT_KIB: u64 = 60 << 10;

/// Queries of a row.
#[derive(Clone, Copy)]
struct Load {
    /// The upstream responds after [`DELAY`].
    slow: bool,
    /// New names per second.
    rate: u32,
}

/// Result of a row.
struct Figures {
    failed: usize,
    entries: usize,
    /// `None` for a program without this metric.
    mismatches: Option<u64>,
    resident_kib: u64,
}

/// Prints a row per program and load.
pub(crate) fn measure() -> Result<(), BenchError> {
    let upstream = namespace::enter()?;
    // Connections are tracked in a namespace with a rule that refers to them.
    namespace::set_rules(&["ct state new counter".to_owned()])?;
    print(
        &mut std::io::stdout(),
        &format!(
            "New names for {SECONDS} s, prefer_udp, upstreams without TCP; the slow one responds after {} ms\n{:<14}{:>9}{:>10}{:>9}{:>8}{:>19}{:>12}{:>11}",
            DELAY.as_millis(),
            "",
            "names/s",
            "upstream",
            "queries",
            "failed",
            "conntrack entries",
            "mismatches",
            "VmHWM KiB"
        ),
    );
    let loads = [(false, 500), (true, 1000), (true, 3000)].map(|(slow, rate)| Load { slow, rate });
    let mut bounds = Bounds::default();
    for program in Program::all()? {
        for load in loads {
            let figures = run(&program, load, upstream.ip())?;
            report(&program, load, &figures, &mut bounds);
        }
    }
    bounds.result("fast: 64 entries; all: none failed, no mismatch, 60 MiB")
}

/// With an upstream of its own, to whose port no earlier run has entries.
fn run(program: &Program, load: Load, upstream: IpAddr) -> Result<Figures, BenchError> {
    let delay = if load.slow { DELAY } else { Duration::ZERO };
    let upstream = slow_upstream::start(upstream, delay)?;
    let dir = TempDir::new()?;
    let corefile = servers::corefile("cache 30", &format!("forward . {upstream} {{\n prefer_udp\n }}"));
    let server = program.start(&corefile, &dir)?;
    let queries: Vec<TestQuery> = (0..load.rate * SECONDS)
        .map(|number| TestQuery::named(&format!("n{number}.example"), ADDRESS, false))
        .collect::<Result<_, _>>()?;
    let samples = Pace { server: server.addr, rate: load.rate }.run(&queries)?;
    Ok(Figures {
        failed: failed(&samples),
        entries: entries(upstream)?,
        mismatches: server.counter("nodelocaldns_upstream_mismatches_total")?,
        resident_kib: resident_kib(&server.pid().to_string(), "VmHWM")?,
    })
}

/// Entries of UDP flows to the upstream. An entry is removed 30 s after its last packet, or 120 s
/// if there was more than one exchange: none of a run is.
fn entries(upstream: SocketAddr) -> Result<usize, BenchError> {
    let table = fs::read_to_string("/proc/net/nf_conntrack")?;
    let destination = [format!(" dst={} ", upstream.ip()), format!(" dport={} ", upstream.port())];
    let is_flow =
        |line: &&str| line.contains(" udp ") && destination.iter().all(|field| line.contains(field.as_str()));
    Ok(table.lines().filter(is_flow).count())
}

fn report(program: &Program, load: Load, figures: &Figures, bounds: &mut Bounds) {
    let Figures { failed, entries, mismatches, resident_kib } = *figures;
    let upstream = if load.slow { "slow" } else { "fast" };
    let row = format!(
        "{:<14}{:>9}{upstream:>10}{:>9}{failed:>8}{entries:>19}{:>12}{resident_kib:>11}",
        program.name,
        load.rate,
        load.rate * SECONDS,
        mismatches.map_or_else(|| "-".to_owned(), |mismatches| mismatches.to_string()),
    );
    print(&mut std::io::stdout(), &row);
    let holds = failed == 0
        && mismatches.is_none_or(|mismatches| mismatches == 0)
        && resident_kib <= MAX_RESIDENT_KIB
        && (load.slow || entries <= MAX_ENTRIES);
    bounds.check(program, holds, &format!("{} names/s, {upstream}", load.rate));
}
