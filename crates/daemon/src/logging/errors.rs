//! The `errors` directive: a line for each query that failed, or one for many that failed alike.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use resolver::action::{AttemptFailure, Cause, QueryError, Transport};
use resolver::policy::RouteId;
use tracing::Level;
use wire::name::PresentationFormat;

use corefile::duration::GoDuration;
use corefile::settings::{Consolidate, Errors};

/// Something to say, without its `[LEVEL] `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How loud.
    pub level: Level,
    /// The words.
    pub text: String,
}

/// The `errors` directives, zone by zone, shared by all workers: what many of them see is counted once.
#[derive(Clone, Debug, Default)]
pub struct ErrorLog {
    consolidators: HashMap<RouteId, Arc<Consolidator>>,
}

impl ErrorLog {
    /// Says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has failures in a zone told; the zones of a block share their block's counts.
    pub fn set(&mut self, route: RouteId, consolidator: &Arc<Consolidator>) {
        self.consolidators.insert(route, Arc::clone(consolidator));
    }

    /// What to say of a failure now, if anything. `name` is [`QueryError::name`]'s octets.
    pub fn report(&self, trouble: &QueryError, name: &[u8], now: Instant) -> Option<LogLine> {
        self.consolidators.get(&trouble.route)?.report(trouble, name, now)
    }

    /// When [`ErrorLog::due`] has something to say.
    pub fn next_due(&self) -> Option<Instant> {
        self.consolidators.values().filter_map(|consolidator| consolidator.next_due()).min()
    }

    /// The counts whose time is over at `now`.
    pub fn due(&self, now: Instant) -> Vec<LogLine> {
        self.consolidators.values().flat_map(|consolidator| consolidator.due(now)).collect()
    }

    /// All counts, when the configuration or the process ends. What is reported later is told at once.
    pub fn stop(&self) -> Vec<LogLine> {
        self.consolidators.values().flat_map(|consolidator| consolidator.stop()).collect()
    }
}

/// The `errors` directive of one block.
#[derive(Debug)]
pub struct Consolidator {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    rule: Consolidate,
    /// Held for a few instructions, by whoever's query just failed.
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    count: u64,
    due: Option<Instant>,
    stopped: bool,
}

impl Consolidator {
    /// Counts nothing yet.
    pub fn new(errors: &Errors) -> Self {
        let pattern = |rule: &Consolidate| Pattern { rule: rule.clone(), pending: Mutex::default() };
        Self { patterns: errors.consolidate.iter().map(pattern).collect() }
    }

    /// What to say of a failure at once; nothing when the first pattern that fits counts it instead.
    pub fn report(&self, trouble: &QueryError, name: &[u8], now: Instant) -> Option<LogLine> {
        let message = Message(trouble.cause).to_string();
        let fitting = self.patterns.iter().find(|pattern| pattern.rule.pattern.is_match(&message));
        let level = match fitting {
            None => Level::ERROR,
            Some(pattern) => pattern.count(now)?,
        };
        let (rcode, qtype) = (trouble.rcode.0, trouble.qtype);
        Some(LogLine {
            level,
            text: format!("plugin/errors: {rcode} {} {qtype}: {message}", PresentationFormat(name)),
        })
    }

    /// When [`Consolidator::due`] has something to say.
    pub fn next_due(&self) -> Option<Instant> {
        self.patterns.iter().filter_map(|pattern| pattern.lock().due).min()
    }

    /// The counts whose time is over at `now`.
    pub fn due(&self, now: Instant) -> Vec<LogLine> {
        self.patterns.iter().filter_map(|pattern| pattern.tell(|due| due <= now)).collect()
    }

    /// All counts. What is reported later is told at once.
    pub fn stop(&self) -> Vec<LogLine> {
        let lines = self.patterns.iter().filter_map(|pattern| {
            pattern.lock().stopped = true;
            pattern.tell(|_| true)
        });
        lines.collect()
    }
}

impl Pattern {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failure; the level to tell it at when it is to be told all the same.
    fn count(&self, now: Instant) -> Option<Level> {
        let mut pending = self.lock();
        if pending.stopped {
            return Some(Level::ERROR);
        }
        pending.count += 1;
        if pending.count > 1 {
            return None;
        }
        pending.due = now.checked_add(self.rule.period);
        self.rule.show_first.then_some(self.rule.level)
    }

    /// The count, if there is one and its time is ripe, which then starts again. A single failure that was told
    /// is not told again.
    fn tell(&self, is_ripe: impl Fn(Instant) -> bool) -> Option<LogLine> {
        let mut pending = self.lock();
        pending.due.filter(|due| is_ripe(*due))?;
        pending.due = None;
        let count = std::mem::take(&mut pending.count);
        if count == 1 && self.rule.show_first {
            return None;
        }
        let Consolidate { pattern, period, level, .. } = &self.rule;
        let text = format!(
            "plugin/errors: {count} errors like '{pattern}' occurred in last {}",
            GoDuration(*period)
        );
        Some(LogLine { level: *level, text })
    }
}

/// A cause in the words of Go's network library where it has some, because operators match their ends.
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
                    (AttemptFailure::Closed { .. }, _) => write!(f, "read {net} {to}: EOF"),
                    (AttemptFailure::AllDown, _) => f.write_str("no healthy proxies"),
                    (AttemptFailure::Local, _) => {
                        let lacks = "this node has no descriptor, buffer, port or permission for it, or not the source_address";
                        write!(f, "dial {net} {to}: {lacks}")
                    }
                }
            }
            Cause::TooManyConcurrent(limit) => write!(f, "concurrent queries exceeded maximum {limit}"),
            Cause::TooManyInFlight => f.write_str("too many open questions in this worker"),
            Cause::TooManyOfClient => f.write_str("too many questions of this client wait"),
            Cause::TooManyWaiters => f.write_str("too many clients wait for this question"),
            Cause::NoForward => f.write_str("no forward of the block takes this name"),
        }
    }
}
