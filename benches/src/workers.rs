//! CPU time per cache hit with one and with two workers: what they cost each other.

use std::fmt::Write as _;

use clap::Args;

use crate::clients::{LoadConfig, udp};
use crate::cpu::{self, Cores};
use crate::figures::{count, median, micros, sorted};
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{self, Program, Server, TempDir};
use crate::upstream::{UnknownNames, Upstream};

/// Source ports with one outstanding query each: the kernel spreads them over the workers.
const FLOWS: usize = 128;

/// The size of the measurement.
#[derive(Args)]
pub(crate) struct WorkersOptions {
    /// Rounds, after one that does not count; in each, one process after the other
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Queries per round
    #[arg(long, default_value_t = 200_000)]
    queries: u64,
    /// Distinct names
    #[arg(long, default_value_t = 1000)]
    names: u16,
}

/// CPU microseconds per response, and responses per second.
#[derive(Clone, Copy)]
struct Figures {
    cost: f64,
    rate: f64,
}

/// Measures and prints the table.
pub(crate) fn measure(options: &WorkersOptions) -> Result<(), BenchError> {
    let cores = Cores::choose()?;
    let all = cpu::allowed()?;
    cpu::pin(cores.load)?;
    let queries = TestQuery::several(options.names)?;
    let upstream = Upstream::start(&queries, UnknownNames::Ignored)?;
    let dir = TempDir::new()?;
    let corefile = servers::corefile("cache 3600", &format!("forward . {}", upstream.addr));
    cpu::allow(&all)?;
    let one = Program::daemon()?.start_with(&corefile, &["-workers", "1"], &dir)?;
    let two = Program::daemon()?.start_with(&corefile, &["-workers", "2"], &dir)?;
    cpu::pin(cores.load)?;
    let config = LoadConfig { flows: FLOWS, ..LoadConfig::new(options.queries, FLOWS) };
    for server in [&one, &two] {
        hit::fill(server, &queries)?;
        run(server, &queries, config)?;
    }
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let figures = |server| run(server, &queries, config);
        // None always comes first.
        rounds.push(if round % 2 == 0 {
            (figures(&one)?, figures(&two)?)
        } else {
            let second = figures(&two)?;
            (figures(&one)?, second)
        });
    }
    print(&mut std::io::stdout(), &table(&rounds));
    Ok(())
}

fn run(server: &Server, queries: &[TestQuery], config: LoadConfig) -> Result<Figures, BenchError> {
    let before = server.cpu_ns()?;
    let outcome = udp::run(server, queries, config)?;
    let cpu_ns = server.cpu_ns()?.saturating_sub(before);
    if outcome.failed() > 0 {
        return Err(BenchError(format!("{} queries without a correct response", outcome.failed())));
    }
    let rate = count(outcome.answered) / outcome.duration.as_secs_f64();
    Ok(Figures { cost: micros(cpu_ns) / count(outcome.answered), rate })
}

fn table(rounds: &[(Figures, Figures)]) -> String {
    let mut text = format!("{:<10}{:>12}{:>8}{:>13}\n", "workers", "CPU us/query", "x one", "responses/s");
    let median_of = |value: &dyn Fn(&(Figures, Figures)) -> f64| median(&sorted(rounds.iter().map(value)));
    let ratio = median_of(&|(one, two)| two.cost / one.cost);
    let rows = [
        (1, median_of(&|(one, _)| one.cost), 1.0, median_of(&|(one, _)| one.rate)),
        (2, median_of(&|(_, two)| two.cost), ratio, median_of(&|(_, two)| two.rate)),
    ];
    for (workers, cost, ratio, rate) in rows {
        // Writing to a String does not fail.
        writeln!(text, "{workers:<10}{cost:>12.2}{ratio:>8.2}{rate:>13.0}").ok();
    }
    writeln!(text, "two workers on cores of their own answer {:.2} x as many as one", 2.0 / ratio).ok();
    text
}
