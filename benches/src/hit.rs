//! CPU time per cache hit: rounds with each server in turn, one table per number of outstanding
//! queries.

use std::fmt::Write as _;

use clap::Args;

use crate::clients::{LoadConfig, Outcome, udp};
use crate::cpu::{self, Cores};
use crate::figures::{count, median, micros, sorted};
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{self, Program, Server, TempDir};
use crate::upstream::{UnknownNames, Upstream};

/// Attempts to get the first response of a server, half a second each.
const MAX_ATTEMPTS: usize = 40;

/// The size of the measurement.
#[derive(Args)]
pub(crate) struct HitOptions {
    /// Rounds; in each, every server gets the same queries, one server after another
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Queries per round with 32 and 64 outstanding; a tenth of it with one
    #[arg(long, default_value_t = 200_000)]
    queries: u64,
    /// Distinct names
    #[arg(long, default_value_t = 100)]
    names: u16,
}

/// Measures and prints the tables.
pub(crate) fn measure(options: &HitOptions) -> Result<(), BenchError> {
    let testbed = Testbed::start(options.names)?;
    let windows = [(64, options.queries), (32, options.queries), (1, options.queries / 10)];
    for (window, queries) in windows {
        let config = LoadConfig::new(queries, window);
        let rows = testbed.rounds(options.rounds, config)?;
        print(&mut std::io::stdout(), &table(&rows, config, options));
    }
    Ok(())
}

/// A short run that checks every response.
pub(crate) fn smoke() -> Result<(), BenchError> {
    let testbed = Testbed::start(50)?;
    for window in [32, 1] {
        let rows = testbed.rounds(1, LoadConfig::new(5000, window))?;
        for row in &rows {
            let (lost, wrong) = row.rounds.iter().fold((0, 0), |(lost, wrong), round| {
                (lost + round.outcome.lost, wrong + round.outcome.wrong)
            });
            if lost + wrong > 0 {
                return Err(BenchError(format!(
                    "{}: {lost} queries lost, {wrong} wrong responses",
                    row.name
                )));
            }
        }
    }
    print(&mut std::io::stdout(), "benches: every response was correct");
    Ok(())
}

/// Servers with a filled cache.
struct Testbed {
    servers: Vec<Server>,
    queries: Vec<TestQuery>,
    upstream: Upstream,
    // Dropped last: the servers use its files.
    _dir: TempDir,
}

impl Testbed {
    fn start(names: u16) -> Result<Self, BenchError> {
        let cores = Cores::choose()?;
        cpu::pin(cores.load)?;
        let queries = TestQuery::several(names)?;
        let upstream = Upstream::start(&queries, UnknownNames::Ignored)?;
        let dir = TempDir::new()?;
        let servers = start_servers(&upstream, &dir, cores)?;
        for server in &servers {
            fill(server, &queries)?;
        }
        Ok(Self { servers, queries, upstream, _dir: dir })
    }

    /// One row per server.
    fn rounds(&self, rounds: usize, config: LoadConfig) -> Result<Vec<Row>, BenchError> {
        let mut rows: Vec<Row> =
            self.servers.iter().map(|server| Row { name: server.name, rounds: Vec::new() }).collect();
        let misses_before = self.upstream.query_count();
        for _ in 0..rounds {
            for (server, row) in self.servers.iter().zip(&mut rows) {
                let before = server.cpu_ns()?;
                let outcome = udp::run(server, &self.queries, config)?;
                let cpu_ns = server.cpu_ns()?.saturating_sub(before);
                row.rounds.push(Round { outcome, cpu_ns });
            }
        }
        match self.upstream.query_count() - misses_before {
            0 => Ok(rows),
            misses => Err(BenchError(format!("{misses} queries were misses"))),
        }
    }
}

/// Starts the floor and the caching servers, pinned to the server core.
fn start_servers(upstream: &Upstream, dir: &TempDir, cores: Cores) -> Result<Vec<Server>, BenchError> {
    let corefile = servers::corefile("cache 3600", &format!("forward . {}", upstream.addr));
    cpu::pin(cores.server)?;
    let mut servers = vec![servers::start_floor(&std::env::current_exe()?)?];
    for program in Program::all()? {
        servers.push(program.start_with(&corefile, &["-workers", "1"], dir)?);
    }
    cpu::pin(cores.load)?;
    Ok(servers)
}

/// Queries each name, the first one until the server is ready.
pub(crate) fn fill(server: &Server, queries: &[TestQuery]) -> Result<(), BenchError> {
    let count = u64::try_from(queries.len()).unwrap_or(u64::MAX);
    for _ in 0..MAX_ATTEMPTS {
        let first = queries.get(..1).unwrap_or_default();
        if udp::run(server, first, LoadConfig::new(1, 1))?.answered == 1 {
            let rest = udp::run(server, queries, LoadConfig::new(count, 1))?;
            return if rest.answered == count { Ok(()) } else { Err(not_ready(server)) };
        }
    }
    Err(not_ready(server))
}

fn not_ready(server: &Server) -> BenchError {
    BenchError(format!("{} does not answer as expected; its log: {}", server.name, server.log()))
}

struct Row {
    name: &'static str,
    rounds: Vec<Round>,
}

struct Round {
    outcome: Outcome,
    cpu_ns: u64,
}

impl Row {
    /// Microseconds per response, ascending.
    fn costs(&self) -> Vec<f64> {
        sorted(self.rounds.iter().map(|round| micros(round.cpu_ns) / count(round.outcome.answered)))
    }

    /// Responses per second, ascending.
    fn rates(&self) -> Vec<f64> {
        sorted(
            self.rounds
                .iter()
                .map(|round| count(round.outcome.answered) / round.outcome.duration.as_secs_f64()),
        )
    }

    /// Queries without a correct response.
    fn unanswered(&self) -> u64 {
        self.rounds.iter().map(|round| round.outcome.failed()).sum()
    }
}

/// The rows as text, compared to the first.
fn table(rows: &[Row], config: LoadConfig, options: &HitOptions) -> String {
    let mut text = format!(
        "{} outstanding, {} queries per round, {} rounds, {} names\n{:<16}{:>12}{:>8}{:>8}{:>9}{:>13}{:>12}\n",
        config.window,
        config.queries,
        options.rounds,
        options.names,
        "",
        "CPU us/query",
        "min",
        "max",
        "x floor",
        "responses/s",
        "unanswered",
    );
    let floor = rows.first().map_or(f64::NAN, |row| median(&row.costs()));
    for row in rows {
        let costs = row.costs();
        let (min, max) = (costs.first().copied(), costs.last().copied());
        writeln!(
            text,
            "{:<16}{:>12.2}{:>8.2}{:>8.2}{:>9.2}{:>13.0}{:>12}",
            row.name,
            median(&costs),
            min.unwrap_or(f64::NAN),
            max.unwrap_or(f64::NAN),
            median(&costs) / floor,
            median(&row.rates()),
            row.unanswered(),
        )
        .ok(); // Writing to a String does not fail.
    }
    text
}
