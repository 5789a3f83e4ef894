//! CPU time per query of cached names over UDP and TCP and of new names over both transports to the
//! upstream, and connections and source ports to the upstream.

use super::configs::Transport;
use super::metrics::{CONNECTIONS, NXDOMAIN_HIT, SOURCE_PORTS, TCP_HIT, TCP_MISS, UDP_HIT, UDP_MISS};
use super::options::LoadOptions;
use super::peers::Peer;
use super::records::Records;
use super::testbed::{Instance, Testbed, Workload};
use crate::clients::{LoadConfig, tcp, udp};
use crate::hit;
use crate::miss::testbed::{DELAY, FreshNames, INFLIGHT};
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::upstream::ADDRESS;

/// Cached names of each kind.
const NAMES: u16 = 1000;
/// Source ports; for hits with one outstanding query each: the receive queues of the servers, 208 KiB
/// unless they set it, hold no burst of twice as many.
pub(super) const FLOWS: usize = 128;
/// Outstanding misses.
const WINDOW: usize = 256;
const TCP_CONNECTIONS: usize = 20;
/// Queries in flight per connection.
const PIPELINED: usize = 10;
/// The timeout of a stub resolver, in milliseconds.
pub(super) const TIMEOUT_MS: u16 = 5000;

pub(super) fn measure(
    peers: &[Peer],
    options: &LoadOptions,
    testbed: &Testbed,
    records: &mut Records,
) -> Result<(), BenchError> {
    let mut fresh = FreshNames::default();
    let mut instances = testbed.start_all(peers, Transport::Udp, records)?;
    for queries in [positive()?, absent()?] {
        fill(&mut instances, &queries, records);
    }
    hits(&instances, options, records)?;
    let instances = caches(instances);
    misses((&instances, UDP_MISS), options, &mut fresh, records)?;
    burst(&instances, SOURCE_PORTS, &mut fresh, records)?;
    drop(instances);
    let instances = caches(testbed.start_all(peers, Transport::Tcp, records)?);
    misses((&instances, TCP_MISS), options, &mut fresh, records)?;
    burst(&instances, CONNECTIONS, &mut fresh, records)
}

/// Without the floor, which has no upstream.
pub(super) fn caches(mut instances: Vec<Instance>) -> Vec<Instance> {
    instances.retain(|instance| !instance.server.echoes);
    instances
}

/// Queries each name once. A server without a correct response is recorded and removed.
pub(super) fn fill(instances: &mut Vec<Instance>, queries: &[TestQuery], records: &mut Records) {
    instances.retain(|instance| match hit::fill(&instance.server, queries) {
        Ok(()) => true,
        Err(BenchError(reason)) => {
            records.fail(instance.server.name, reason);
            false
        }
    });
}

/// The queries for cached names, whose responses have an address.
pub(super) fn positive() -> Result<Vec<TestQuery>, BenchError> {
    (0..NAMES).map(|number| TestQuery::named(&service(number), ADDRESS, number % 2 == 1)).collect()
}

/// The name of a Service.
pub(super) fn service(number: u16) -> String {
    format!("service-{number:05}.default.svc.cluster.local")
}

/// The queries for cached names that do not exist, as of search paths.
pub(super) fn absent() -> Result<Vec<TestQuery>, BenchError> {
    let query =
        |number| TestQuery::absent(&format!("{number:05}"), "default.svc.cluster.local", number % 2 == 1);
    (0..NAMES).map(query).collect()
}

fn hits(instances: &[Instance], options: &LoadOptions, records: &mut Records) -> Result<(), BenchError> {
    let udp_config = LoadConfig { flows: FLOWS, ..LoadConfig::new(options.queries, FLOWS) };
    let tcp_config = LoadConfig {
        queries: options.queries / 2,
        flows: TCP_CONNECTIONS,
        window: TCP_CONNECTIONS * PIPELINED,
        timeout_ms: TIMEOUT_MS,
    };
    let workload = |metric, send, queries, config| Workload { metric, send, queries, config, hits: true };
    let workloads = [
        workload(UDP_HIT, udp::run, positive()?, udp_config),
        workload(NXDOMAIN_HIT, udp::run, absent()?, udp_config),
        workload(TCP_HIT, tcp::run, positive()?, tcp_config),
    ];
    for round in 0..=options.rounds {
        for instance in order(instances, round) {
            workloads.iter().for_each(|workload| instance.round(workload, round > 0, records));
        }
    }
    Ok(())
}

/// The order of the servers in a round: every second is reversed, so that none always comes first.
fn order(instances: &[Instance], round: usize) -> Vec<&Instance> {
    let mut order: Vec<&Instance> = instances.iter().collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

fn misses(
    (instances, metric): (&[Instance], &'static str),
    options: &LoadOptions,
    fresh: &mut FreshNames,
    records: &mut Records,
) -> Result<(), BenchError> {
    let config =
        LoadConfig { flows: FLOWS, timeout_ms: TIMEOUT_MS, ..LoadConfig::new(options.queries / 10, WINDOW) };
    for round in 0..=options.rounds {
        let queries = fresh.take(usize::try_from(config.queries).unwrap_or(usize::MAX))?;
        let workload = Workload { metric, send: udp::run, queries, config, hits: false };
        for instance in order(instances, round) {
            instance.round(&workload, round > 0, records);
        }
    }
    Ok(())
}

/// Sockets to the upstream with queries in flight that are answered after [`DELAY`].
fn burst(
    instances: &[Instance],
    metric: &'static str,
    fresh: &mut FreshNames,
    records: &mut Records,
) -> Result<(), BenchError> {
    let queries = fresh.take(4 * INFLIGHT)?;
    let config = LoadConfig { flows: FLOWS, timeout_ms: TIMEOUT_MS, ..LoadConfig::new(0, INFLIGHT) };
    let config = LoadConfig { queries: u64::try_from(queries.len()).unwrap_or(u64::MAX), ..config };
    for Instance { server, upstream } in instances {
        upstream.set_delay(DELAY);
        upstream.take_sockets();
        udp::run(server, &queries, config)?;
        let sockets = upstream.take_sockets();
        let count = if metric == CONNECTIONS { sockets.connections } else { sockets.source_ports };
        records.add(server.name, metric, f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    Ok(())
}
