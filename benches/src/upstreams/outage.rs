//! All upstreams of the add-on's Corefile disappear for some seconds, or lose packets: response
//! times of known names, and the first fresh answer.

use std::net::SocketAddr;
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use super::addon::{LATE, NAMES, NEW, OLD, TTL, corefile, known_names};
use super::addon_upstream::AddonUpstream;
use super::bounds::Bounds;
use super::latency::{Latencies, failed, ms};
use super::namespace;
use super::pace::{Pace, Sample};
use crate::figures::now;
use crate::output::{BenchError, print};
use crate::servers::{Program, TempDir};

/// Maximum time from the return of the upstream to the first answer with its new records.
const MAX_FRESH: Duration = Duration::from_millis(200);

/// Time before, during and after the outage.
const BEFORE: Duration = Duration::from_secs(10);
const OUTAGE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(10);

/// How the upstream disappears.
#[derive(Clone, Copy)]
enum Outage {
    /// Its connections are closed and its port is closed.
    Refused,
    /// Packets from and to it are dropped.
    Silent,
}

/// Prints a row per program and kind of outage.
pub(crate) fn measure() -> Result<(), BenchError> {
    let upstream = namespace::enter()?;
    print(
        &mut std::io::stdout(),
        &format!(
            "{NAMES} known names at {NAMES}/s with TTL {TTL}, no upstream for {} s; milliseconds\n{:<14}{:<9}{:>9}{:>16}{:>8}{:>9}{:>9}{:>13}",
            OUTAGE.as_secs(),
            "",
            "outage",
            "queries",
            "late (>300 ms)",
            "failed",
            "p99",
            "max",
            "first fresh"
        ),
    );
    let mut bounds = Bounds::default();
    for program in Program::all()? {
        for (outage, name) in [(Outage::Refused, "refused"), (Outage::Silent, "silent")] {
            let (samples, returned) = run(&program, upstream, outage)?;
            report((&program, name), &samples, returned, &mut bounds);
        }
    }
    bounds.result("known names 300 ms, none failed, first fresh answer 200 ms")
}

/// The samples, and when the upstream returned.
fn run(program: &Program, addr: SocketAddr, outage: Outage) -> Result<(Vec<Sample>, Instant), BenchError> {
    namespace::set_rules(&[])?;
    let upstream = AddonUpstream::start(addr, OLD)?;
    let dir = TempDir::new()?;
    let server = program.start(&corefile(addr), &dir)?;
    let seconds = u32::try_from((BEFORE + OUTAGE + AFTER).as_secs()).unwrap_or(u32::MAX);
    let queries = known_names(NAMES * seconds)?;
    thread::scope(|scope| {
        let load =
            Builder::new().spawn_scoped(scope, || Pace { server: server.addr, rate: NAMES }.run(&queries))?;
        let returned = interrupt(upstream, addr, outage)?;
        let samples = load.join().map_err(|_| BenchError("the load generator panicked".to_owned()))??;
        Ok((samples, returned.at))
    })
}

/// An upstream that runs until dropped.
struct Returned {
    at: Instant,
    _upstream: AddonUpstream,
}

/// Waits, stops the upstream for the outage, and starts it with other records.
fn interrupt(upstream: AddonUpstream, addr: SocketAddr, outage: Outage) -> Result<Returned, BenchError> {
    thread::sleep(BEFORE);
    match outage {
        Outage::Refused => {
            drop(upstream);
            thread::sleep(OUTAGE);
            let upstream = AddonUpstream::start(addr, NEW)?;
            Ok(Returned { at: now(), _upstream: upstream })
        }
        Outage::Silent => {
            namespace::set_rules(&namespace::upstream_rules("drop"))?;
            drop(upstream);
            thread::sleep(OUTAGE);
            let upstream = AddonUpstream::start(addr, NEW)?;
            let at = now();
            namespace::set_rules(&[])?;
            Ok(Returned { at, _upstream: upstream })
        }
    }
}

fn report((program, outage): (&Program, &str), samples: &[Sample], returned: Instant, bounds: &mut Bounds) {
    let latencies = Latencies::new(samples);
    let (late, failed) = (latencies.later_than(LATE), failed(samples));
    let fresh = samples.iter().filter_map(|sample| sample.response).filter(|answer| answer.expected);
    let fresh = fresh.map(|answer| answer.received.saturating_duration_since(returned)).min();
    let row = format!(
        "{:<14}{outage:<9}{:>9}{late:>16}{failed:>8}{:>9}{:>9}{:>13}",
        program.name,
        samples.len(),
        ms(latencies.percentile(99)),
        ms(latencies.max()),
        fresh.map_or_else(|| "none".to_owned(), ms),
    );
    print(&mut std::io::stdout(), &row);
    let holds = late == 0 && failed == 0 && fresh.is_some_and(|fresh| fresh <= MAX_FRESH);
    bounds.check(program, holds, outage);
}
