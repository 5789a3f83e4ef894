//! CPU time of a cache snapshot, by entries in the cache.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use daemon::snapshot::{Snapshot, blocks};
use resolver::action::Outbox;
use resolver::cache::{Cache, ImportTarget, Usage};
use resolver::policy::{Block, BlockId};
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;

use crate::cpu;
use crate::figures::{count, median, now, sorted};
use crate::output::{BenchError, print};
use crate::queries::TestQuery;
use crate::resolver_loop::send_query;

/// Octets for the cache: all entries fit.
const BUDGET: u64 = 512 << 20;

/// Sizes of the caches and the number of writes.
#[derive(Args)]
pub(crate) struct SnapshotOptions {
    /// Cache entries
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    entries: Vec<u32>,
    /// Snapshots of each cache
    #[arg(long, default_value_t = 20)]
    writes: u32,
    /// Directory in which to create the directory of the snapshots
    #[arg(long, default_value = "/dev/shm")]
    directory: PathBuf,
}

/// Prints a line for each number of entries.
pub(crate) fn measure(options: &SnapshotOptions) -> Result<(), BenchError> {
    let directory = options.directory.join(format!("benches-snapshot-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let measured = measure_all(options, &Snapshot::new(&directory));
    fs::remove_dir_all(&directory)?;
    measured
}

fn measure_all(options: &SnapshotOptions, snapshot: &Snapshot) -> Result<(), BenchError> {
    let heading = format!(
        "{:>10}{:>10}{:>10}{:>14}{:>10}{:>10}",
        "entries", "written", "KiB", "CPU ms/write", "min", "max"
    );
    print(&mut std::io::stdout(), &heading);
    for entries in &options.entries {
        let line = measure_cache(*entries, options.writes, snapshot)?;
        print(&mut std::io::stdout(), &line);
    }
    Ok(())
}

fn measure_cache(entries: u32, writes: u32, snapshot: &Snapshot) -> Result<String, BenchError> {
    let cache = Arc::new(Cache::new(BUDGET, now()));
    let block = fill(&cache, entries)?;
    let targets = HashMap::from([(
        "bench".to_owned(),
        ImportTarget { block, usage: Arc::default(), options: fixture::cache(), rewrites: false },
    )]);
    let blocks = blocks(&targets);
    let (mut times, mut last) = (Vec::new(), None);
    for _ in 0..writes {
        let before = cpu::own_time()?;
        last = Some(snapshot.write(&cache, &blocks)?);
        times.push((cpu::own_time()? - before).as_secs_f64() * 1000.0);
    }
    let last = last.ok_or_else(|| BenchError("no snapshot was written".to_owned()))?;
    let times = sorted(times.into_iter());
    let [min, max] = [times.first(), times.last()].map(|time| time.copied().unwrap_or(f64::NAN));
    Ok(format!(
        "{entries:>10}{:>10}{:>10.0}{:>14.2}{min:>10.2}{max:>10.2}",
        last.entries,
        count(last.octets) / 1024.0,
        median(&times),
    ))
}

/// Fills the cache with names of which every second has been queried again.
fn fill(cache: &Arc<Cache>, entries: u32) -> Result<BlockId, BenchError> {
    let mut options = fixture::cache();
    options.success.capacity = entries;
    let usage = Arc::<Usage>::default();
    let block = Block { cache: Some(options), usage: Arc::clone(&usage), ..fixture::block() };
    let id = block.id;
    let config =
        ResolverConfig { cache: Arc::clone(cache), ..fixture::resolver_config(fixture::policy(block)) };
    let (mut resolver, mut outbox) = (Resolver::new(config), Outbox::default());
    for number in 0..entries {
        let name = format!("service-{number:08}.default.svc.cluster.local");
        let query = TestQuery::named(&name, number.to_be_bytes(), false)?;
        for _ in 0..=number % 2 {
            send_query(&mut resolver, now(), &query, &mut outbox)?;
        }
    }
    let filled = usage.success();
    if filled != i64::from(entries) {
        return Err(BenchError(format!("the cache has {filled} entries instead of {entries}")));
    }
    Ok(id)
}
