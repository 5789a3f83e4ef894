//! Results of the comparisons.

use std::fmt;
use std::io::{self, Write};

use crate::deviations::{Deviation, LISTED};
use tools::message::{Message, flag};

/// Number of defects that are printed; all are counted.
const MAX_PRINTED: usize = 8;

type Kind = (&'static str, fn(&Message) -> bool);

/// Kinds of responses, to show how much of the protocol a run has covered.
const KINDS: [Kind; 10] = [
    ("NOERROR", |message| message.rcode == 0),
    ("SERVFAIL", |message| message.rcode == 2),
    ("NXDOMAIN", |message| message.rcode == 3),
    ("other codes", |message| message.rcode > 3),
    ("AA", |message| message.has(flag::AA)),
    ("AD", |message| message.has(flag::AD)),
    ("TC", |message| message.has(flag::TC)),
    ("RRSIG", |message| message.records().any(|record| record.exact.rtype == RRSIG)),
    ("CNAME", |message| message.records().any(|record| record.exact.rtype == CNAME)),
    ("above 4096 octets", |message| message.len > 4096),
];
const CNAME: u16 = 5;
const RRSIG: u16 = 46;

/// Counts, and the first defects.
#[derive(Debug, Default)]
pub(crate) struct Report {
    compared: usize,
    /// Responses with a listed deviation.
    deviating: usize,
    /// Those by line of the table.
    by_line: [usize; LISTED.len()],
    /// Responses without defect, by kind.
    by_kind: [usize; KINDS.len()],
    differing: usize,
    defects: Vec<String>,
}

impl Report {
    /// Counts a response that differs by `deviations` only.
    pub(crate) fn agreed(&mut self, ours: &Message, deviations: &[Deviation]) {
        self.compared += 1;
        for (count, (_, is)) in self.by_kind.iter_mut().zip(&KINDS) {
            *count += usize::from(is(ours));
        }
        self.deviating += usize::from(!deviations.is_empty());
        for (count, line) in self.by_line.iter_mut().zip(&LISTED) {
            *count += usize::from(deviations.contains(&line.deviation));
        }
    }

    /// Counts a response that breaks a rule.
    pub(crate) fn defect(&mut self, text: String) {
        self.compared += 1;
        self.differing += 1;
        if self.defects.len() < MAX_PRINTED {
            self.defects.push(text);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.deviating += other.deviating;
        self.differing += other.differing;
        for (count, other) in self.by_line.iter_mut().zip(other.by_line) {
            *count += other;
        }
        for (count, other) in self.by_kind.iter_mut().zip(other.by_kind) {
            *count += other;
        }
        self.defects.extend(other.defects);
        self.defects.truncate(MAX_PRINTED);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.differing == 0 && self.compared > 0
    }

    /// Number of responses of each kind.
    pub(crate) fn kinds(&self) -> String {
        let kinds = self.by_kind.iter().zip(&KINDS);
        kinds.map(|(count, (kind, _))| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn defects(&self) -> &[String] {
        &self.defects
    }
}

/// The listed deviations, with the number of responses of each upstream that have them.
pub(crate) fn table(reports: &[(&str, Report)], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "listed deviations, with the number of responses:")?;
    for (upstream, _) in reports {
        write!(out, "{upstream:>9}")?;
    }
    writeln!(out)?;
    for (index, line) in LISTED.iter().enumerate() {
        let counts = reports.iter().filter_map(|(_, report)| report.by_line.get(index));
        let counts: Vec<usize> = counts.copied().collect();
        for count in &counts {
            write!(out, "{count:>9}")?;
        }
        let note = if counts.iter().sum::<usize>() == 0 { " (NOT EXERCISED)" } else { "" };
        writeln!(out, "  {}{note}: {}", line.difference, line.reason)?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared, differing, deviating, .. } = self;
        let seen = self.by_line.iter().filter(|count| **count > 0).count();
        let listed = LISTED.len();
        write!(
            f,
            "{compared} compared, {differing} differ, {deviating} by listed deviation ({seen} of {listed} kinds)"
        )
    }
}
