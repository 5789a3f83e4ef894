//! Rows and bounds of the fairness tables.

use std::fmt::Write as _;
use std::time::Duration;

use super::flood::{Flood, Flooded, Names, Pace};
use super::probes::{Group, Probes};
use crate::figures::{count, median, quantile, sorted};
use crate::servers::{BEFORE, DAEMON};

/// The 99th percentile of the response times of the other clients, in milliseconds.
const MAX_P99_MS: f64 = 10.0;
/// Throughput compared to `before`.
const MIN_THROUGHPUT: f64 = 0.97;

/// A server and its rounds.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) rounds: Vec<Round>,
}

/// One flood on one server.
pub(super) struct Round {
    pub(super) time: Duration,
    /// CPU time of the server.
    pub(super) cpu_ns: u64,
    /// Responses NOERROR that the server counted.
    pub(super) answered: u64,
    /// Requests that the server counted.
    pub(super) requests: u64,
    /// Datagrams that the kernel dropped, and those that the server counted as dropped.
    pub(super) drops: u64,
    pub(super) counted: u64,
    pub(super) flooded: Flooded,
    pub(super) probes: Probes,
}

impl Round {
    /// Queries of the flood that the server answered, per second.
    fn rate(&self) -> f64 {
        count(self.answered.saturating_sub(self.probes.queries())) / self.time.as_secs_f64()
    }

    /// Queries that neither the server nor the kernel has counted.
    fn unaccounted(&self) -> u64 {
        (self.flooded.sent + self.probes.queries()).saturating_sub(self.requests + self.drops)
    }

    /// Queries of a flood with responses that had none, beyond the drops.
    fn unanswered(&self) -> u64 {
        let Flooded { sent, answered, failed } = self.flooded;
        sent.saturating_sub(answered + failed + self.drops)
    }
}

impl Row {
    fn rate(&self) -> f64 {
        median(&sorted(self.rounds.iter().map(Round::rate)))
    }

    fn sum(&self, field: impl Fn(&Round) -> u64) -> u64 {
        self.rounds.iter().map(field).sum()
    }

    fn group(&self, group: impl Fn(&Probes) -> &Group) -> Group {
        let mut all = Group::default();
        for round in &self.rounds {
            let group = group(&round.probes);
            all.response_ms.extend(&group.response_ms);
            all.failed += group.failed;
        }
        all.response_ms = sorted(all.response_ms.into_iter());
        all
    }

    fn groups(&self) -> [Group; 3] {
        [
            self.group(|probes| &probes.tcp_hits),
            self.group(|probes| &probes.tcp_misses),
            self.group(|probes| &probes.udp_misses),
        ]
    }

    fn unanswered(&self, flood: &Flood) -> u64 {
        if matches!(flood.pace, Pace::Window(_)) { self.sum(Round::unanswered) } else { 0 }
    }
}

/// The rows as text.
pub(super) fn table(rows: &[Row], flood: &Flood, rounds: usize) -> String {
    let names = if flood.names == Names::Hits { "hits" } else { "misses" };
    let pace = match flood.pace {
        Pace::Window(window) => format!("{window} outstanding"),
        Pace::Rate(rate) => format!("{rate}/s"),
    };
    let mut text = format!(
        "flood of {names}, {pace}, {} s, {rounds} rounds\n{:<14}{:>9}{:>6}{:>24}{:>24}{:>24}{:>8}{:>12}{:>10}{:>9}\n{:<14}{:>9}{:>6}{:>24}{:>24}{:>24}{:>8}{:>12}{:>10}{:>9}\n",
        flood.seconds,
        "",
        "flood",
        "CPU",
        "TCP hits p50/p99/max",
        "TCP misses p50/p99/max",
        "UDP misses p50/p99/max",
        "failed",
        "drops",
        "drops",
        "",
        "",
        "q/s",
        "%",
        "ms",
        "ms",
        "ms",
        "probes",
        "kernel",
        "counted",
        "lost",
    );
    for row in rows {
        let busy = sorted(
            row.rounds.iter().map(|round| count(round.cpu_ns / 1000) / 1e4 / round.time.as_secs_f64()),
        );
        write!(text, "{:<14}{:>9.0}{:>6.0}", row.name, row.rate(), median(&busy)).ok(); // Writing to a String does not fail.
        let groups = row.groups();
        for group in &groups {
            let times = [50, 99, 100].map(|per_cent| quantile(&group.response_ms, per_cent));
            let times = times.map(|time| format!("{time:.2}")).join(" / ");
            write!(text, "{:>24}", if group.response_ms.is_empty() { "-" } else { &times }).ok();
        }
        let failed: u64 = groups.iter().map(|group| group.failed).sum();
        let lost = row.sum(Round::unaccounted) + row.unanswered(flood);
        let (drops, counted) = (row.sum(|round| round.drops), row.sum(|round| round.counted));
        writeln!(text, "{failed:>8}{drops:>12}{counted:>10}{lost:>9}").ok();
    }
    text
}

/// Bounds that the daemon exceeds.
pub(super) fn exceeded_bounds(rows: &[Row], flood: &Flood) -> Vec<String> {
    let find = |name| rows.iter().find(|row| row.name == name);
    let Some(daemon) = find(DAEMON) else { return Vec::new() };
    let mut exceeded = Vec::new();
    for group in daemon.groups() {
        let p99 = quantile(&group.response_ms, 99);
        if p99 > MAX_P99_MS || group.failed > 0 {
            exceeded.push(format!("99th percentile {p99:.2} ms, {} failed", group.failed));
        }
    }
    let lost = daemon.sum(Round::unaccounted) + daemon.unanswered(flood);
    if lost > 0 {
        exceeded.push(format!("{lost} queries lost"));
    }
    let (drops, counted) = (daemon.sum(|round| round.drops), daemon.sum(|round| round.counted));
    if drops != counted {
        exceeded.push(format!("{drops} datagrams dropped, {counted} counted"));
    }
    if let Some(before) = find(BEFORE)
        && daemon.rate() < MIN_THROUGHPUT * before.rate()
    {
        exceeded.push(format!("{:.0} q/s, before {:.0}", daemon.rate(), before.rate()));
    }
    let title = format!("{:?}, {:?}", flood.names, flood.pace);
    exceeded.into_iter().map(|bound| format!("{title}: {bound}")).collect()
}
