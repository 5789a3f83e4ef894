//! Cache entries of another process: what is imported counts once, stays within the budget, and can be
//! exported and imported again as it is. The first two octets choose the time since the export and the
//! options of the server block.
#![no_main]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use resolver::cache::{Cache, ImportSummary, ImportTarget, MAX_RECORD_LEN, Usage};
use resolver::policy::{BlockId, CacheOptions, ServeStale, ServeStaleMode};
use wire::name::Name;

const BUDGET: u64 = 16 << 10;

fn target(block: u16, options: u8) -> ImportTarget {
    let mut cache = CacheOptions::new(vec![Name::root()]);
    cache.success.min_ttl = u32::from(options & 1) * 5;
    cache.serve_stale = (options & 2 == 2).then_some(ServeStale {
        duration: Duration::from_secs(60),
        mode: ServeStaleMode::Immediate,
        ttl: 30,
        failure_recheck: Duration::ZERO,
        prefer_positive: false,
    });
    cache.success.capacity = if options & 4 == 4 { 2 } else { 9984 };
    ImportTarget { block: BlockId(block), usage: Arc::default(), options: cache, rewrites: options & 8 == 8 }
}

/// Records with their length, and whether the last one is truncated.
fn records(mut octets: &[u8]) -> (u64, bool) {
    let mut count = 0;
    while let Some((length, rest)) = octets.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        if length > rest.len() || length + 4 > MAX_RECORD_LEN {
            return (count, true);
        }
        octets = &rest[length..];
        count += 1;
    }
    (count, !octets.is_empty())
}

fn counted(summary: &ImportSummary) -> u64 {
    summary.imported
        + summary.rejected
        + summary.expired
        + summary.unknown_block
        + summary.already_cached
        + summary.store_full
}

fn entries(usage: &Usage) -> u64 {
    u64::try_from(usage.success() + usage.denial()).expect("as many removals as insertions at most")
}

fn export(cache: &Cache, now: Instant) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let numbers = HashMap::from([(BlockId(7), 0_u16), (BlockId(8), 1)]);
    let mut export = cache.export(now, &numbers);
    let mut count = 0;
    loop {
        match export.write_records(MAX_RECORD_LEN, &mut out) {
            0 => break,
            written => count += written,
        }
    }
    assert_eq!(export.remaining(), 0);
    (out, count)
}

fuzz_target!(|input: &[u8]| {
    let Some(([elapsed, options], octets)) = input.split_first_chunk() else { return };
    // The same moment for all: nothing of it matters but differences.
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let now = *START.get_or_init(Instant::now) + Duration::from_secs(1000);
    let targets = [Some(target(7, *options)), Some(target(8, options >> 4)), None];
    let cache = Cache::new(BUDGET, now);
    let summary = cache.import(now, Duration::from_secs((*elapsed).into()), octets, &targets);
    let (expected, is_truncated) = records(octets);
    if summary.budget_reached {
        assert!(counted(&summary) < expected);
    } else {
        assert_eq!((counted(&summary), summary.truncated), (expected, is_truncated));
    }
    assert!(cache.weight() <= BUDGET, "{} octets", cache.weight());
    let cached: u64 = targets.iter().flatten().map(|target| entries(&target.usage)).sum();
    assert!(cached <= summary.imported);
    assert_eq!(cached == 0, cache.weight() == 0);

    let (exported, count) = export(&cache, now);
    assert_eq!(records(&exported), (u64::try_from(count).unwrap(), false));
    assert!(count as u64 <= cached);
    let again = Cache::new(BUDGET, now);
    let fresh = [Some(target(7, *options)), Some(target(8, options >> 4))];
    let summary = again.import(now, Duration::ZERO, &exported, &fresh);
    assert_eq!(summary.imported, count as u64, "{summary:?}");
    assert_eq!(export(&again, now).0.len(), exported.len());
});
