//! The table, line by line.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::Known;

/// What is wrong with a table, in the order of its lines.
pub(crate) fn complaints(table: &str, known: &Known) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut said = BTreeMap::new();
    let mut named = BTreeSet::new();
    let lines = table.lines().zip(1..).filter(|(line, _)| is_behaviour(line));
    for (line, number) in lines {
        let mut complain = |what: String| complaints.push(format!("line {number}: {what}"));
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let &[behaviour, source, tests] = cells.as_slice() else {
            complain(format!("{} cells, and a line has 3 cells: behaviour, source, test", cells.len()));
            continue;
        };
        if behaviour.is_empty() {
            complain("no behaviour".to_owned());
        }
        if let Some(before) = said.insert(plain(behaviour), number) {
            complain(format!("line {before} says the same: {behaviour}"));
        }
        sources(source).for_each(&mut complain);
        named_tests(tests, known, &mut named).for_each(&mut complain);
    }
    if said.is_empty() {
        complaints.push("there are no lines".to_owned());
    }
    let unnamed = known.listed.iter().filter(|scenario| !named.contains(scenario.as_str()));
    complaints.extend(unnamed.map(|scenario| format!("no line names `{scenario}`")));
    let unlisted = known.files.difference(&known.listed);
    complaints.extend(unlisted.map(|scenario| format!("`{scenario}` is not listed in scenarios.rs")));
    complaints
}

/// Neither prose, nor the head of a table, nor the rule below it.
fn is_behaviour(line: &str) -> bool {
    line.starts_with('|') && !line.starts_with("| behaviour |") && !line.starts_with("| ---")
}

/// A behaviour without what only looks different.
fn plain(behaviour: &str) -> String {
    let words = behaviour.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn sources(cell: &str) -> impl Iterator<Item = String> {
    let none = cell.is_empty().then(|| "no source".to_owned());
    let bad = cell.split(';').map(str::trim).filter(|source| !cell.is_empty() && !is_source(source));
    none.into_iter().chain(bad.map(|source| format!("`{source}` is no source")))
}

/// A section of an RFC, a release of CoreDNS, or ourselves; a remark may follow in parentheses.
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

/// What is wrong with the tests of a line; scenarios among them are put into `named`.
fn named_tests<'a>(
    cell: &'a str,
    known: &Known,
    named: &mut BTreeSet<&'a str>,
) -> impl Iterator<Item = String> + use<> {
    let mut wrong = Vec::new();
    for test in cell.split(',').map(str::trim) {
        let Some(test) = test.strip_prefix('`').and_then(|test| test.strip_suffix('`')) else {
            wrong.push(if test.is_empty() {
                "no test".to_owned()
            } else {
                format!("`{test}` in quotes like these")
            });
            continue;
        };
        if !known.tests.contains(test) && !known.listed.contains(test) {
            wrong.push(format!("there is no test `{test}`"));
        }
        named.insert(test);
    }
    wrong.into_iter()
}
