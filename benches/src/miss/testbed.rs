//! Servers with a full cache, and what they do with fresh names.

use std::time::Duration;

use crate::clients::{LoadConfig, Outcome, udp};
use crate::cpu::{self, Cores};
use crate::hit;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::servers::{self, Program, Server, TempDir};
use crate::upstream::ADDRESS;

use super::rows::{Burst, Round, Row};
use super::upstream::MissUpstream;

/// Fresh names before the first round: as many as the default capacity of the cache, so that every
/// miss of a round evicts an entry.
const WARM_UP: usize = 10_000;
/// The timeout of a stub resolver, in milliseconds.
const TIMEOUT_MS: u16 = 5000;
/// Delay of a response when queries are to be in flight at once.
pub(crate) const DELAY: Duration = Duration::from_millis(100);
/// Queries in flight at once.
pub(crate) const INFLIGHT: usize = 256;
/// Identical queries in flight at once.
pub(super) const IDENTICAL: u64 = 60;

/// Servers with a full cache, each with an upstream of its own.
pub(super) struct Testbed {
    servers: Vec<(Server, MissUpstream)>,
    names: FreshNames,
    // Dropped last: the servers use its files.
    _dir: TempDir,
}

impl Testbed {
    /// Servers pinned to the server core, the daemon with `workers`.
    pub(super) fn start(transport: &str, workers: &str) -> Result<Self, BenchError> {
        let cores = Cores::choose()?;
        let dir = TempDir::new()?;
        let mut servers = Vec::new();
        for program in Program::all()? {
            cpu::pin(cores.load)?;
            let upstream = MissUpstream::start()?;
            cpu::pin(cores.server)?;
            let forward = format!("forward . {} {{\n        {transport}\n    }}", upstream.addr);
            let corefile = servers::corefile("cache 3600", &forward);
            let server = program.start_with(&corefile, &["-workers", workers], &dir)?;
            servers.push((server, upstream));
        }
        cpu::pin(cores.load)?;
        let mut names = FreshNames::default();
        let warm_up = names.take(WARM_UP)?;
        for (server, _) in &servers {
            hit::fill(server, warm_up.get(..1).unwrap_or_default())?;
            query(server, &warm_up, 16)?;
        }
        Ok(Self { servers, names, _dir: dir })
    }

    /// One row per server. Every second round is in reverse order, so that none always comes first.
    pub(super) fn rounds(
        &mut self,
        rounds: usize,
        window: usize,
        queries: usize,
    ) -> Result<Vec<Row>, BenchError> {
        let mut rows: Vec<Row> = self.servers.iter().map(|(server, _)| Row::new(server.name)).collect();
        for round in 0..rounds {
            let queries = self.names.take(queries)?;
            let mut turns: Vec<_> = self.servers.iter().zip(&mut rows).collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for ((server, upstream), row) in turns {
                upstream.take_sockets();
                let before = server.cpu_ns()?;
                let outcome = query(server, &queries, window)?;
                let cpu_ns = server.cpu_ns()?.saturating_sub(before);
                row.rounds.push(Round { outcome, cpu_ns, sockets: upstream.take_sockets() });
            }
        }
        Ok(rows)
    }

    /// Upstream sockets with [`INFLIGHT`] queries in flight, each answered after [`DELAY`].
    pub(super) fn inflight(&mut self) -> Result<Vec<Burst>, BenchError> {
        let queries = self.names.take(4 * INFLIGHT)?;
        self.burst(|server| query(server, &queries, INFLIGHT))
    }

    /// Upstream queries for [`IDENTICAL`] queries in flight at once, answered after [`DELAY`].
    pub(super) fn identical(&mut self) -> Result<Vec<Burst>, BenchError> {
        let queries = self.names.take(1)?;
        let config = LoadConfig { timeout_ms: TIMEOUT_MS, ..LoadConfig::new(IDENTICAL, 64) };
        self.burst(|server| udp::run(server, &queries, config))
    }

    fn burst(&self, send: impl Fn(&Server) -> Result<Outcome, BenchError>) -> Result<Vec<Burst>, BenchError> {
        let mut rows = Vec::new();
        for (server, upstream) in &self.servers {
            upstream.set_delay(DELAY);
            upstream.take_sockets();
            let before = upstream.query_count();
            let outcome = send(server)?;
            rows.push(Burst {
                name: server.name,
                upstream_queries: upstream.query_count() - before,
                sockets: upstream.take_sockets(),
                unanswered: outcome.failed(),
            });
        }
        Ok(rows)
    }
}

/// Sends each query once.
fn query(server: &Server, queries: &[TestQuery], window: usize) -> Result<Outcome, BenchError> {
    let count = u64::try_from(queries.len()).unwrap_or(u64::MAX);
    udp::run(server, queries, LoadConfig { timeout_ms: TIMEOUT_MS, ..LoadConfig::new(count, window) })
}

/// Names that no server has seen.
#[derive(Default)]
pub(crate) struct FreshNames {
    taken: usize,
}

impl FreshNames {
    /// Queries for the next `count` names; half of them have OPT.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<TestQuery>, BenchError> {
        let first = self.taken;
        self.taken += count;
        let query = |number| TestQuery::named(&format!("n{number}.miss.example"), ADDRESS, number % 2 == 1);
        (first..self.taken).map(query).collect()
    }
}
