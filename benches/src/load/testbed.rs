//! Servers that run, each with an upstream of its own on the load generator's core.

use super::configs::Transport;
use super::peers::Peer;
use super::records::Records;
use crate::clients::{LoadConfig, Outcome};
use crate::cpu::{self, Cores};
use crate::figures::{count, micros};
use crate::hit;
use crate::miss::upstream::MissUpstream;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::servers::{Server, TempDir};
use crate::upstream::ADDRESS;

/// A server, and its upstream, which answers as [`scripted`](crate::queries::scripted) says.
pub(super) struct Instance {
    pub(super) server: Server,
    pub(super) upstream: MissUpstream,
}

/// The cores and the directory of the servers.
pub(super) struct Testbed {
    cores: Cores,
    dir: TempDir,
}

impl Testbed {
    /// The load generator's core becomes that of this thread.
    pub(super) fn new() -> Result<Self, BenchError> {
        let testbed = Self { cores: Cores::choose()?, dir: TempDir::new()? };
        cpu::pin(testbed.cores.load)?;
        Ok(testbed)
    }

    /// Starts a server on the server core, without waiting for it; `None` when it cannot use the
    /// transport.
    pub(super) fn spawn(&self, peer: &Peer, transport: Transport) -> Result<Option<Instance>, BenchError> {
        let upstream = MissUpstream::start()?;
        cpu::pin(self.cores.server)?;
        let server = peer.spawn(upstream.addr, transport, &self.dir);
        cpu::pin(self.cores.load)?;
        Ok(server?.map(|server| Instance { server, upstream }))
    }

    /// The same, and waits until it has answered a query. A server that does not is recorded.
    pub(super) fn start(
        &self,
        peer: &Peer,
        transport: Transport,
        records: &mut Records,
    ) -> Result<Option<Instance>, BenchError> {
        let Some(Instance { server, upstream }) = self.spawn(peer, transport)? else { return Ok(None) };
        let first = TestQuery::named("first.example", ADDRESS, false)?;
        let started = server.wait_until_started();
        match started.and_then(|server| hit::fill(&server, &[first]).map(|()| server)) {
            Ok(server) => Ok(Some(Instance { server, upstream })),
            Err(BenchError(reason)) => {
                records.fail(peer.name(), reason);
                Ok(None)
            }
        }
    }

    /// Starts all servers that can use the transport.
    pub(super) fn start_all(
        &self,
        peers: &[Peer],
        transport: Transport,
        records: &mut Records,
    ) -> Result<Vec<Instance>, BenchError> {
        peers.iter().filter_map(|peer| self.start(peer, transport, records).transpose()).collect()
    }
}

/// What is sent in a round, and how.
pub(super) struct Workload {
    pub(super) metric: &'static str,
    pub(super) send: fn(&Server, &[TestQuery], LoadConfig) -> Result<Outcome, BenchError>,
    pub(super) queries: Vec<TestQuery>,
    pub(super) config: LoadConfig,
    /// All names are in the cache.
    pub(super) hits: bool,
}

impl Instance {
    /// Sends the queries. Records CPU time per response in microseconds, unless the round does not
    /// count, and failures.
    pub(super) fn round(&self, workload: &Workload, counts: bool, records: &mut Records) {
        let (name, metric) = (self.server.name, workload.metric);
        match self.cost(workload) {
            Ok((cost, failed, misses)) => {
                if counts {
                    records.add(name, metric, cost);
                }
                if failed > 0 {
                    records.fail(name, format!("{metric}: {failed} queries without a correct response"));
                }
                if counts && workload.hits && misses > 0 {
                    records.fail(name, format!("{metric}: {misses} queries were misses"));
                }
            }
            Err(BenchError(reason)) => records.fail(name, format!("{metric}: {reason}")),
        }
    }

    /// CPU microseconds per response, failed queries, and queries to the upstream.
    fn cost(&self, workload: &Workload) -> Result<(f64, u64, u64), BenchError> {
        let (cpu_before, misses_before) = (self.server.cpu_ns()?, self.upstream.query_count());
        let outcome = (workload.send)(&self.server, &workload.queries, workload.config)?;
        let cpu_ns = self.server.cpu_ns()?.saturating_sub(cpu_before);
        let misses = self.upstream.query_count() - misses_before;
        Ok((micros(cpu_ns) / count(outcome.answered), outcome.failed(), misses))
    }
}
