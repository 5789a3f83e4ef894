//! The index "Where is ...?" of `crates/README.md`: rows of a term and the file to open.

use std::fs;
use std::path::{Path, PathBuf};

use super::sources;

/// A row of the index: a term, and a file below `crates/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    term: String,
    file: String,
}

/// The title of a shipped source file: the first paragraph of its module documentation.
pub(super) struct Title {
    file: String,
    text: String,
}

/// The rows of the table below the heading "Where is".
pub(super) fn rows(readme: &str) -> Vec<Row> {
    let section = readme.split("## Where is").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    section.lines().filter_map(row).collect()
}

/// `| term | [file](file) |`
fn row(line: &str) -> Option<Row> {
    let (term, link) = line.strip_prefix("| ")?.split_once(" | ")?;
    let file = link.split_once("](")?.1.split_once(')')?.0;
    Some(Row { term: term.to_owned(), file: file.to_owned() })
}

/// The titles of all source files of the crates that are shipped.
pub(super) fn titles(crates: &Path) -> Vec<Title> {
    let shipped = ["wire", "resolver", "corefile", "linux", "daemon"];
    let files = shipped.iter().flat_map(|name| sources(&crates.join(name).join("src")));
    let title = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let paragraph =
            text.lines().map_while(|line| line.strip_prefix("//!")).take_while(|line| !line.is_empty());
        let plain = paragraph.collect::<String>().replace(['`', '[', ']'], "");
        let file = path.strip_prefix(crates).unwrap().to_string_lossy().into_owned();
        Title { file, text: plain.trim().to_lowercase() }
    };
    files.map(title).collect()
}

/// The error of a row, if any. The row's file must be the only one whose title begins with the
/// term, or else the only one whose title contains it.
pub(super) fn fault(row: &Row, titles: &[Title]) -> Option<String> {
    let term = row.term.to_lowercase();
    let select = |matches: &dyn Fn(&str) -> bool| {
        let found = titles.iter().filter(|title| matches(&title.text));
        found.map(|title| title.file.as_str()).collect::<Vec<_>>()
    };
    let begins = select(&|text| text.starts_with(&term));
    let found = if begins.is_empty() { select(&|text| text.contains(&term)) } else { begins };
    (found != [row.file.as_str()])
        .then(|| format!("{}: {}, but a search finds {found:?}", row.term, row.file))
}

#[test]
fn rows_are_read_from_the_index_only() {
    let text = "| x | [y](y) |\n## Where is ...?\n\n| term | file |\n| --- | --- |\n\
                | Eviction | [s.rs](resolver/s.rs) |\n\n## Ports\n| x | [y](y) |\n";
    assert_eq!(rows(text), [Row { term: "Eviction".to_owned(), file: "resolver/s.rs".to_owned() }]);
}

#[test]
fn a_row_whose_term_leads_elsewhere_is_a_fault() {
    let title = |file: &str, text: &str| Title { file: file.to_owned(), text: text.to_owned() };
    let titles =
        [title("a.rs", "eviction: sieve"), title("b.rs", "limits of eviction"), title("c.rs", "ttl")];
    let row = |term: &str, file: &str| Row { term: term.to_owned(), file: file.to_owned() };
    assert_eq!(fault(&row("Eviction", "a.rs"), &titles), None);
    assert_eq!(fault(&row("Limits", "b.rs"), &titles), None);
    assert!(fault(&row("Eviction", "b.rs"), &titles).is_some());
    assert!(fault(&row("Hedging", "a.rs"), &titles).is_some());
}
