//! Results of the servers, and their tables.

use std::fmt::Write as _;

use crate::clients::Outcome;
use crate::figures::{count, median, micros, sorted};
use crate::servers::{BEFORE, NODE_CACHE};

use super::upstream::Sockets;

/// The rounds of one server.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) rounds: Vec<Round>,
}

pub(super) struct Round {
    pub(super) outcome: Outcome,
    pub(super) cpu_ns: u64,
    pub(super) sockets: Sockets,
}

impl Round {
    /// CPU time per response in microseconds.
    fn cost(&self) -> f64 {
        micros(self.cpu_ns) / count(self.outcome.answered)
    }
}

impl Row {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    /// Queries without a correct response.
    pub(super) fn unanswered(&self) -> u64 {
        self.rounds.iter().map(|round| round.outcome.failed()).sum()
    }

    /// The median of the ratios of both costs in each round.
    fn ratio_to(&self, other: &Self) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(&sorted(pairs.map(|(round, other)| round.cost() / other.cost())))
    }

    fn max_sockets(&self, sockets: impl Fn(Sockets) -> usize) -> usize {
        self.rounds.iter().map(|round| sockets(round.sockets)).max().unwrap_or_default()
    }
}

/// The rows as text, compared to node-cache and to the build before.
pub(super) fn table(title: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "{title}\n{:<16}{:>12}{:>8}{:>8}{:>14}{:>10}{:>13}{:>14}{:>12}\n",
        "",
        "CPU us/query",
        "min",
        "max",
        "x node-cache",
        "x before",
        "connections",
        "source ports",
        "unanswered",
    );
    let reference = |name| rows.iter().find(|row| row.name == name);
    let ratio = |row: &Row, name| {
        reference(name).map_or_else(|| "-".to_owned(), |other| format!("{:.2}", row.ratio_to(other)))
    };
    for row in rows {
        let costs = sorted(row.rounds.iter().map(Round::cost));
        writeln!(
            text,
            "{:<16}{:>12.2}{:>8.2}{:>8.2}{:>14}{:>10}{:>13}{:>14}{:>12}",
            row.name,
            median(&costs),
            costs.first().copied().unwrap_or(f64::NAN),
            costs.last().copied().unwrap_or(f64::NAN),
            ratio(row, NODE_CACHE),
            ratio(row, BEFORE),
            row.max_sockets(|sockets| sockets.connections),
            row.max_sockets(|sockets| sockets.source_ports),
            row.unanswered(),
        )
        .ok(); // Writing to a String does not fail.
    }
    text
}

/// One server's upstream queries and sockets for a burst of queries.
pub(super) struct Burst {
    pub(super) name: &'static str,
    pub(super) upstream_queries: u64,
    pub(super) sockets: Sockets,
    pub(super) unanswered: u64,
}

/// The bursts as text.
pub(super) fn burst_table(title: &str, bursts: &[Burst]) -> String {
    let mut text = format!(
        "{title}\n{:<16}{:>17}{:>13}{:>14}{:>12}\n",
        "", "upstream queries", "connections", "source ports", "unanswered"
    );
    for burst in bursts {
        let Burst { name, upstream_queries, sockets, unanswered } = burst;
        writeln!(
            text,
            "{name:<16}{upstream_queries:>17}{:>13}{:>14}{unanswered:>12}",
            sockets.connections, sockets.source_ports
        )
        .ok(); // Writing to a String does not fail.
    }
    text
}
