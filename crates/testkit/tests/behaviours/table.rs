//! Checks of the table's lines.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::TestIndex;

/// The errors of a table, in the order of its lines.
pub(crate) fn errors(table: &str, index: &TestIndex) -> Vec<String> {
    let mut errors = Vec::new();
    let mut behaviours = BTreeMap::new();
    let mut covered = BTreeSet::new();
    let lines = table.lines().zip(1..).filter(|(line, _)| is_behaviour(line));
    for (line, number) in lines {
        let mut report = |error: String| errors.push(format!("line {number}: {error}"));
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let &[behaviour, source, tests] = cells.as_slice() else {
            report(format!("{} cells, and a line has 3 cells: behaviour, source, test", cells.len()));
            continue;
        };
        if behaviour.is_empty() {
            report("no behaviour".to_owned());
        }
        if let Some(earlier) = behaviours.insert(normalized(behaviour), number) {
            report(format!("the same behaviour as line {earlier}: {behaviour}"));
        }
        source_errors(source).for_each(&mut report);
        test_errors(tests, index, &mut covered).for_each(&mut report);
    }
    if behaviours.is_empty() {
        errors.push("the table has no lines".to_owned());
    }
    let uncovered = index.scenarios.iter().filter(|scenario| !covered.contains(scenario.as_str()));
    errors.extend(uncovered.map(|scenario| format!("no line has `{scenario}`")));
    errors
}

/// A table row that is neither the header nor the rule below it.
fn is_behaviour(line: &str) -> bool {
    line.starts_with('|') && !line.starts_with("| behaviour |") && !line.starts_with("| ---")
}

/// The words of a behaviour in lower case.
fn normalized(behaviour: &str) -> String {
    let words = behaviour.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn source_errors(cell: &str) -> impl Iterator<Item = String> {
    let missing = cell.is_empty().then(|| "no source".to_owned());
    let invalid = cell.split(';').map(str::trim).filter(|source| !cell.is_empty() && !is_source(source));
    missing.into_iter().chain(invalid.map(|source| format!("`{source}` is not a source")))
}

/// `RFC N section N`, `CoreDNS N.N` or `ours`, optionally with a remark in parentheses.
fn is_source(source: &str) -> bool {
    let (source, remark) =
        source.split_once(" (").map_or((source, None), |(source, rest)| (source, Some(rest)));
    if remark.is_some_and(|remark| !remark.ends_with(')')) {
        return false;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let numbers = |text: &str| text.split('.').all(digits);
    match *source.split(' ').collect::<Vec<_>>().as_slice() {
        ["ours"] => true,
        ["CoreDNS", release] => release.contains('.') && numbers(release),
        ["RFC", rfc, "section", section] => digits(rfc) && numbers(section),
        _ => false,
    }
}

/// The errors in the tests of a line; adds the tests to `covered`.
fn test_errors<'a>(
    cell: &'a str,
    index: &TestIndex,
    covered: &mut BTreeSet<&'a str>,
) -> impl Iterator<Item = String> + use<> {
    let mut errors = Vec::new();
    for test in cell.split(',').map(str::trim) {
        let Some(test) = test.strip_prefix('`').and_then(|test| test.strip_suffix('`')) else {
            errors.push(if test.is_empty() {
                "no test".to_owned()
            } else {
                format!("`{test}` is not in backquotes")
            });
            continue;
        };
        if !index.tests.contains(test) && !index.scenarios.contains(test) {
            errors.push(format!("no test `{test}`"));
        }
        covered.insert(test);
    }
    errors.into_iter()
}
