//! Resident memory with growing numbers of cache entries, and CPU time per hit among few and among
//! all of them.

use super::configs::Transport;
use super::cost::FLOWS;
use super::metrics::{HIT_AMONG_ALL, HIT_AMONG_FEW, RSS_IDLE, rss_with};
use super::options::LoadOptions;
use super::peers::Peer;
use super::records::Records;
use super::testbed::{Instance, Testbed, Workload};
use crate::clients::{LoadConfig, udp};
use crate::figures::count;
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::scan::resident_kib;
use crate::upstream::ADDRESS;

/// Names per run of the load generator.
const NAMES_PER_RUN: u32 = 10_000;
/// Names of hits.
const HIT_NAMES: u32 = 50_000;
/// Outstanding queries.
const WINDOW: usize = 256;
/// The timeout of a stub resolver, in milliseconds.
const TIMEOUT_MS: u16 = 5000;

/// Each server in turn, none beside another.
pub(super) fn measure(
    peers: &[Peer],
    options: &LoadOptions,
    testbed: &Testbed,
    records: &mut Records,
) -> Result<(), BenchError> {
    for peer in peers.iter().filter(|peer| !peer.is_floor()) {
        let Some(instance) = testbed.start(peer, Transport::Udp, records)? else { continue };
        records.add(peer.name(), RSS_IDLE, resident_mib(&instance)?);
        if let Err(BenchError(reason)) = grow(&instance, options, records) {
            records.fail(peer.name(), reason);
        }
        print(&mut std::io::stderr(), &format!("memory: {} measured", peer.name()));
    }
    Ok(())
}

fn grow(instance: &Instance, options: &LoadOptions, records: &mut Records) -> Result<(), BenchError> {
    let name = instance.server.name;
    let mut filled = 0;
    for entries in options.entries.iter().copied() {
        fill(instance, filled..entries, records)?;
        records.add(name, rss_with(entries), resident_mib(instance)?);
        if filled == 0 {
            hits(instance, HIT_AMONG_FEW, (0..1000.min(entries)).collect(), (options, records))?;
        }
        filled = entries;
    }
    let step = usize::try_from(filled / HIT_NAMES).unwrap_or(1).max(1);
    hits(instance, HIT_AMONG_ALL, (0..filled).step_by(step).collect(), (options, records))
}

/// Queries names that are not in the cache.
fn fill(instance: &Instance, numbers: std::ops::Range<u32>, records: &mut Records) -> Result<(), BenchError> {
    let mut failed = 0;
    for first in numbers.clone().step_by(usize::try_from(NAMES_PER_RUN).unwrap_or(1)) {
        let end = numbers.end.min(first.saturating_add(NAMES_PER_RUN));
        let queries = (first..end).map(name).collect::<Result<Vec<_>, _>>()?;
        let config = LoadConfig { timeout_ms: TIMEOUT_MS, ..LoadConfig::new(u64::from(end - first), WINDOW) };
        failed += udp::run(&instance.server, &queries, config)?.failed();
    }
    if failed > 0 {
        records.fail(instance.server.name, format!("{failed} names were not cached"));
    }
    Ok(())
}

fn name(number: u32) -> Result<TestQuery, BenchError> {
    TestQuery::named(&format!("n{number}.memory.example"), ADDRESS, false)
}

fn hits(
    instance: &Instance,
    metric: &'static str,
    mut names: Vec<u32>,
    (options, records): (&LoadOptions, &mut Records),
) -> Result<(), BenchError> {
    // Not in the order of insertion, in which neighbours share cache lines.
    names.sort_by_key(|number| number.wrapping_mul(2_654_435_761));
    let queries = names.into_iter().map(name).collect::<Result<Vec<_>, _>>()?;
    let config = LoadConfig { flows: FLOWS, ..LoadConfig::new(options.queries, FLOWS) };
    let workload = Workload { metric, send: udp::run, queries, config, hits: true };
    for round in 0..=options.rounds {
        instance.round(&workload, round > 0, records);
    }
    Ok(())
}

fn resident_mib(instance: &Instance) -> Result<f64, BenchError> {
    Ok(count(resident_kib(&instance.server.pid().to_string(), "VmRSS")?) / 1024.0)
}
