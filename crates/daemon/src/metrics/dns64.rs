//! Queries translated by the directive `dns64`: `coredns_dns64_*`.

use super::blocks::by_listener;
use super::family::Family;
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    let mut family = Family::counter(
        "coredns_dns64_requests_translated_total",
        "AAAA queries for which IPv4 addresses were looked up, by listener.",
    );
    for (server, count) in by_listener(counters, |counters| counters.translated.get()) {
        family.nonzero_series(&[("server", server)], count);
    }
    vec![family]
}
