//! Query log, the `log` directive: one line per response.

use std::collections::HashMap;
use std::sync::Arc;

use corefile::settings::{LogClasses, LogRule};
use resolver::policy::RouteId;
use wire::name::Name;

use super::fields::Fields;
pub use super::fields::SentResponse;
use super::format::Format;

/// A rule of the `log` directive with its format parsed.
#[derive(Clone, Debug)]
struct Rule {
    zone: Name,
    format: Format,
    classes: LogClasses,
}

/// The rules of the `log` directives, by route.
#[derive(Clone, Debug, Default)]
pub struct QueryLog {
    rules: HashMap<RouteId, Arc<[Rule]>>,
}

impl QueryLog {
    /// A query log without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the rules of a route; the first rule whose zone covers a name applies. Labels of metadata
    /// have values if its block has the directive `metadata`.
    pub fn set_rules(&mut self, route: RouteId, rules: &[LogRule], has_metadata: bool) {
        if rules.is_empty() {
            return;
        }
        let rules = rules.iter().map(|rule| Rule {
            zone: rule.zone.clone(),
            format: Format::parse(&rule.format, has_metadata),
            classes: rule.classes,
        });
        self.rules.insert(route, rules.collect());
    }

    /// True when no route has a rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The line for a response, without the prefix `[INFO] `; `None` when no rule applies.
    pub fn line(&self, sent: &SentResponse<'_>) -> Option<String> {
        let info = sent.response.info?;
        let rules = self.rules.get(&info.route)?;
        let fields = Fields::read(sent, info)?;
        let rule = rules.iter().find(|rule| rule.zone.covers(&fields.qname))?;
        fields.response_type.is_in(rule.classes).then(|| rule.format.fill(&fields))
    }
}
