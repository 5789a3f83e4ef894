//! Upstreams: `coredns_forward_*`, `coredns_proxy_*`, `nodelocaldns_upstream_*`.

use std::collections::BTreeSet;

use resolver::counters::{BlockCounters, Counter, UpstreamCounters, WorkerCounters};
use resolver::policy::UpstreamStatus;

use super::family::{Distribution, Family, total};
use super::labels::{UPSTREAM_PROTOS, upstream_rcode_labels};
use crate::counters::{ActiveBlock, CounterRegistry};

const PROXY: (&str, &str) = ("proxy_name", "forward");

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    let mut families = vec![
        late_responses(counters),
        rejects(counters),
        all_down(counters),
        failed_health_checks(counters),
        durations(counters),
        connections(
            Family::counter(
                "coredns_proxy_conn_cache_hits_total",
                "Queries sent on an open connection, by upstream and transport.",
            ),
            counters,
            |counters, proto| counters.connection_hits.get(proto),
        ),
        connections(
            Family::counter(
                "coredns_proxy_conn_cache_misses_total",
                "Queries that opened a connection, by upstream and transport.",
            ),
            counters,
            |counters, proto| counters.connection_misses.get(proto),
        ),
    ];
    families.push(states(counters));
    families.extend(own_families(counters));
    families
}

fn late_responses(counters: &CounterRegistry) -> Family {
    Family::of_count(
        "nodelocaldns_late_responses_total",
        "Upstream responses that arrived after every waiter had been answered; they are cached.",
        total(counters.workers(), |counters: &WorkerCounters| Some(&counters.late_responses)),
    )
}

fn rejects(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_forward_max_concurrent_rejects_total",
        "Queries refused because max_concurrent queries were in flight.",
    );
    let count: u64 = counters
        .blocks()
        .map(|(_, _, block)| {
            total(&block.by_worker, |counters: &BlockCounters| Some(&counters.max_concurrent_rejects))
        })
        .sum();
    family.series(&[], count as f64);
    family
}

fn all_down(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_forward_healthcheck_broken_total",
        "Queries for which all upstreams of their forward were down.",
    );
    let count: u64 = counters
        .blocks()
        .map(|(_, _, block)| {
            total(&block.by_worker, |counters: &BlockCounters| Some(&counters.healthcheck_broken))
        })
        .sum();
    family.series(&[], count as f64);
    family
}

fn failed_health_checks(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_proxy_healthcheck_failures_total",
        "Failed health checks of an upstream; it is down after more of them in a row than \
         max_fails.",
    );
    for (addr, by_worker) in counters.upstreams() {
        let count = total(by_worker, |counters: &UpstreamCounters| Some(&counters.healthcheck_failures));
        family.nonzero_series(&[PROXY, ("to", &addr.to_string())], count);
    }
    family
}

/// The upstreams of the configuration in effect, with one series for each state.
fn states(counters: &CounterRegistry) -> Family {
    let mut family = Family::gauge(
        "nodelocaldns_upstream_state",
        "Upstreams in effect, by listener, server block and FROM: 1 for the state that an upstream \
         has, 0 for the others.",
    );
    let mut listed = BTreeSet::new();
    for ActiveBlock { server, zones, block } in counters.active_blocks() {
        for forward in &block.forwards {
            for (index, upstream) in forward.upstreams.iter().enumerate() {
                let (from, to) = (forward.options.from.to_string(), upstream.addr.to_string());
                if !listed.insert((server, zones, from.clone(), to.clone())) {
                    continue;
                }
                let status = forward.status(index);
                for state in UpstreamStatus::ALL {
                    let labels = [
                        ("server", &**server),
                        ("zones", zones),
                        ("from", &from),
                        ("to", &to),
                        ("state", state_label(state)),
                    ];
                    family.series(&labels, if state == status { 1.0 } else { 0.0 });
                }
            }
        }
    }
    family
}

fn state_label(state: UpstreamStatus) -> &'static str {
    match state {
        UpstreamStatus::Up => "up",
        UpstreamStatus::Silent => "silent",
        UpstreamStatus::Down => "down",
    }
}

/// `nodelocaldns_upstream_*`, by upstream.
fn own_families(counters: &CounterRegistry) -> Vec<Family> {
    OWN.iter()
        .map(|&(name, help, pick)| {
            let mut family = Family::counter(name, help);
            for (addr, by_worker) in counters.upstreams() {
                let count = total(by_worker, |counters| Some(pick(counters)));
                family.series(&[("to", &addr.to_string())], count as f64);
            }
            family
        })
        .collect()
}

type Pick = fn(&UpstreamCounters) -> &Counter;

/// Name, help and counter of each upstream.
const OWN: [(&str, &str, Pick); 14] = [
    ("nodelocaldns_upstream_failures_total", "Upstream attempts that failed.", |t| &t.failures),
    (
        "nodelocaldns_upstream_retries_total",
        "Upstream attempts repeated because their connection was lost or had delivered a mismatched \
         message.",
        |t| &t.retried,
    ),
    ("nodelocaldns_upstream_queued_total", "Upstream attempts that had to wait for a connection.", |t| {
        &t.queued
    }),
    (
        "nodelocaldns_upstream_queue_full_total",
        "Upstream attempts that failed because the queue for a connection was full.",
        |t| &t.queue_full,
    ),
    (
        "nodelocaldns_upstream_dedicated_connections_total",
        "Connections opened for a single query that had lost its connection.",
        |t| &t.dedicated_connections,
    ),
    (
        "nodelocaldns_upstream_dedicated_connections_full_total",
        "Upstream attempts that had to wait because the limit of dedicated connections was reached.",
        |t| &t.dedicated_connections_full,
    ),
    (
        "nodelocaldns_upstream_suspect_connections_total",
        "New connections without a response whose queries were repeated on another one.",
        |t| &t.suspect_connections,
    ),
    (
        "nodelocaldns_upstream_mismatches_total",
        "Messages of an upstream that matched no outstanding query, or on a stream ended before \
         their frame; their connection gets no more.",
        |t| &t.mismatched_responses,
    ),
    (
        "nodelocaldns_upstream_mismatch_retries_total",
        "Upstream attempts without a matching response after a mismatched or unfinished message: \
         repeated over UDP on a fresh socket and then over TCP, over TCP on a connection of their own.",
        |t| &t.mismatched_attempts,
    ),
    (
        "nodelocaldns_upstream_retransmissions_total",
        "Upstream attempts without a response in the time usual for the upstream that were repeated: \
         at another upstream, because this one had not responded to anything, or on another \
         connection, because packets were lost.",
        |t| &t.retransmissions,
    ),
    (
        "nodelocaldns_upstream_probes_total",
        "Copies of queries sent to an upstream that had stopped responding while another one \
         responded.",
        |t| &t.probes,
    ),
    (
        "nodelocaldns_upstream_hedges_total",
        "Upstream attempts hedged: no response in the time usual for the upstream, so a second \
         attempt was started.",
        |t| &t.hedged,
    ),
    (
        "nodelocaldns_upstream_hedges_suppressed_total",
        "Hedges not sent because the hedge budget was used up.",
        |t| &t.hedges_throttled,
    ),
    (
        "nodelocaldns_upstream_edns_fallbacks_total",
        "Queries repeated without EDNS because the upstream did not understand it.",
        |t| &t.edns_fallbacks,
    ),
];

fn durations(counters: &CounterRegistry) -> Family {
    let mut family = Family::histogram(
        "coredns_proxy_request_duration_seconds",
        "Time from sending a query to receiving the response of the upstream, by upstream and \
         RCODE.",
    );
    let rcodes = upstream_rcode_labels();
    for (addr, by_worker) in counters.upstreams() {
        let to = addr.to_string();
        for (index, rcode) in rcodes.iter().enumerate() {
            let observed = Distribution::of_durations(by_worker, |counters: &UpstreamCounters| {
                counters.request_durations.get(index)
            });
            family.nonempty_distribution(&[PROXY, ("to", &to), ("rcode", rcode)], &observed);
        }
    }
    family
}

fn connections(
    mut family: Family,
    counters: &CounterRegistry,
    pick: impl Fn(&UpstreamCounters, usize) -> Option<&Counter>,
) -> Family {
    for (addr, by_worker) in counters.upstreams() {
        let to = addr.to_string();
        for (index, proto) in UPSTREAM_PROTOS.into_iter().enumerate() {
            let count = total(by_worker, |counters| pick(counters, index));
            family.nonzero_series(&[PROXY, ("to", &to), ("proto", proto)], count);
        }
    }
    family
}
