//! Queries by what the directive `acl` did with them: `coredns_acl_*`.

use std::collections::BTreeMap;

use resolver::policy::AclAction;
use wire::name::Name;

use super::blocks::by_listener;
use super::family::Family;
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    let by_zone = |name, help, action| by_zone(Family::counter(name, help), action, counters);
    vec![
        allowed(counters),
        by_zone(
            "coredns_acl_blocked_requests_total",
            "Queries that acl refused, by listener and zone of the directive.",
            AclAction::Block,
        ),
        by_zone(
            "coredns_acl_filtered_requests_total",
            "Queries that acl answered without records, by listener and zone of the directive.",
            AclAction::Filter,
        ),
        by_zone(
            "coredns_acl_dropped_requests_total",
            "Queries that acl dropped, by listener and zone of the directive.",
            AclAction::Drop,
        ),
    ]
}

fn allowed(counters: &CounterRegistry) -> Family {
    let mut family =
        Family::counter("coredns_acl_allowed_requests_total", "Queries that acl allowed, by listener.");
    for (server, count) in by_listener(counters, |counters| counters.acl.allowed()) {
        family.nonzero_series(&[("server", server), ("view", "")], count);
    }
    family
}

/// Sums over workers and the server blocks of a listener.
fn by_zone(mut family: Family, action: AclAction, counters: &CounterRegistry) -> Family {
    let mut sums: BTreeMap<(&str, Name), u64> = BTreeMap::new();
    for (server, _, block) in counters.blocks() {
        for (zone, count) in block.by_worker.iter().flat_map(|counters| counters.acl.by_zone(action)) {
            *sums.entry((server, zone)).or_default() += count;
        }
    }
    for ((server, zone), count) in sums {
        family.nonzero_series(&[("server", server), ("zone", &zone.to_string()), ("view", "")], count);
    }
    family
}
