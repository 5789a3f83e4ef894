//! Cost of insight: instructions per cache hit of the whole daemon in user mode, counted by valgrind's
//! callgrind, with `-insight=true` and with `-insight=false`; and CPU time per hit beside it.

use std::fmt::Write as _;

use clap::Args;

use crate::clients::{LoadConfig, udp};
use crate::cpu::{self, Cores};
use crate::figures::{count, median, micros, sorted};
use crate::hit;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::servers::{self, Program, TempDir};
use crate::upstream::{UnknownNames, Upstream};

/// Rounds of the CPU time.
const ROUNDS: usize = 5;
/// The values of the flag.
const FLAGS: [&str; 2] = ["-insight=false", "-insight=true"];

/// The size of the measurement.
#[derive(Args)]
pub(crate) struct InsightOptions {
    /// Hits that are counted, after as many that are not
    #[arg(long, default_value_t = 20_000)]
    queries: u64,
    /// Distinct names
    #[arg(long, default_value_t = 1000)]
    names: u16,
}

struct Testbed {
    queries: Vec<TestQuery>,
    corefile: String,
    cores: Cores,
    hits: u64,
    dir: TempDir,
    _upstream: Upstream,
}

/// Measures and prints the table.
pub(crate) fn measure(options: &InsightOptions) -> Result<(), BenchError> {
    let cores = Cores::choose()?;
    cpu::pin(cores.load)?;
    let queries = TestQuery::several(options.names)?;
    let upstream = Upstream::start(&queries, UnknownNames::Ignored)?;
    let corefile = servers::corefile("cache 3600", &format!("forward . {}", upstream.addr));
    let (dir, hits) = (TempDir::new()?, options.queries);
    let testbed = Testbed { queries, corefile, cores, hits, dir, _upstream: upstream };
    let mut text = format!(
        "{:<13}{:>17}{:>8}{:>6}{:>14}\n",
        "outstanding", "instructions off", "on", "more", "CPU us/query"
    );
    for window in [1, 64] {
        let [off, on] = FLAGS.map(|flag| testbed.instructions(flag, window));
        let (off, on, cost) = (off?, on?, testbed.cpu_time(window)?);
        // Writing to a String does not fail.
        writeln!(text, "{window:<13}{off:>17.0}{on:>8.0}{:>6.0}{cost:>14.2}", on - off).ok();
    }
    print(&mut std::io::stdout(), &text);
    Ok(())
}

impl Testbed {
    /// Per hit: the difference between a long and a short run, so that start-up cancels out.
    fn instructions(&self, flag: &'static str, window: usize) -> Result<f64, BenchError> {
        let long = self.collected(flag, LoadConfig::new(2 * self.hits, window))?;
        let short = self.collected(flag, LoadConfig::new(self.hits, window))?;
        Ok(count(long.saturating_sub(short)) / count(self.hits))
    }

    /// Instructions of a process.
    fn collected(&self, flag: &'static str, config: LoadConfig) -> Result<u64, BenchError> {
        cpu::pin(self.cores.server)?;
        let flags = ["-workers", "1", flag];
        let server = Program::daemon()?.start_counted(&self.corefile, &flags, &self.dir)?;
        cpu::pin(self.cores.load)?;
        hit::fill(&server, &self.queries)?;
        let config = LoadConfig { timeout_ms: 20_000, ..config };
        let failed = udp::run(&server, &self.queries, config)?.failed();
        if failed > 0 {
            return Err(BenchError(format!("{failed} queries without a correct response")));
        }
        let log = server.terminate()?;
        let count = log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
        count.ok_or_else(|| BenchError(format!("valgrind did not count: {log}")))
    }

    /// Microseconds per hit with insight, without valgrind: the median of the rounds.
    fn cpu_time(&self, window: usize) -> Result<f64, BenchError> {
        cpu::pin(self.cores.server)?;
        let server = Program::daemon()?.start_with(&self.corefile, &["-workers", "1"], &self.dir)?;
        cpu::pin(self.cores.load)?;
        hit::fill(&server, &self.queries)?;
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            let before = server.cpu_ns()?;
            let outcome = udp::run(&server, &self.queries, LoadConfig::new(self.hits, window))?;
            costs.push(micros(server.cpu_ns()?.saturating_sub(before)) / count(outcome.answered));
        }
        Ok(median(&sorted(costs.into_iter())))
    }
}
