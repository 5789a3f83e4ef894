//! Upstreams: `coredns_forward_*`, `coredns_proxy_*`.

use resolver::tally::{BlockTally, Counter, UpstreamTally};

use super::family::{Distribution, Family, total};
use super::labels::{UPSTREAM_PROTOS, upstream_rcode_labels};
use crate::tallies::Tallies;

const PROXY: (&str, &str) = ("proxy_name", "forward");

pub(super) fn families(tallies: &Tallies) -> Vec<Family> {
    vec![
        rejects(tallies),
        broken(),
        durations(tallies),
        connections(
            Family::counter(
                "coredns_proxy_conn_cache_hits_total",
                "Questions sent on a connection that was open, by upstream and transport.",
            ),
            tallies,
            |tally, proto| tally.connection_hits.get(proto),
        ),
        connections(
            Family::counter(
                "coredns_proxy_conn_cache_misses_total",
                "Questions that opened a connection, by upstream and transport.",
            ),
            tallies,
            |tally, proto| tally.connection_misses.get(proto),
        ),
    ]
}

fn rejects(tallies: &Tallies) -> Family {
    let mut family = Family::counter(
        "coredns_forward_max_concurrent_rejects_total",
        "Queries refused because as many as max_concurrent allows were open.",
    );
    let count: u64 = tallies
        .blocks()
        .map(|(_, _, block)| {
            total(&block.of_workers, |tally: &BlockTally| Some(&tally.max_concurrent_rejects))
        })
        .sum();
    family.series(&[], count as f64);
    family
}

/// Upstreams are never taken out of use, so no query ever found all of them out of use.
fn broken() -> Family {
    let mut family = Family::counter(
        "coredns_forward_healthcheck_broken_total",
        "Queries that found all upstreams of their forward out of use.",
    );
    family.series(&[], 0.0);
    family
}

fn durations(tallies: &Tallies) -> Family {
    let mut family = Family::histogram(
        "coredns_proxy_request_duration_seconds",
        "Time from a question to the answer of an upstream, by upstream and response code.",
    );
    let rcodes = upstream_rcode_labels();
    for (addr, of_workers) in tallies.upstreams() {
        let to = addr.to_string();
        for (place, rcode) in rcodes.iter().enumerate() {
            let observed =
                Distribution::of_durations(of_workers, |tally: &UpstreamTally| tally.exchanges.get(place));
            family.used_distribution(&[PROXY, ("to", &to), ("rcode", rcode)], &observed);
        }
    }
    family
}

fn connections(
    mut family: Family,
    tallies: &Tallies,
    pick: impl Fn(&UpstreamTally, usize) -> Option<&Counter>,
) -> Family {
    for (addr, of_workers) in tallies.upstreams() {
        let to = addr.to_string();
        for (place, proto) in UPSTREAM_PROTOS.into_iter().enumerate() {
            let count = total(of_workers, |tally| pick(tally, place));
            family.used(&[PROXY, ("to", &to), ("proto", proto)], count);
        }
    }
    family
}
