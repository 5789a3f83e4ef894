//! Queries by what the directive `acl` did with them: `coredns_acl_*`.

use resolver::counters::BlockCounters;
use resolver::policy::AclAction;

use super::family::{Family, total};
use crate::counters::CounterRegistry;

/// Name and help of the counter of an action.
fn name(action: AclAction) -> (&'static str, &'static str) {
    match action {
        AclAction::Allow => ("coredns_acl_allowed_requests_total", "Queries that acl allowed, by listener."),
        AclAction::Block => ("coredns_acl_blocked_requests_total", "Queries that acl refused, by zones."),
        AclAction::Filter => {
            ("coredns_acl_filtered_requests_total", "Queries that acl answered without records, by zones.")
        }
        AclAction::Drop => ("coredns_acl_dropped_requests_total", "Queries that acl dropped, by zones."),
    }
}

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    AclAction::ALL.map(|action| family(action, counters)).into()
}

fn family(action: AclAction, counters: &CounterRegistry) -> Family {
    let (name, help) = name(action);
    let mut family = Family::counter(name, help);
    for (server, zones, block) in counters.blocks() {
        let count = total(&block.by_worker, |counters: &BlockCounters| counters.acl.get(action as usize));
        let labels = [("server", server), ("zone", zones), ("view", "")];
        let labels = labels.into_iter().filter(|(label, _)| *label != "zone" || action != AclAction::Allow);
        family.nonzero_series(&labels.collect::<Vec<_>>(), count);
    }
    family
}
