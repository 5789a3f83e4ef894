//! Scan resistance: hit ratio of popular names and memory during a scan of one-time names; the
//! resolver in a separate process for each capacity.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use clap::Args;
use resolver::action::Outbox;
use resolver::cache::{Cache, Usage};
use resolver::policy::Block;
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;

use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::resolver_loop::{now, send_query};

/// Octets for the cache: the daemon's default maximum.
pub(crate) const BUDGET: u64 = 64 << 20;

/// Popular names, which are queried repeatedly.
pub(crate) const HOT: u16 = 1000;

/// The default capacity, and one beyond the budget.
pub(crate) const CAPACITIES: [u32; 2] = [9984, 1_000_000];

/// The size of the scan.
#[derive(Args, Clone, Copy)]
pub(crate) struct ScanOptions {
    /// One-time names
    #[arg(long, default_value_t = 1_000_000)]
    names: u32,
    /// One-time names per query for a hot name
    #[arg(long, default_value_t = 1)]
    each: u32,
}

/// Prints a line for each capacity.
pub(crate) fn measure(options: &ScanOptions) -> Result<(), BenchError> {
    let program = std::env::current_exe()?;
    print(
        &mut std::io::stdout(),
        &format!(
            "{} one-time names, {} per query for one of {HOT} hot names, a budget of {} KiB\n{:>10}{:>10}{:>10}{:>12}{:>16}{:>16}",
            options.names,
            options.each,
            BUDGET >> 10,
            "capacity",
            "hot hits",
            "entries",
            "weight KiB",
            "RSS before KiB",
            "RSS after KiB",
        ),
    );
    for capacity in CAPACITIES {
        let (names, each) = (options.names.to_string(), options.each.to_string());
        let status = Command::new(&program)
            .args(["scan-one", &capacity.to_string(), "--names", &names, "--each", &each])
            .status()?;
        if !status.success() {
            return Err(BenchError(format!("capacity {capacity}: no result")));
        }
    }
    Ok(())
}

/// Scans a cache with `capacity` entries for each store, and prints its line.
pub(crate) fn run(capacity: u32, options: ScanOptions) -> Result<(), BenchError> {
    let hot = TestQuery::several(HOT)?;
    let (cache, usage) = (Arc::new(Cache::new(BUDGET, now())), Arc::<Usage>::default());
    let mut resolver = resolver(capacity, &cache, &usage);
    let mut outbox = Outbox::default();
    for hot_query in &hot {
        send_query(&mut resolver, now(), hot_query, &mut outbox)?;
    }
    let before = resident_kib("self", "VmRSS")?;
    let (mut hits, mut queries) = (0_u32, 0_u32);
    let mut turn = hot.iter().cycle();
    for number in 0..options.names {
        let once = TestQuery::named(&format!("n{number}.once.example"), number.to_be_bytes(), false)?;
        if send_query(&mut resolver, now(), &once, &mut outbox)? {
            return Err(BenchError("a one-time name was a hit".to_owned()));
        }
        if number % options.each.max(1) == 0
            && let Some(hot_query) = turn.next()
        {
            queries += 1;
            hits += u32::from(send_query(&mut resolver, now(), hot_query, &mut outbox)?);
        }
    }
    let ratio = f64::from(hits) / f64::from(queries) * 100.0;
    let (entries, weight, after) = (usage.success(), cache.weight() >> 10, resident_kib("self", "VmRSS")?);
    print(
        &mut std::io::stdout(),
        &format!("{capacity:>10}{ratio:>9.2}%{entries:>10}{weight:>12}{before:>16}{after:>16}"),
    );
    Ok(())
}

fn resolver(capacity: u32, cache: &Arc<Cache>, usage: &Arc<Usage>) -> Resolver {
    let mut policy = fixture::cache();
    (policy.success.capacity, policy.denial.capacity) = (capacity, capacity);
    let block = Block { cache: Some(policy), usage: Arc::clone(usage), ..fixture::block() };
    Resolver::new(ResolverConfig {
        cache: Arc::clone(cache),
        ..fixture::resolver_config(fixture::policy(block))
    })
}

/// Resident memory in KiB of a process, or `self`: now (`VmRSS`) or at most (`VmHWM`).
pub(crate) fn resident_kib(process: &str, field: &str) -> Result<u64, BenchError> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    value.ok_or_else(|| BenchError(format!("{path} has no {field}")))
}
