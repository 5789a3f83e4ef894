//! Counters of the `template` directive, by the labels of their metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What is counted of a query that a template matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateEvent {
    /// The zone of the template that matched.
    pub zone: String,
    /// QCLASS, `other` if it is not a class of data.
    pub class: String,
    /// QTYPE, `other` without a metric label of its own.
    pub qtype: String,
    /// What happened.
    pub kind: TemplateEventKind,
}

/// What happened to a query that a template matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TemplateEventKind {
    /// The template matched.
    Match,
    /// A record template could not be evaluated: its section and its text.
    TemplateFailure(&'static str, String),
    /// What it evaluated to is not a record: its section and its text.
    RecordFailure(&'static str, String),
}

/// Counts of [`TemplateEvent`]s. There are as many as zones, classes, types and record templates allow,
/// whatever the queries.
#[derive(Debug, Default)]
pub struct TemplateCounters(Mutex<BTreeMap<TemplateEvent, u64>>);

impl TemplateCounters {
    /// Adds one to the count of an event.
    pub fn count(&self, event: TemplateEvent) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(event).or_default() += 1;
    }

    /// All counts so far.
    pub fn counts(&self) -> BTreeMap<TemplateEvent, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
