//! The `log` directive: one line per answered query.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use resolver::action::ClientResponse;
use resolver::policy::RouteId;
use wire::header::Rcode;
use wire::name::Name;
use wire::response::{Response, ResponseType};

use super::format::{Format, Shown};
use corefile::settings::{LogClasses, LogRule};

/// A rule of the `log` directive, ready for use.
#[derive(Clone, Debug)]
struct Rule {
    zone: Name,
    format: Format,
    classes: LogClasses,
}

/// What is logged, zone by zone.
#[derive(Clone, Debug, Default)]
pub struct QueryLog {
    rules: HashMap<RouteId, Arc<[Rule]>>,
}

/// An answer as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct SentResponse<'a> {
    /// What the resolver wrote down of it.
    pub answered: &'a ClientResponse,
    /// The answer's octets.
    pub message: &'a [u8],
    /// The address that was asked.
    pub local: IpAddr,
    /// When it was sent.
    pub now: Instant,
}

impl QueryLog {
    /// Logs nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has answers for a zone logged by the rules of its block, of which the first that covers a name applies.
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

    /// True when no answer of any zone is logged.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The line for an answer, without its `[INFO] `; nothing when no rule wants one.
    pub fn line(&self, sent: &SentResponse<'_>) -> Option<String> {
        let info = sent.answered.info?;
        let rules = self.rules.get(&info.route)?;
        let answer = Response::parse(sent.message).ok();
        let shown = Shown::read(sent, info, answer.as_ref().map(|answer| answer.rcode))?;
        let rule = rules.iter().find(|rule| rule.zone.covers(&shown.name))?;
        rule.wants(answer.as_ref()).then(|| rule.format.fill(&shown))
    }
}

impl Rule {
    /// NXDOMAIN is a denial even without the SOA that would let one keep it.
    fn wants(&self, answer: Option<&Response<'_>>) -> bool {
        let LogClasses { success, denial, error } = self.classes;
        match answer {
            None => error,
            Some(answer) if answer.rcode == Rcode::NXDOMAIN => denial,
            Some(answer) => match answer.response_type {
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
