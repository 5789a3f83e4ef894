//! Upstreams: `coredns_forward_*`, `coredns_proxy_*`, and what only we have to tell of them.

use resolver::counters::{BlockCounters, Counter, UpstreamCounters};

use super::family::{Distribution, Family, total};
use super::labels::{UPSTREAM_PROTOS, upstream_rcode_labels};
use crate::counters::CounterRegistry;

const PROXY: (&str, &str) = ("proxy_name", "forward");

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    vec![
        rejects(counters),
        broken(counters),
        probes(counters),
        durations(counters),
        connections(
            Family::counter(
                "coredns_proxy_conn_cache_hits_total",
                "Questions sent on a connection that was open, by upstream and transport.",
            ),
            counters,
            |counters, proto| counters.connection_hits.get(proto),
        ),
        connections(
            Family::counter(
                "coredns_proxy_conn_cache_misses_total",
                "Questions that opened a connection, by upstream and transport.",
            ),
            counters,
            |counters, proto| counters.connection_misses.get(proto),
        ),
    ]
}

fn rejects(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_forward_max_concurrent_rejects_total",
        "Queries refused because as many as max_concurrent allows were open.",
    );
    let count: u64 = counters
        .blocks()
        .map(|(_, _, block)| {
            total(&block.of_workers, |counters: &BlockCounters| Some(&counters.max_concurrent_rejects))
        })
        .sum();
    family.series(&[], count as f64);
    family
}

fn broken(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_forward_healthcheck_broken_total",
        "Questions that found all upstreams of their forward down.",
    );
    let count: u64 = counters
        .blocks()
        .map(|(_, _, block)| {
            total(&block.of_workers, |counters: &BlockCounters| Some(&counters.healthcheck_broken))
        })
        .sum();
    family.series(&[], count as f64);
    family
}

fn probes(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_proxy_healthcheck_failures_total",
        "Probes of an upstream that failed; it is down after more of them in a row than max_fails.",
    );
    for (addr, of_workers) in counters.upstreams() {
        let count = total(of_workers, |counters: &UpstreamCounters| Some(&counters.healthcheck_failures));
        family.used(&[PROXY, ("to", &addr.to_string())], count);
    }
    family
}

/// Under names of our own.
pub(super) fn own_families(counters: &CounterRegistry) -> Vec<Family> {
    OWN.iter()
        .map(|&(name, help, pick)| {
            let mut family = Family::counter(name, help);
            for (addr, of_workers) in counters.upstreams() {
                let count = total(of_workers, |counters| Some(pick(counters)));
                family.series(&[("to", &addr.to_string())], count as f64);
            }
            family
        })
        .collect()
}

type Pick = fn(&UpstreamCounters) -> &Counter;

/// Name, help and counter of each upstream.
const OWN: [(&str, &str, Pick); 7] = [
    ("nodelocaldns_upstream_failures_total", "Attempts at an upstream that failed.", |t| &t.failures),
    (
        "nodelocaldns_upstream_redone_total",
        "Attempts repeated on a fresh connection because a used one had closed.",
        |t| &t.redone,
    ),
    (
        "nodelocaldns_upstream_mismatches_total",
        "Messages of an upstream that answered nothing we had asked.",
        |t| &t.mismatches,
    ),
    (
        "nodelocaldns_upstream_distrusted_total",
        "Attempts that such messages ended: a question over UDP went on by TCP, a connection was given up.",
        |t| &t.distrusted,
    ),
    (
        "nodelocaldns_upstream_hedged_total",
        "Attempts without answer in the time that is usual for the upstream, for which another was made early.",
        |t| &t.hedged,
    ),
    (
        "nodelocaldns_upstream_hedges_withheld_total",
        "Attempts for which none was made early because too many had been.",
        |t| &t.hedges_withheld,
    ),
    (
        "nodelocaldns_upstream_without_edns_total",
        "Questions repeated without EDNS, because the upstream did not understand it.",
        |t| &t.without_edns,
    ),
];

fn durations(counters: &CounterRegistry) -> Family {
    let mut family = Family::histogram(
        "coredns_proxy_request_duration_seconds",
        "Time from a question to the answer of an upstream, by upstream and response code.",
    );
    let rcodes = upstream_rcode_labels();
    for (addr, of_workers) in counters.upstreams() {
        let to = addr.to_string();
        for (place, rcode) in rcodes.iter().enumerate() {
            let observed = Distribution::of_durations(of_workers, |counters: &UpstreamCounters| {
                counters.exchanges.get(place)
            });
            family.used_distribution(&[PROXY, ("to", &to), ("rcode", rcode)], &observed);
        }
    }
    family
}

fn connections(
    mut family: Family,
    counters: &CounterRegistry,
    pick: impl Fn(&UpstreamCounters, usize) -> Option<&Counter>,
) -> Family {
    for (addr, of_workers) in counters.upstreams() {
        let to = addr.to_string();
        for (place, proto) in UPSTREAM_PROTOS.into_iter().enumerate() {
            let count = total(of_workers, |counters| pick(counters, place));
            family.used(&[PROXY, ("to", &to), ("proto", proto)], count);
        }
    }
    family
}
