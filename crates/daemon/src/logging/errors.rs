//! Error log, the `errors` directive: one line per failed query, or one summary for many like it
//! (`consolidate`). Queries that a limit rejects always have a summary: in a flood they are all.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use resolver::action::{AttemptFailure, Cause, QueryError, Transport};
use resolver::policy::RouteId;
use tracing::Level;
use wire::name::PresentationFormat;

use corefile::duration::GoDuration;
use corefile::settings::{Consolidate, Errors};

/// A line without its `[LEVEL] ` prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Log level.
    pub level: Level,
    /// Text of the line.
    pub text: String,
}

/// The `errors` directives by route, shared by all workers, which count together.
#[derive(Clone, Debug, Default)]
pub struct ErrorLog {
    consolidators: HashMap<RouteId, Arc<Consolidator>>,
}

impl ErrorLog {
    /// An error log without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Logs failures of a route; the routes of a server block share its counts.
    pub fn set(&mut self, route: RouteId, consolidator: &Arc<Consolidator>) {
        self.consolidators.insert(route, Arc::clone(consolidator));
    }

    /// The line to log now, if any. `name` is the octets of [`QueryError::name`].
    pub fn report(&self, error: &QueryError, name: &[u8], now: Instant) -> Option<LogLine> {
        self.consolidators.get(&error.route)?.report(error, name, now)
    }

    /// When the next summary is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.consolidators.values().filter_map(|consolidator| consolidator.next_due()).min()
    }

    /// The summaries that are due at `now`.
    pub fn take_due(&self, now: Instant) -> Vec<LogLine> {
        self.consolidators.values().flat_map(|consolidator| consolidator.take_due(now)).collect()
    }

    /// All summaries, at the end of the configuration or the process. Later failures are logged at
    /// once.
    pub fn close(&self) -> Vec<LogLine> {
        self.consolidators.values().flat_map(|consolidator| consolidator.close()).collect()
    }
}

/// The `errors` directive of one server block: a count for each `consolidate` pattern, and for each
/// limit of which it has none.
#[derive(Debug)]
pub struct Consolidator {
    patterns: Vec<Pattern>,
    matches: Matches,
}

/// From the first query that a limit rejects to the summary.
const LIMIT_PERIOD: Duration = Duration::from_secs(10);

/// The messages of the limits, or their beginnings.
const LIMITS: [&str; 4] = [TOO_MANY_CONCURRENT, TOO_MANY_IN_FLIGHT, TOO_MANY_PER_CLIENT, TOO_MANY_WAITERS];
const TOO_MANY_CONCURRENT: &str = "concurrent queries exceeded maximum";
const TOO_MANY_IN_FLIGHT: &str = "too many queries are waiting";
const TOO_MANY_PER_CLIENT: &str = "too many queries of this client are waiting";
const TOO_MANY_WAITERS: &str = "too many clients are waiting for this query";

/// The index of the first pattern that matches the message of a cause. Causes are few, a handful
/// per upstream, while each failed query has one: each is compared with the patterns once.
#[derive(Debug, Default)]
struct Matches(RwLock<Vec<(Cause, Option<usize>)>>);

impl Matches {
    fn get_or_find(&self, cause: Cause, find: impl FnOnce() -> Option<usize>) -> Option<usize> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, index)) = known.iter().find(|(known, _)| *known == cause) {
            return *index;
        }
        drop(known);
        let index = find();
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((cause, index));
        index
    }
}

#[derive(Debug)]
enum Rule {
    Configured(Consolidate),
    /// A message of [`LIMITS`]; the first query is logged as well.
    Limit(&'static str),
}

#[derive(Debug)]
struct Pattern {
    rule: Rule,
    /// Locked for a few instructions by the worker whose query failed.
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    count: u64,
    due: Option<Instant>,
    closed: bool,
}

impl Consolidator {
    /// All counts at zero.
    pub fn new(errors: &Errors) -> Self {
        let configured = errors.consolidate.iter().cloned().map(Rule::Configured);
        let rules = configured.chain(LIMITS.into_iter().map(Rule::Limit));
        let patterns = rules.map(|rule| Pattern { rule, pending: Mutex::default() }).collect();
        Self { patterns, matches: Matches::default() }
    }

    /// The line to log now; `None` when the first matching pattern counts the failure instead.
    pub fn report(&self, error: &QueryError, name: &[u8], now: Instant) -> Option<LogLine> {
        let message = Message(error.cause);
        let find = || {
            let message = message.to_string();
            self.patterns.iter().position(|pattern| pattern.rule.matches(&message))
        };
        let matching = self.matches.get_or_find(error.cause, find);
        let level = match matching.and_then(|index| self.patterns.get(index)) {
            None => Level::ERROR,
            Some(pattern) => pattern.count(now)?,
        };
        let (rcode, qtype) = (error.rcode.0, error.qtype);
        Some(LogLine {
            level,
            text: format!("plugin/errors: {rcode} {} {qtype}: {message}", PresentationFormat(name)),
        })
    }

    /// When the next summary is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.patterns.iter().filter_map(|pattern| pattern.lock().due).min()
    }

    /// The summaries that are due at `now`.
    pub fn take_due(&self, now: Instant) -> Vec<LogLine> {
        self.patterns.iter().filter_map(|pattern| pattern.take_summary(|due| due <= now)).collect()
    }

    /// All summaries. Later failures are logged at once.
    pub fn close(&self) -> Vec<LogLine> {
        let lines = self.patterns.iter().filter_map(|pattern| {
            pattern.lock().closed = true;
            pattern.take_summary(|_| true)
        });
        lines.collect()
    }
}

impl Rule {
    fn matches(&self, message: &str) -> bool {
        match self {
            Self::Configured(rule) => rule.pattern.is_match(message),
            Self::Limit(limit) => message.starts_with(limit),
        }
    }

    fn pattern(&self) -> &str {
        match self {
            Self::Configured(rule) => rule.pattern.as_str(),
            Self::Limit(limit) => limit,
        }
    }

    fn period(&self) -> Duration {
        match self {
            Self::Configured(rule) => rule.period,
            Self::Limit(_) => LIMIT_PERIOD,
        }
    }

    fn level(&self) -> Level {
        match self {
            Self::Configured(rule) => rule.level,
            Self::Limit(_) => Level::ERROR,
        }
    }

    /// True if the first failure is logged as well.
    fn shows_first(&self) -> bool {
        match self {
            Self::Configured(rule) => rule.show_first,
            Self::Limit(_) => true,
        }
    }
}

impl Pattern {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failure; returns its level when it is logged as well.
    fn count(&self, now: Instant) -> Option<Level> {
        let mut pending = self.lock();
        if pending.closed {
            return Some(Level::ERROR);
        }
        pending.count += 1;
        if pending.count > 1 {
            return None;
        }
        pending.due = now.checked_add(self.rule.period());
        self.rule.shows_first().then(|| self.rule.level())
    }

    /// Resets the count and returns its summary, if due. A single failure that was logged
    /// needs none.
    fn take_summary(&self, is_due: impl Fn(Instant) -> bool) -> Option<LogLine> {
        let mut pending = self.lock();
        pending.due.filter(|due| is_due(*due))?;
        pending.due = None;
        let count = std::mem::take(&mut pending.count);
        if count == 1 && self.rule.shows_first() {
            return None;
        }
        let (pattern, period) = (self.rule.pattern(), GoDuration(self.rule.period()));
        let text = format!("plugin/errors: {count} errors like '{pattern}' occurred in last {period}");
        Some(LogLine { level: self.rule.level(), text })
    }
}

/// A cause in the wording of CoreDNS and Go's net package, which `consolidate` patterns match.
struct Message(Cause);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Upstream(failure, transport, to) => {
                let net = match transport {
                    Transport::Udp => "udp",
                    Transport::Tcp => "tcp",
                };
                match (failure, transport) {
                    (AttemptFailure::DialTimedOut, _) => write!(f, "dial {net} {to}: i/o timeout"),
                    (AttemptFailure::TimedOut, _) => write!(f, "read {net} {to}: i/o timeout"),
                    (AttemptFailure::Refused, Transport::Tcp) => {
                        write!(f, "dial {net} {to}: connect: connection refused")
                    }
                    (AttemptFailure::Refused, Transport::Udp) => {
                        write!(f, "read {net} {to}: read: connection refused")
                    }
                    (AttemptFailure::Unreachable, Transport::Tcp) => {
                        write!(f, "dial {net} {to}: connect: no route to host")
                    }
                    (AttemptFailure::Unreachable, Transport::Udp) => {
                        write!(f, "read {net} {to}: read: no route to host")
                    }
                    (AttemptFailure::Handshake, _) => write!(f, "dial {net} {to}: tls: handshake failure"),
                    (AttemptFailure::Closed, _) => write!(f, "read {net} {to}: EOF"),
                    (AttemptFailure::Mismatched, _) => {
                        write!(f, "read {net} {to}: only messages that do not match the query")
                    }
                    (AttemptFailure::AllDown, _) => f.write_str("no healthy proxies"),
                    (AttemptFailure::Filtered, _) => {
                        write!(f, "write {net} {to}: a packet filter of this node rejected the query")
                    }
                    (AttemptFailure::Local, _) => {
                        let reason =
                            "this node lacks a descriptor, buffer, port, permission or the source_address";
                        write!(f, "dial {net} {to}: {reason}")
                    }
                }
            }
            Cause::TooManyConcurrent(limit) => write!(f, "{TOO_MANY_CONCURRENT} {limit}"),
            Cause::TooManyInFlight => f.write_str(TOO_MANY_IN_FLIGHT),
            Cause::TooManyPerClient => f.write_str(TOO_MANY_PER_CLIENT),
            Cause::TooManyWaiters => f.write_str(TOO_MANY_WAITERS),
            Cause::InvalidName(error) => write!(f, "invalid name after rewrite: {error}"),
            Cause::Template(section, reason) => write!(f, "template: {section}: {reason}"),
            Cause::NoNextDirective(last) => write!(f, "plugin/{last}: no next plugin found"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_compared_once_per_cause() {
        let (matches, mut comparisons) = (Matches::default(), 0);
        for _ in 0..1000 {
            for (cause, index) in
                [(Cause::TooManyInFlight, Some(1)), (Cause::NoNextDirective("forward"), None)]
            {
                let found = matches.get_or_find(cause, || {
                    comparisons += 1;
                    index
                });
                assert_eq!(found, index);
            }
        }
        assert_eq!(comparisons, 2);
    }
}
