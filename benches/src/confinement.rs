//! Cost of the confinement of threads: CPU time per cache hit, and time to the first response, with it and
//! without it, in pairs.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

use crate::clients::{LoadConfig, udp};
use crate::cpu::{self, Cores};
use crate::figures::{count, median, micros, sorted};
use crate::first_response::first_response;
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{self, Program, Server, TempDir};
use crate::upstream::{ADDRESS, UnknownNames, Upstream};

/// Without and with it.
const FLAGS: [&[&str]; 2] = [&["-workers=1", "-seccomp=false", "-landlock=false"], &["-workers=1"]];

/// The size of the measurement.
#[derive(Args)]
pub(crate) struct ConfinementOptions {
    /// Pairs of rounds
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Hits per round with 64 outstanding; a tenth of it with one
    #[arg(long, default_value_t = 100_000)]
    queries: u64,
}

/// Measures and prints the table.
pub(crate) fn measure(options: &ConfinementOptions) -> Result<(), BenchError> {
    let cores = Cores::choose()?;
    cpu::pin(cores.load)?;
    let queries = TestQuery::several(100)?;
    let upstream = Upstream::start(&queries, UnknownNames::Answered)?;
    let corefile = servers::corefile("cache 3600", &format!("forward . {}", upstream.addr));
    let dir = TempDir::new()?;
    let mut text = format!("{:<28}{:>10}{:>10}{:>8}\n", "", "without", "with", "ratio");
    let pair = FLAGS.map(|flags| {
        cpu::pin(cores.server)?;
        let server = Program::daemon()?.start_with(&corefile, flags, &dir)?;
        cpu::pin(cores.load)?;
        hit::fill(&server, &queries)?;
        Ok::<Server, BenchError>(server)
    });
    let [without, with] = pair;
    let pair = [without?, with?];
    for (window, hits) in [(64, options.queries), (1, options.queries / 10)] {
        let config = LoadConfig::new(hits, window);
        let costs = pairs(options.rounds, |index| cpu_time(pair.get(index), &queries, config))?;
        row(&mut text, &format!("CPU us/hit, {window} outstanding"), &costs);
    }
    drop(pair);
    let starts =
        pairs(options.rounds, |index| start(&dir, &corefile, FLAGS.get(index).copied().unwrap_or_default()))?;
    row(&mut text, "first response, ms", &starts);
    print(&mut std::io::stdout(), &text);
    Ok(())
}

/// Both values of each round, the first of every other round measured last.
fn pairs(
    rounds: usize,
    mut measure: impl FnMut(usize) -> Result<f64, BenchError>,
) -> Result<Vec<[f64; 2]>, BenchError> {
    let rounds = (0..rounds).map(|round| {
        if round % 2 == 0 {
            let first = measure(0)?;
            Ok([first, measure(1)?])
        } else {
            let second = measure(1)?;
            Ok([measure(0)?, second])
        }
    });
    rounds.collect()
}

fn row(text: &mut String, name: &str, rounds: &[[f64; 2]]) {
    let middle = |values: &dyn Fn(&[f64; 2]) -> f64| median(&sorted(rounds.iter().map(values)));
    let (without, with) = (middle(&|[without, _]| *without), middle(&|[_, with]| *with));
    let ratio = middle(&|[without, with]| with / without);
    // Writing to a String does not fail.
    writeln!(text, "{name:<28}{without:>10.2}{with:>10.2}{ratio:>8.3}").ok();
}

/// Microseconds of CPU time per hit.
fn cpu_time(server: Option<&Server>, queries: &[TestQuery], config: LoadConfig) -> Result<f64, BenchError> {
    let server = server.ok_or_else(|| BenchError("no server".to_owned()))?;
    let before = server.cpu_ns()?;
    let outcome = udp::run(server, queries, config)?;
    Ok(micros(server.cpu_ns()?.saturating_sub(before)) / count(outcome.answered))
}

/// Milliseconds from exec to the first response.
fn start(dir: &TempDir, corefile: &str, flags: &[&str]) -> Result<f64, BenchError> {
    let query = TestQuery::named("first.example", ADDRESS, false)?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, servers::free_port()?));
    let path = dir.path().join("first.Corefile");
    std::fs::write(
        &path,
        corefile.replace("PORT", &addr.port().to_string()).replace("METRICS", "127.0.0.1:0"),
    )?;
    let arguments = |command: &mut std::process::Command| {
        command.args(flags).args(servers::NODE_FLAGS).arg(&path).args(["-metrics-listen-address", "0"]);
    };
    let server = Program::daemon()?.spawn(addr, arguments, dir.path())?;
    let time = first_response(&server, &query)?;
    time.map(|time| time.as_secs_f64() * 1e3).ok_or_else(|| BenchError("no first response".to_owned()))
}
