//! The report: for each Corefile and peer whether all differences are listed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Stdout, Write};

use crate::arguments::Arguments;
use crate::difference::Difference;
use crate::fixture::Fixture;
use crate::log_lines;
use crate::metrics;
use crate::namespace::Observation;
use crate::questions::{questions, steps, steps_in_chaos};
use crate::responses;
use crate::subject::Subject;
use crate::table::Table;

/// Number of different unlisted differences that are printed for each Corefile and peer.
const MAX_PRINTED: usize = 12;

/// Counts of a run.
#[derive(Debug)]
pub(crate) struct Report {
    table: Table,
    /// Some Corefiles or peers are not run, so that rows of the table may stay unused.
    partial: bool,
    all: bool,
    out: Stdout,
    /// Corefile and peer of each comparison that has passed.
    passed: BTreeSet<(String, &'static str)>,
    failed: usize,
    /// Questions, responses and samples that have been compared.
    compared: [usize; 3],
    /// Names of the Corefiles that the daemon must refuse for now.
    not_yet: Vec<String>,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments) -> io::Result<Self> {
        Ok(Self {
            table: Table::new().map_err(io::Error::other)?,
            partial: !arguments.comparison.only.is_empty()
                || arguments.node_cache.is_none()
                || arguments.node_local_dns.is_none(),
            all: arguments.all,
            out: io::stdout(),
            passed: BTreeSet::new(),
            failed: 0,
            compared: [0; 3],
            not_yet: Vec::new(),
        })
    }

    /// Compares the daemon with a peer on one Corefile; false for a difference that is not listed.
    pub(crate) fn compare(
        &mut self,
        fixture: &Fixture,
        peer: &Subject,
        theirs: &Result<Observation, String>,
        ours: &Result<Observation, String>,
    ) -> io::Result<bool> {
        let title = format!("{}, {}", fixture.name, peer.name());
        let (theirs, ours) = match (theirs, ours) {
            (Ok(theirs), Ok(ours)) => (theirs, ours),
            (Err(error), _) | (_, Err(error)) => {
                writeln!(self.out, "FAILED {title}: {error}")?;
                return Ok(false);
            }
        };
        if let Some(problem) = self.refusal(fixture, theirs, ours) {
            let Some(problem) = problem else {
                self.not_yet.push(title);
                return Ok(true);
            };
            writeln!(self.out, "FAILED {title}: {problem}")?;
            return Ok(false);
        }
        let differences = self.differences(fixture, theirs, ours)?;
        self.judge(fixture, peer, &differences)
    }

    /// `Some(None)` for a Corefile that need not load yet, `Some(Some(_))` for a failure.
    #[expect(clippy::option_option, reason = "three outcomes")]
    fn refusal(&self, fixture: &Fixture, theirs: &Observation, ours: &Observation) -> Option<Option<String>> {
        let last = |observation: &Observation| {
            let errors = observation.log.iter().rev().take(3).rev();
            errors.cloned().collect::<Vec<_>>().join("\n    ")
        };
        match (theirs.refused, ours.refused, fixture.not_yet.is_empty()) {
            (true, _, _) => Some(Some(format!("the peer refuses it:\n    {}", last(theirs)))),
            (_, true, true) => Some(Some(format!("ours refuses it:\n    {}", last(ours)))),
            (_, true, false) => Some(None),
            (_, false, false) => Some(Some("loads, so the line '#= not-yet' has to go".to_owned())),
            (_, false, true) => None,
        }
    }

    fn differences(
        &mut self,
        fixture: &Fixture,
        theirs: &Observation,
        ours: &Observation,
    ) -> io::Result<Vec<Difference>> {
        let mut steps = steps(fixture).map_err(io::Error::other)?;
        steps.extend(steps_in_chaos(fixture).map_err(io::Error::other)?);
        let mut found = Vec::new();
        for ((step, there), here) in steps.iter().zip(&theirs.responses).zip(&ours.responses) {
            found.extend(responses::compare(step, there, here));
        }
        found.extend(metrics::compare(&theirs.metrics, &ours.metrics));
        found.extend(log_lines::compare(&theirs.log, &ours.log));
        for (there, here) in theirs.pages.iter().zip(&ours.pages) {
            if there != here {
                found.push(Difference::new(format!("page: {there} -> {here}"), ""));
            }
        }
        if theirs.exit != ours.exit {
            found.push(Difference::new(format!("exit: {} -> {}", theirs.exit, ours.exit), ""));
        }
        let questions = questions(fixture).map_err(io::Error::other)?.len();
        let counts = [questions, steps.len(), metrics::count(&theirs.metrics)];
        self.compared.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        Ok(found)
    }

    fn judge(&mut self, fixture: &Fixture, peer: &Subject, differences: &[Difference]) -> io::Result<bool> {
        let mut unlisted: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for Difference { text, detail } in differences {
            if !self.table.lists(text, peer.name(), &fixture.name) || self.all {
                unlisted.entry(text).or_insert((0, detail)).0 += 1;
            }
        }
        let title = format!("{}, {}: {} differences", fixture.name, peer.name(), differences.len());
        let passes = unlisted.is_empty() || self.all;
        if passes {
            self.passed.insert((fixture.name.clone(), peer.name()));
            writeln!(self.out, "passed {title}, all listed")?;
        } else {
            writeln!(self.out, "FAILED {title}, {} kinds not listed:", unlisted.len())?;
        }
        let limit = if self.all { usize::MAX } else { MAX_PRINTED };
        for (text, (count, detail)) in unlisted.iter().take(limit) {
            writeln!(self.out, "    {count} x {text}")?;
            if !detail.is_empty() {
                writeln!(self.out, "          {detail}")?;
            }
        }
        Ok(passes)
    }

    /// Prints the rows of the table with their counts and the closing line; true if all passed.
    pub(crate) fn finish(mut self, failed: usize, peers: &[&str]) -> io::Result<bool> {
        self.failed += failed;
        writeln!(self.out, "listed differences, with their number:")?;
        for row in &self.table.rows {
            let note = if row.is_unused(peers) && !self.partial { " UNUSED" } else { "" };
            self.failed += usize::from(!note.is_empty());
            writeln!(self.out, "{:>9} {}{note}", row.count, row.title())?;
        }
        for title in &self.not_yet {
            writeln!(self.out, "not yet: {title}")?;
        }
        let [questions, responses, samples] = self.compared;
        writeln!(
            self.out,
            "{questions} questions, {responses} responses, {samples} samples of metrics compared"
        )?;
        let (passed, failed) = (self.passed.len(), self.failed);
        writeln!(self.out, "{passed} passed, {failed} failed")?;
        Ok(failed == 0 && passed > 0)
    }
}
