//! The scan of [`scan`](crate::scan) through the sockets of the daemon, with several workers: hit
//! ratio of popular names, and memory.

use clap::Args;

use crate::clients::{LoadConfig, udp};
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::scan::{BUDGET, CAPACITIES, HOT, resident_kib};
use crate::servers::{self, Program, Server, TempDir};
use crate::upstream::{ADDRESS, UnknownNames, Upstream};

/// Outstanding queries.
const WINDOW: usize = 64;
/// The timeout of a stub resolver, in milliseconds.
const TIMEOUT_MS: u16 = 5000;
/// One-time names per run of the load generator.
const NAMES_PER_RUN: u32 = 1000;
/// Memory beside the cache: connections, queries and the program.
const OVERHEAD_KIB: u64 = 16 << 10;
/// Minimum hit ratio of hot names, in per cent.
const MIN_HIT_PERCENT: f64 = 99.0;

/// The size of the flood.
#[derive(Args, Clone, Copy)]
pub(crate) struct FloodOptions {
    /// One-time names
    #[arg(long, default_value_t = 1_000_000)]
    names: u32,
    /// One-time names per query for a hot name
    #[arg(long, default_value_t = 1)]
    each: u32,
    /// Workers of the daemon
    #[arg(long, default_value_t = 2)]
    workers: u32,
}

/// Prints a line for each capacity; fails when hot names are evicted, memory exceeds its bound, or
/// queries are unanswered.
pub(crate) fn measure(options: &FloodOptions) -> Result<(), BenchError> {
    print(
        &mut std::io::stdout(),
        &format!(
            "{} one-time names, {} per query for one of {HOT} hot names, {} workers, a budget of {} KiB\n{:>10}{:>10}{:>12}{:>14}{:>16}{:>16}{:>16}",
            options.names,
            options.each,
            options.workers,
            BUDGET >> 10,
            "capacity",
            "hot hits",
            "unanswered",
            "queries/s",
            "RSS before KiB",
            "RSS after KiB",
            "RSS max KiB",
        ),
    );
    CAPACITIES.into_iter().try_for_each(|capacity| flood(capacity, options))
}

/// A flood of 30,000 names.
pub(crate) fn smoke() -> Result<(), BenchError> {
    measure(&FloodOptions { names: 30_000, each: 1, workers: 2 })
}

fn flood(capacity: u32, options: &FloodOptions) -> Result<(), BenchError> {
    let hot = TestQuery::several(HOT)?;
    let upstream = Upstream::start(&hot, UnknownNames::Answered)?;
    let dir = TempDir::new()?;
    let cache = format!("cache 3600 {{\n        success {capacity}\n    }}");
    let corefile = servers::corefile(&cache, &format!("forward . {}", upstream.addr));
    let (workers, budget) = (options.workers.to_string(), BUDGET.to_string());
    let flags = ["-workers", &workers, "-cache-bytes", &budget];
    let daemon = Program::daemon()?.start_with(&corefile, &flags, &dir)?;
    hit::fill(&daemon, &hot)?;
    let before = resident(&daemon, "VmRSS")?;
    let totals = query_all(&daemon, options)?;
    let hot_hits = 100.0 - percent(upstream.query_count().saturating_sub(u64::from(HOT)), totals.hot);
    let (after, max) = (resident(&daemon, "VmRSS")?, resident(&daemon, "VmHWM")?);
    print(
        &mut std::io::stdout(),
        &format!(
            "{capacity:>10}{hot_hits:>9.2}%{:>12}{:>14.0}{before:>16}{after:>16}{max:>16}",
            totals.unanswered, totals.rate
        ),
    );
    if hot_hits < MIN_HIT_PERCENT || after > (BUDGET >> 10) + OVERHEAD_KIB || totals.unanswered > 0 {
        return Err(BenchError(format!(
            "capacity {capacity}: hot names were evicted, memory exceeded its bound, or queries were unanswered"
        )));
    }
    Ok(())
}

/// Totals of all runs.
#[derive(Default)]
struct Totals {
    hot: u64,
    unanswered: u64,
    /// Queries per second.
    rate: f64,
}

/// Queries all one-time names, with hot names between them.
fn query_all(daemon: &Server, options: &FloodOptions) -> Result<Totals, BenchError> {
    let mut totals = Totals::default();
    let (mut answered, mut seconds) = (0, 0.0);
    let mut turn = (0..HOT).cycle();
    for first in (0..options.names).step_by(usize::try_from(NAMES_PER_RUN).unwrap_or(1)) {
        let mut queries = Vec::new();
        for number in first..options.names.min(first + NAMES_PER_RUN) {
            queries.push(TestQuery::named(&format!("n{number}.once.example"), ADDRESS, false)?);
            if number % options.each.max(1) == 0
                && let Some(number) = turn.next()
            {
                queries.push(TestQuery::new(number)?);
                totals.hot += 1;
            }
        }
        let count = u64::try_from(queries.len()).unwrap_or(u64::MAX);
        let config = LoadConfig { timeout_ms: TIMEOUT_MS, ..LoadConfig::new(count, WINDOW) };
        let outcome = udp::run(daemon, &queries, config)?;
        totals.unanswered += outcome.lost + outcome.wrong;
        answered += outcome.answered;
        seconds += outcome.duration.as_secs_f64();
    }
    totals.rate = u32::try_from(answered).map_or(f64::NAN, f64::from) / seconds;
    Ok(totals)
}

fn resident(daemon: &Server, field: &str) -> Result<u64, BenchError> {
    resident_kib(&daemon.pid().to_string(), field)
}

fn percent(part: u64, whole: u64) -> f64 {
    let [part, whole] = [part, whole].map(|count| u32::try_from(count).map_or(f64::NAN, f64::from));
    part / whole * 100.0
}
