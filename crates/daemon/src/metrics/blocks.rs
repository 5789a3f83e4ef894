//! Series by server block, or by listener.

use std::collections::BTreeMap;

use resolver::counters::{BlockCounters, Counter};

use super::family::{Family, total};
use crate::counters::{BlockEntry, CounterRegistry};

/// A counter of ours: every block has a series, from 0 on.
pub(super) fn by_block(
    mut family: Family,
    counters: &CounterRegistry,
    pick: impl Fn(&BlockCounters) -> &Counter,
) -> Family {
    for (server, zones, count) in counts(counters, pick) {
        family.series(&[("server", server), ("zones", zones)], count as f64);
    }
    family
}

/// A counter of CoreDNS.
pub(super) fn nonzero_by_block(
    mut family: Family,
    counters: &CounterRegistry,
    pick: impl Fn(&BlockCounters) -> &Counter,
) -> Family {
    for (server, zones, count) in counts(counters, pick) {
        family.nonzero_series(&[("server", server), ("zones", zones), ("view", "")], count);
    }
    family
}

/// Listener, zones and count of each server block.
fn counts(
    counters: &CounterRegistry,
    pick: impl Fn(&BlockCounters) -> &Counter,
) -> impl Iterator<Item = (&str, &str, u64)> {
    let blocks = counters.blocks();
    blocks.map(move |(server, zones, block)| {
        (server, zones, total(&block.by_worker, |counters| Some(pick(counters))))
    })
}

/// A counter of CoreDNS, of success and of denial entries.
pub(super) fn nonzero_by_store(
    mut family: Family,
    counters: &CounterRegistry,
    counts: impl Fn(&BlockEntry) -> (u64, u64),
) -> Family {
    for (server, zones, block) in counters.blocks() {
        let (success, denial) = counts(block);
        for (kind, count) in [("success", success), ("denial", denial)] {
            family
                .nonzero_series(&[("server", server), ("type", kind), ("zones", zones), ("view", "")], count);
        }
    }
    family
}

/// Sums over the server blocks of each listener.
pub(super) fn by_listener(
    counters: &CounterRegistry,
    count: impl Fn(&BlockCounters) -> u64,
) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for (server, _, block) in counters.blocks() {
        *sums.entry(server).or_default() += block.by_worker.iter().map(|one| count(one)).sum::<u64>();
    }
    sums
}
