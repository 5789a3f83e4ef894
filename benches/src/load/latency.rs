//! Response times at fixed rates, of cached names and of a mix as of pods.

use super::configs::Transport;
use super::cost::{self, absent, positive, service};
use super::metrics::{HITS, MIX, QUANTILES, RATES, cpu_at, response_time};
use super::options::LoadOptions;
use super::peers::Peer;
use super::records::Records;
use super::testbed::{Instance, Testbed};
use crate::figures::{count, micros, quantile_per_mille, sorted};
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::upstream::ADDRESS;
use crate::upstreams::pace::{Pace, Sample};

const CLIENTS: u8 = 128;

pub(super) fn measure(
    peers: &[Peer],
    options: &LoadOptions,
    testbed: &Testbed,
    records: &mut Records,
) -> Result<(), BenchError> {
    let mut instances = cost::caches(testbed.start_all(peers, Transport::Udp, records)?);
    let (mut mix, hits) = (Mix::new()?, positive()?);
    for queries in [&hits, &mix.cached] {
        cost::fill(&mut instances, queries, records);
    }
    for round in 0..=options.rounds {
        for rate in RATES {
            let total = usize::try_from(rate / 1000 * options.milliseconds).unwrap_or(usize::MAX);
            let queries: Vec<TestQuery> = hits.iter().cycle().take(total).cloned().collect();
            for instance in &instances {
                run(instance, (HITS, rate), &queries, (round > 0).then_some(&mut *records))?;
            }
            let queries = mix.take(total)?;
            for instance in &instances {
                run(instance, (MIX, rate), &queries, (round > 0).then_some(&mut *records))?;
            }
        }
    }
    Ok(())
}

/// Sends the queries and records quantiles, CPU time and failures.
fn run(
    instance: &Instance,
    (kind, rate): (&str, u32),
    queries: &[TestQuery],
    records: Option<&mut Records>,
) -> Result<(), BenchError> {
    let server = &instance.server;
    let before = server.cpu_ns()?;
    let samples = Pace { server: server.addr, rate }.run_from(CLIENTS, queries)?;
    let cpu_ns = server.cpu_ns()?.saturating_sub(before);
    let Some(records) = records else { return Ok(()) };
    let times = sorted(samples.iter().map(|sample| sample.latency().as_secs_f64() * 1e6));
    for (per_mille, title) in QUANTILES {
        records.add(server.name, response_time(kind, rate, title), quantile_per_mille(&times, per_mille));
    }
    let answered = samples.iter().filter(|sample| is_correct(sample)).count();
    let answered = u64::try_from(answered).unwrap_or(u64::MAX);
    records.add(server.name, cpu_at(kind, rate), micros(cpu_ns) / count(answered));
    let failed = samples.iter().filter(|sample| !is_correct(sample)).count();
    if failed > 0 {
        let title = response_time(kind, rate, "");
        records.fail(server.name, format!("{title}: {failed} queries without a correct response"));
    }
    Ok(())
}

fn is_correct(sample: &Sample) -> bool {
    sample.response.is_some_and(|response| response.expected)
}

/// Queries as of pods, in cycles of 20: 17 hits, of which 7 for addresses, 4 for AAAA records that
/// do not exist, and 6 for names that do not exist, as of search paths; and 3 misses, one of each kind.
struct Mix {
    cached: Vec<TestQuery>,
    /// New names so far.
    fresh: u32,
}

/// Of a cycle.
const ADDRESSES: usize = 7;
const TWINS: usize = 4;
const ABSENT: usize = 6;

impl Mix {
    fn new() -> Result<Self, BenchError> {
        let twins = (0..1000).map(|number| TestQuery::no_data(&service(number), number % 2 == 1));
        let twins = twins.collect::<Result<Vec<_>, _>>()?;
        let (positive, absent) = (positive()?, absent()?);
        let mut cached = Vec::new();
        let mut kinds = (positive.iter().cycle(), twins.iter().cycle(), absent.iter().cycle());
        // Enough cycles for each name.
        for _ in 0..250 {
            cached.extend(kinds.0.by_ref().take(ADDRESSES).cloned());
            cached.extend(kinds.1.by_ref().take(TWINS).cloned());
            cached.extend(kinds.2.by_ref().take(ABSENT).cloned());
        }
        Ok(Self { cached, fresh: 0 })
    }

    fn take(&mut self, total: usize) -> Result<Vec<TestQuery>, BenchError> {
        let mut cached = self.cached.clone().into_iter().cycle();
        let mut queries = Vec::with_capacity(total);
        while queries.len() < total {
            queries.extend(cached.by_ref().take(ADDRESSES + TWINS + ABSENT));
            let number = self.fresh;
            self.fresh += 1;
            let name = format!("n{number}.mix.example");
            queries.push(TestQuery::named(&name, ADDRESS, false)?);
            queries.push(TestQuery::no_data(&name, false)?);
            queries.push(TestQuery::absent(&number.to_string(), "mix.example", false)?);
        }
        queries.truncate(total);
        Ok(queries)
    }
}
