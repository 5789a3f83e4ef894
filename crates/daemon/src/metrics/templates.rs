//! Queries matched by the directive `template`: `coredns_template_*`.

use std::collections::BTreeMap;

use resolver::counters::{TemplateEvent, TemplateEventKind};

use super::family::Family;
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry) -> Vec<Family> {
    let mut matches = Family::counter(
        "coredns_template_matches_total",
        "Queries that a template matched, by listener, zone of the template, class and type.",
    );
    let mut template_failures = Family::counter(
        "coredns_template_template_failures_total",
        "Queries that failed because the text of a record template could not be evaluated.",
    );
    let mut record_failures = Family::counter(
        "coredns_template_rr_failures_total",
        "Queries that failed because the text of a record template was not a resource record.",
    );
    for ((server, event), count) in &counts(counters) {
        let labels = [
            ("server", *server),
            ("zone", &*event.zone),
            ("view", ""),
            ("class", &event.class),
            ("type", &event.qtype),
        ];
        let with_record = |section, template| {
            let record: [(&str, &str); 2] = [("section", section), ("template", template)];
            [&labels[..], &record].concat()
        };
        match &event.kind {
            TemplateEventKind::Match => matches.nonzero_series(&labels, *count),
            TemplateEventKind::TemplateFailure(section, template) => {
                template_failures.nonzero_series(&with_record(section, template), *count);
            }
            TemplateEventKind::RecordFailure(section, template) => {
                record_failures.nonzero_series(&with_record(section, template), *count);
            }
        }
    }
    vec![matches, template_failures, record_failures]
}

/// Sums over workers and the server blocks of a listener.
fn counts(counters: &CounterRegistry) -> BTreeMap<(&str, TemplateEvent), u64> {
    let mut sums = BTreeMap::new();
    for (server, _, block) in counters.blocks() {
        for (event, count) in block.by_worker.iter().flat_map(|counters| counters.templates.counts()) {
            *sums.entry((server, event)).or_default() += count;
        }
    }
    sums
}
