//! Rows of Corefiles: what each directive accepts, with the settings, and what it rejects, with line
//! and reason.
//!
//! A row has the lines of a server block, with ` / ` between them, and its outcome: `=` and the settings,
//! `!` if there is a warning; or `LINE: ` and the first line of the error after its location. The first
//! line of the block is 2.
#![expect(clippy::indexing_slicing, reason = "a Corefile that loads has a server block")]

mod answers;
mod cache;
mod corefiles;
mod forward;
mod in_front;
mod logging;
mod process;
mod rewrite;

use corefile::Settings;
use wire::name::Name;

use super::load::{COREFILE, first_line, load_lines};

type Rows = [(&'static str, &'static str)];

/// Asserts rows of a directive; `show` writes the settings that it is about.
#[track_caller]
fn assert_rows(directive: &str, rows: &Rows, show: impl Fn(&Settings) -> String) {
    let mut wrong = Vec::new();
    for (lines, expected) in rows {
        let outcome = match load_lines(&lines.replace(" / ", "\n")) {
            Ok(settings) => {
                let warning = if settings.warnings.is_empty() { "" } else { "!" };
                format!("={warning} {}", show(&settings)).trim_end().to_owned()
            }
            rejected => rejection(directive, &first_line(rejected)),
        };
        if outcome != *expected {
            wrong.push(format!("({lines:?}, {outcome:?}),"));
        }
    }
    assert!(wrong.is_empty(), "{directive}: {} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// `LINE: REASON` of an error that has the words of node-cache, all of it for any other.
fn rejection(directive: &str, line: &str) -> String {
    let plugin = format!("plugin/{directive}: ");
    let located = line.strip_prefix(&plugin).unwrap_or(line).strip_prefix(COREFILE);
    let parts = located.and_then(|rest| rest.strip_prefix(':')?.split_once(" - "));
    let reason = parts.and_then(|(number, rest)| {
        let words = ["Error during parsing: ", "Syntax error: "];
        let reason = words.iter().find_map(|words| rest.strip_prefix(words))?;
        Some(format!("{number}: {reason}"))
    });
    reason.unwrap_or_else(|| line.to_owned())
}

fn names(zones: &[Name]) -> String {
    zones.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The parts that are not empty, with spaces between them.
fn join(parts: &[String]) -> String {
    parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ")
}

fn when(is: bool, word: &str) -> String {
    if is { word.to_owned() } else { String::new() }
}
