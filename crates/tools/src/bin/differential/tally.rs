//! What came of the comparisons.

use std::fmt;
use std::io::{self, Write};

use crate::deviations::{Deviation, LISTED};
use crate::message::{Message, flag};

/// Defects that are shown; the rest is counted.
const SHOWN: usize = 8;

type Sort = (&'static str, fn(&Message) -> bool);

/// What tells how much of the protocol a run has seen.
const SORTS: [Sort; 10] = [
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
pub(crate) struct Tally {
    compared: usize,
    /// How many answers differ by something in the table.
    deviating: usize,
    /// The same by the line of the table.
    by_line: [usize; LISTED.len()],
    /// The same by the sort of answer.
    by_sort: [usize; SORTS.len()],
    differing: usize,
    defects: Vec<String>,
}

impl Tally {
    /// Counts an answer that differs by `deviations` only.
    pub(crate) fn agreed(&mut self, ours: &Message, deviations: &[Deviation]) {
        self.compared += 1;
        for (count, (_, is)) in self.by_sort.iter_mut().zip(&SORTS) {
            *count += usize::from(is(ours));
        }
        self.deviating += usize::from(!deviations.is_empty());
        for (count, line) in self.by_line.iter_mut().zip(&LISTED) {
            *count += usize::from(deviations.contains(&line.deviation));
        }
    }

    /// Counts an answer that breaks a rule.
    pub(crate) fn defect(&mut self, text: String) {
        self.compared += 1;
        self.differing += 1;
        if self.defects.len() < SHOWN {
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
        for (count, other) in self.by_sort.iter_mut().zip(other.by_sort) {
            *count += other;
        }
        self.defects.extend(other.defects);
        self.defects.truncate(SHOWN);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.differing == 0 && self.compared > 0
    }

    /// How many answers of each sort agreed.
    pub(crate) fn sorts(&self) -> String {
        let sorts = self.by_sort.iter().zip(&SORTS);
        sorts.map(|(count, (sort, _))| format!("{count} {sort}")).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn defects(&self) -> &[String] {
        &self.defects
    }
}

/// The listed deviations, and how many answers of each upstream show them.
pub(crate) fn table(tallies: &[(&str, Tally)], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "listed deviations, and how many answers show each:")?;
    for (upstream, _) in tallies {
        write!(out, "{upstream:>9}")?;
    }
    writeln!(out)?;
    for (at, line) in LISTED.iter().enumerate() {
        let counts: Vec<usize> =
            tallies.iter().filter_map(|(_, tally)| tally.by_line.get(at)).copied().collect();
        for count in &counts {
            write!(out, "{count:>9}")?;
        }
        let note = if counts.iter().sum::<usize>() == 0 { " (NOT EXERCISED)" } else { "" };
        writeln!(out, "  {}{note}: {}", line.what, line.why)?;
    }
    Ok(())
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared, differing, deviating, .. } = self;
        let seen = self.by_line.iter().filter(|count| **count > 0).count();
        write!(
            f,
            "{compared} compared, {differing} differ, {deviating} by listed deviation ({seen} of {} kinds)",
            LISTED.len()
        )
    }
}
