//! Raw data: a value per server, metric and round; and failures.

use std::fmt::Write as _;

use super::metrics;
use crate::figures::{median, sorted};

pub(super) struct Records {
    /// In the order of the tables.
    servers: Vec<&'static str>,
    records: Vec<Record>,
    failures: Vec<(&'static str, String)>,
}

struct Record {
    server: &'static str,
    metric: String,
    value: f64,
}

impl Records {
    pub(super) fn new(servers: Vec<&'static str>) -> Self {
        Self { servers, records: Vec::new(), failures: Vec::new() }
    }

    /// Adds the value of the next round.
    pub(super) fn add(&mut self, server: &'static str, metric: impl Into<String>, value: f64) {
        self.records.push(Record { server, metric: metric.into(), value });
    }

    pub(super) fn fail(&mut self, server: &'static str, reason: String) {
        self.failures.push((server, reason));
    }

    /// What failed, of all servers.
    pub(super) fn failures(&self) -> &[(&'static str, String)] {
        &self.failures
    }

    pub(super) fn failures_of(&self, server: &str) -> Vec<String> {
        let failures = self.failures.iter().filter(|(name, _)| *name == server);
        failures.map(|(name, reason)| format!("{name}: {reason}")).collect()
    }

    /// The servers in the order of the tables.
    pub(super) fn servers(&self) -> &[&'static str] {
        &self.servers
    }

    /// The numbers of cache entries with which memory was measured, in that order.
    pub(super) fn entries(&self) -> Vec<u32> {
        let mut entries = Vec::new();
        for record in &self.records {
            match metrics::entries(&record.metric) {
                Some(number) if !entries.contains(&number) => entries.push(number),
                _ => {}
            }
        }
        entries
    }

    /// The values of all rounds.
    fn rounds(&self, server: &str, metric: &str) -> Vec<f64> {
        let is_wanted = |record: &&Record| record.server == server && record.metric == metric;
        self.records.iter().filter(is_wanted).map(|record| record.value).collect()
    }

    pub(super) fn median(&self, server: &str, metric: &str) -> Option<f64> {
        let rounds = self.rounds(server, metric);
        (!rounds.is_empty()).then(|| median(&sorted(rounds.into_iter())))
    }

    /// The median of the ratios to another server in each round.
    pub(super) fn ratio(&self, server: &str, other: &str, metric: &str) -> Option<f64> {
        let (rounds, others) = (self.rounds(server, metric), self.rounds(other, metric));
        let ratios = sorted(rounds.iter().zip(&others).map(|(value, other)| value / other));
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    /// A line per value; rounds are counted from 1.
    pub(super) fn csv(&self) -> String {
        let mut text = "server,metric,round,value\n".to_owned();
        for (index, Record { server, metric, value }) in self.records.iter().enumerate() {
            let earlier = self.records.iter().take(index);
            let same = earlier.filter(|record| record.server == *server && record.metric == *metric);
            let round = same.count() + 1;
            writeln!(text, "{server},{metric},{round},{value:.3}").ok(); // Into a String.
        }
        text
    }
}
