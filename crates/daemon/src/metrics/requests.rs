//! Queries and responses by listener and zone: `coredns_dns_*`.

use std::sync::Arc;

use resolver::counters::{COUNTED_TYPES, PLUGIN_LABELS, RouteCounters};

use super::family::{Distribution, Family, total};
use super::labels::{PROTOS, rcode_labels};
use crate::counters::CounterRegistry;

const FAMILIES: [&str; 2] = ["1", "2"];

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    vec![
        requests(counters),
        durations(counters),
        request_sizes(counters),
        response_sizes(counters),
        do_requests(counters),
        responses(counters),
    ]
}

fn requests(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_dns_requests_total",
        "Queries received, by listener, zone, transport, address family (1 = IPv4, 2 = IPv6) and \
         record type.",
    );
    let mut types: Vec<String> = COUNTED_TYPES.iter().map(ToString::to_string).collect();
    types.extend(["ANY".to_owned(), "other".to_owned()]);
    for (server, zone, by_worker) in counters.routes() {
        for (t, proto) in PROTOS.iter().enumerate() {
            for (f, address_family) in FAMILIES.iter().enumerate() {
                for (q, qtype) in types.iter().enumerate() {
                    let count =
                        total(by_worker, |counters: &RouteCounters| counters.requests.get(t)?.get(f)?.get(q));
                    let labels = [
                        ("server", server),
                        ("zone", zone),
                        ("view", ""),
                        ("proto", *proto),
                        ("family", *address_family),
                        ("type", qtype.as_str()),
                    ];
                    family.nonzero_series(&labels, count);
                }
            }
        }
    }
    family
}

fn durations(counters: &CounterRegistry) -> Family {
    let mut family = Family::histogram(
        "coredns_dns_request_duration_seconds",
        "Time from receiving a query to sending its response, by listener and zone.",
    );
    for (server, zone, by_worker) in counters.routes() {
        let observed =
            Distribution::of_durations(by_worker, |counters: &RouteCounters| Some(&counters.durations));
        family.nonempty_distribution(&[("server", server), ("zone", zone), ("view", "")], &observed);
    }
    family
}

fn request_sizes(counters: &CounterRegistry) -> Family {
    let family = Family::histogram(
        "coredns_dns_request_size_bytes",
        "Size of queries as received, by listener, zone and transport.",
    );
    sizes(family, counters, |by_worker, proto| {
        Distribution::of_sizes(by_worker, |counters: &RouteCounters| counters.request_sizes.get(proto))
    })
}

fn response_sizes(counters: &CounterRegistry) -> Family {
    let family = Family::histogram(
        "coredns_dns_response_size_bytes",
        "Size of responses before OPT and before truncation to the client's buffer size, 0 for failures of our own, \
         by listener, zone and transport.",
    );
    sizes(family, counters, |by_worker, proto| {
        Distribution::of_sizes(by_worker, |counters: &RouteCounters| counters.response_sizes.get(proto))
    })
}

fn sizes(
    mut family: Family,
    counters: &CounterRegistry,
    observed: impl Fn(&[Arc<RouteCounters>], usize) -> Distribution,
) -> Family {
    for (server, zone, by_worker) in counters.routes() {
        for (index, proto) in PROTOS.into_iter().enumerate() {
            let labels = [("server", server), ("zone", zone), ("view", ""), ("proto", proto)];
            family.nonempty_distribution(&labels, &observed(by_worker, index));
        }
    }
    family
}

fn do_requests(counters: &CounterRegistry) -> Family {
    let mut family =
        Family::counter("coredns_dns_do_requests_total", "Queries with the DO bit, by listener and zone.");
    for (server, zone, by_worker) in counters.routes() {
        let count = total(by_worker, |counters: &RouteCounters| Some(&counters.do_requests));
        family.nonzero_series(&[("server", server), ("zone", zone), ("view", "")], count);
    }
    family
}

fn responses(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "coredns_dns_responses_total",
        "Responses sent, by listener, zone, RCODE and the plugin that wrote them (empty: the \
         server).",
    );
    let rcodes = rcode_labels();
    for (server, zone, by_worker) in counters.routes() {
        for (p, plugin) in PLUGIN_LABELS.into_iter().enumerate() {
            for (r, rcode) in rcodes.iter().enumerate() {
                let count = total(by_worker, |counters: &RouteCounters| counters.responses.get(p)?.get(r));
                let labels = [
                    ("server", server),
                    ("zone", zone),
                    ("view", ""),
                    ("rcode", rcode.as_str()),
                    ("plugin", plugin),
                ];
                family.nonzero_series(&labels, count);
            }
        }
    }
    family
}
