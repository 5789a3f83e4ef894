//! The flood of [`scan`](crate::scan) through the sockets of the whole daemon, with several workers: what hot names and
//! memory make of it.

use clap::Args;

use crate::load::{self, Plan};
use crate::questions::Question;
use crate::scan::{BUDGET, CAPACITIES, HOT, resident_kib};
use crate::servers::{self, Folder, Server, Stage};
use crate::upstream::{ADDRESS, Others, Upstream};
use crate::{Failed, hit, say};

/// Queries open at a time.
const WINDOW: usize = 64;
/// As long as a stub resolver waits, in milliseconds.
const PATIENCE_MS: u16 = 5000;
/// Names asked once in one go.
const GO: u32 = 1000;
/// Memory that is not the cache's: connections, questions and the program.
const BESIDE_KIB: u64 = 16 << 10;
/// Hot names must be hits this often.
const LEAST_HITS: f64 = 99.0;

/// How large the flood is.
#[derive(Args, Clone, Copy)]
pub(crate) struct Extent {
    /// Names asked once.
    #[arg(long, default_value_t = 1_000_000)]
    names: u32,
    /// Of these, asked for each query for a hot name.
    #[arg(long, default_value_t = 1)]
    each: u32,
    /// Workers of the daemon.
    #[arg(long, default_value_t = 2)]
    workers: u32,
}

/// Prints a line for each capacity; fails when hot names are lost or memory is beyond its bound.
pub(crate) fn measure(extent: &Extent) -> Result<(), Failed> {
    say(
        &mut std::io::stdout(),
        &format!(
            "{} names asked once, {} for each query for one of {HOT} hot names, {} workers, a budget of {} KiB\n{:>10}{:>10}{:>12}{:>14}{:>16}{:>16}{:>16}",
            extent.names,
            extent.each,
            extent.workers,
            BUDGET >> 10,
            "capacity",
            "hot hits",
            "unanswered",
            "queries/s",
            "RSS before KiB",
            "RSS after KiB",
            "RSS most KiB",
        ),
    );
    CAPACITIES.into_iter().try_for_each(|capacity| flood(capacity, extent))
}

/// A flood of thirty thousand names.
pub(crate) fn smoke() -> Result<(), Failed> {
    measure(&Extent { names: 30_000, each: 1, workers: 2 })
}

fn flood(capacity: u32, extent: &Extent) -> Result<(), Failed> {
    let hot = Question::several(HOT)?;
    let upstream = Upstream::start(&hot, Others::Answered)?;
    let folder = Folder::new()?;
    let cache = format!("cache 3600 {{\n        success {capacity}\n    }}");
    let stage = Stage { upstream: &upstream, folder: &folder, cache: &cache };
    let (workers, budget) = (extent.workers.to_string(), BUDGET.to_string());
    let daemon = servers::start_daemon(stage, &["-workers", &workers, "-cache-bytes", &budget])?;
    hit::fill(&daemon, &hot, &folder)?;
    let before = resident(&daemon, "VmRSS")?;
    let sum = pour(&daemon, extent)?;
    let hot_hits = 100.0 - percent(upstream.asked().saturating_sub(u64::from(HOT)), sum.hot);
    let (after, most) = (resident(&daemon, "VmRSS")?, resident(&daemon, "VmHWM")?);
    say(
        &mut std::io::stdout(),
        &format!(
            "{capacity:>10}{hot_hits:>9.2}%{:>12}{:>14.0}{before:>16}{after:>16}{most:>16}",
            sum.unanswered, sum.rate
        ),
    );
    if hot_hits < LEAST_HITS || after > (BUDGET >> 10) + BESIDE_KIB || sum.unanswered > 0 {
        return Err(Failed(format!("capacity {capacity}: hot names, memory or answers were lost")));
    }
    Ok(())
}

/// What was asked and what came of it.
#[derive(Default)]
struct Sum {
    hot: u64,
    unanswered: u64,
    /// Queries per second.
    rate: f64,
}

/// Asks for all names, hot ones between them.
fn pour(daemon: &Server, extent: &Extent) -> Result<Sum, Failed> {
    let mut sum = Sum::default();
    let (mut queries, mut seconds) = (0, 0.0);
    let mut turn = (0..HOT).cycle();
    for first in (0..extent.names).step_by(usize::try_from(GO).unwrap_or(1)) {
        let mut questions = Vec::new();
        for number in first..extent.names.min(first + GO) {
            questions.push(Question::named(&format!("n{number}.once.example"), ADDRESS, false)?);
            if number % extent.each.max(1) == 0
                && let Some(number) = turn.next()
            {
                questions.push(Question::new(number)?);
                sum.hot += 1;
            }
        }
        let count = u64::try_from(questions.len()).unwrap_or(u64::MAX);
        let plan = Plan { patience_ms: PATIENCE_MS, ..Plan::new(count, WINDOW) };
        let outcome = load::ask(daemon, &questions, plan)?;
        sum.unanswered += outcome.lost + outcome.wrong;
        queries += outcome.answered;
        seconds += outcome.took.as_secs_f64();
    }
    sum.rate = u32::try_from(queries).map_or(f64::NAN, f64::from) / seconds;
    Ok(sum)
}

fn resident(daemon: &Server, field: &str) -> Result<u64, Failed> {
    resident_kib(&daemon.process().to_string(), field)
}

fn percent(part: u64, whole: u64) -> f64 {
    let [part, whole] = [part, whole].map(|count| u32::try_from(count).map_or(f64::NAN, f64::from));
    part / whole * 100.0
}
