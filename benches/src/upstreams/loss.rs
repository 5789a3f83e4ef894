//! Packets between the programs and their upstream are lost: response times of known and new names.

use std::net::SocketAddr;
use std::thread::{self, Builder};
use std::time::Duration;

use super::addon::{LATE, NAMES, NEW, corefile, known_names, name};
use super::addon_upstream::AddonUpstream;
use super::bounds::Bounds;
use super::latency::{Latencies, failed, ms};
use super::namespace;
use super::pace::{Pace, Sample};
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{Program, TempDir};

/// New names, and how many of them per second.
const NEW_NAMES: u32 = 158;
const NEW_RATE: u32 = 5;
/// A response for a new name is late after this time; so many may be.
const NEW_LATE: Duration = Duration::from_secs(1);
const MAX_NEW_LATE: usize = 1;

/// Prints a row per program, for a percentage of lost packets.
pub(super) fn measure(percent: u8) -> Result<(), BenchError> {
    let upstream = namespace::enter()?;
    print(
        &mut std::io::stdout(),
        &format!(
            "{NAMES} known names at {NAMES}/s and {NEW_NAMES} new names at {NEW_RATE}/s, {percent} % of the packets lost in each direction; milliseconds\n{:<14}{:>8}{:>16}{:>8}{:>9}{:>8}{:>13}{:>8}{:>9}{:>9}",
            "", "known", "late (>300 ms)", "failed", "max", "new", "late (>1 s)", "failed", "p50", "max"
        ),
    );
    let mut bounds = Bounds::default();
    for program in Program::all()? {
        let [known, new] = run(&program, upstream, percent)?;
        report(&program, &known, &new, &mut bounds);
    }
    bounds.result("known names 300 ms, one new name above 1 s")
}

/// The samples of known and of new names.
fn run(program: &Program, addr: SocketAddr, percent: u8) -> Result<[Vec<Sample>; 2], BenchError> {
    namespace::set_rules(&[])?;
    let _upstream = AddonUpstream::start(addr, NEW)?;
    let dir = TempDir::new()?;
    let server = program.start(&corefile(addr), &dir)?;
    let query = |rate, queries: &[TestQuery]| Pace { server: server.addr, rate }.run(queries);
    query(NAMES, &known_names(NAMES)?)?;
    namespace::set_rules(&namespace::upstream_rules(&format!("numgen random mod 100 < {percent} drop")))?;
    let known = known_names(NAMES * NEW_NAMES / NEW_RATE)?;
    let new =
        (0..NEW_NAMES).map(|number| name(&format!("ok-new-{number}"))).collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        let known = Builder::new().spawn_scoped(scope, || query(NAMES, &known))?;
        let new = query(NEW_RATE, &new)?;
        let known = known.join().map_err(|_| BenchError("the load generator panicked".to_owned()))??;
        Ok([known, new])
    })
}

fn report(program: &Program, known: &[Sample], new: &[Sample], bounds: &mut Bounds) {
    let (known_latencies, new_latencies) = (Latencies::new(known), Latencies::new(new));
    let (known_late, new_late) = (known_latencies.later_than(LATE), new_latencies.later_than(NEW_LATE));
    let row = format!(
        "{:<14}{:>8}{known_late:>16}{:>8}{:>9}{:>8}{new_late:>13}{:>8}{:>9}{:>9}",
        program.name,
        known.len(),
        failed(known),
        ms(known_latencies.max()),
        new.len(),
        failed(new),
        ms(new_latencies.percentile(50)),
        ms(new_latencies.max()),
    );
    print(&mut std::io::stdout(), &row);
    let holds = known_late == 0 && failed(known) == 0 && new_late <= MAX_NEW_LATE;
    bounds.check(program, holds, &format!("known {known_late} late, new {new_late} late"));
}
