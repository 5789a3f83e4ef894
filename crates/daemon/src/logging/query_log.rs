//! Query log, the `log` directive: one line per response.

use std::collections::HashMap;
use std::sync::Arc;

use corefile::settings::{LogClasses, LogRule};
use resolver::policy::RouteId;
use wire::header::Rcode;
use wire::name::Name;
use wire::response::{Response, ResponseType};

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

    /// Sets the rules of a route; the first rule whose zone covers a name applies.
    pub fn set_rules(&mut self, route: RouteId, rules: &[LogRule]) {
        if rules.is_empty() {
            return;
        }
        let rules = rules.iter().map(|rule| Rule {
            zone: rule.zone.clone(),
            format: Format::parse(&rule.format),
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
        let response = Response::parse(sent.message).ok();
        let fields = Fields::read(sent, info, response.as_ref().map(|response| response.rcode))?;
        let rule = rules.iter().find(|rule| rule.zone.covers(&fields.qname))?;
        rule.includes(response.as_ref()).then(|| rule.format.fill(&fields))
    }
}

impl Rule {
    /// Whether the response's class is logged. NXDOMAIN is a denial even without a SOA record.
    fn includes(&self, response: Option<&Response<'_>>) -> bool {
        let LogClasses { success, denial, error } = self.classes;
        match response {
            None => error,
            Some(response) if response.rcode == Rcode::NXDOMAIN => denial,
            Some(response) => match response.response_type {
                ResponseType::NoData | ResponseType::NameError => denial,
                ResponseType::Positive
                | ResponseType::Delegation
                | ResponseType::Empty
                | ResponseType::IncompleteChain => success,
                ResponseType::ServerFailure | ResponseType::Other => error,
            },
        }
    }
}
