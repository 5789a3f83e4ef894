//! The cache by listener and cached zones: `coredns_cache_*`.

use resolver::tally::{BlockTally, Counter};

use super::family::{Family, total};
use crate::tallies::Tallies;

pub(super) fn families(tallies: &Tallies) -> Vec<Family> {
    vec![
        entries(tallies),
        evictions(tallies),
        hits(tallies),
        counted(
            Family::counter("coredns_cache_requests_total", "Queries the cache was asked for."),
            tallies,
            |tally| &tally.cache_requests,
        ),
        counted(
            Family::counter("coredns_cache_misses_total", "Queries the cache had no answer for."),
            tallies,
            |tally| &tally.cache_misses,
        ),
        counted(
            Family::counter(
                "coredns_cache_drops_total",
                "Responses not kept because they did not match their question.",
            ),
            tallies,
            |tally| &tally.cache_drops,
        ),
        counted(
            Family::counter(
                "coredns_cache_prefetch_total",
                "Questions asked behind the clients' backs, before an answer's end or after it.",
            ),
            tallies,
            |tally| &tally.prefetches,
        ),
        counted(
            Family::counter(
                "coredns_cache_served_stale_total",
                "Queries answered with what is over, for want of anything newer.",
            ),
            tallies,
            |tally| &tally.served_stale,
        ),
    ]
}

fn entries(tallies: &Tallies) -> Family {
    let mut family = Family::gauge(
        "coredns_cache_entries",
        "Answers in the cache, with records (success) or saying there is nothing (denial).",
    );
    for (server, zones, block) in tallies.blocks() {
        if let Some((success, denial)) = block.entries() {
            for (kind, count) in [("success", success), ("denial", denial)] {
                let labels = [("server", server), ("type", kind), ("zones", zones), ("view", "")];
                family.series(&labels, count as f64);
            }
        }
    }
    family
}

fn evictions(tallies: &Tallies) -> Family {
    let mut family = Family::counter(
        "coredns_cache_evictions_total",
        "Answers that left the cache to make room for others.",
    );
    for (server, zones, block) in tallies.blocks() {
        let (success, denial) = block.evictions();
        for (kind, count) in [("success", success), ("denial", denial)] {
            family.used(&[("server", server), ("type", kind), ("zones", zones), ("view", "")], count);
        }
    }
    family
}

fn hits(tallies: &Tallies) -> Family {
    let mut family = Family::counter("coredns_cache_hits_total", "Queries answered from the cache.");
    for (server, zones, block) in tallies.blocks() {
        let success = total(&block.of_workers, |tally: &BlockTally| Some(&tally.cache_success_hits));
        let denial = total(&block.of_workers, |tally: &BlockTally| Some(&tally.cache_denial_hits));
        for (kind, count) in [("success", success), ("denial", denial)] {
            family.used(&[("server", server), ("type", kind), ("zones", zones), ("view", "")], count);
        }
    }
    family
}

fn counted(mut family: Family, tallies: &Tallies, pick: impl Fn(&BlockTally) -> &Counter) -> Family {
    for (server, zones, block) in tallies.blocks() {
        let count = total(&block.of_workers, |tally| Some(pick(tally)));
        family.used(&[("server", server), ("zones", zones), ("view", "")], count);
    }
    family
}
