//! `table.md` says what this server does, where that is said, and which test holds it to it. Here the table is held to
//! the tests: a line without source or test, a test that is not there, and a scenario no line names are failures.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected fails")]

mod sources;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use sources::Known;

#[test]
fn every_behaviour_has_its_source_and_a_test_that_is_there() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let known = Known::under(crates);
    let found = (known.tests.len(), known.listed.len());
    assert!(found.0 > 250 && found.1 > 80, "tests and scenarios are found: {found:?}");
    let complaints = table::complaints(include_str!("table.md"), &known);
    assert!(complaints.is_empty(), "behaviours/table.md\n{}", complaints.join("\n"));
}

/// A project with two scenarios and a test.
fn known() -> Known {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Known {
        tests: names(&["wire::conformance::names::text_becomes_wire_form"]),
        listed: names(&["hits_age.rpl", "caches_nodata.rpl"]),
        files: names(&["hits_age.rpl", "caches_nodata.rpl"]),
    }
}

const HITS: &str = "| Hits age. | RFC 1035 section 7.4; CoreDNS 1.13 (whole seconds) | `hits_age.rpl` |\n";
const NODATA: &str =
    "| NODATA is kept. | ours | `caches_nodata.rpl`, `wire::conformance::names::text_becomes_wire_form` |\n";

fn complaints(lines: &str) -> Vec<String> {
    let table = format!("# Title\n\n## Cache\n\n| behaviour | source | test |\n| --- | --- | --- |\n{lines}");
    table::complaints(&table, &known())
}

/// With `line` in it a table is refused for one reason, that has `what` in it and names the line.
fn refused(line: &str, what: &str) {
    let told = complaints(&format!("{HITS}{NODATA}{line}\n"));
    assert!(told.len() == 1 && told[0].starts_with("line 9: ") && told[0].contains(what), "{line}: {told:?}");
}

#[test]
fn a_true_table_is_taken() {
    assert_eq!(complaints(&format!("{HITS}{NODATA}")), Vec::<String>::new());
}

#[test]
fn a_line_without_source_or_test_is_refused() {
    refused("| Hits do not age. | | `hits_age.rpl` |", "no source");
    refused("| Hits do not age. | ours | |", "no test");
    refused("| | ours | `hits_age.rpl` |", "no behaviour");
    refused("| Hits do not age. | ours |", "3 cells");
}

#[test]
fn a_source_is_a_section_of_an_rfc_a_release_of_coredns_or_ourselves() {
    for source in
        ["RFC 1035", "RFC section 7", "1035 section 7.4", "CoreDNS", "a book", "our own; RFC 1035 section 7"]
    {
        refused(&format!("| Hits do not age. | {source} | `hits_age.rpl` |"), "is no source");
    }
}

#[test]
fn a_test_that_is_not_there_is_named() {
    refused("| Hits do not age. | ours | `hits_do_not_age.rpl` |", "`hits_do_not_age.rpl`");
    refused(
        "| Hits do not age. | ours | `wire::conformance::names::text` |",
        "`wire::conformance::names::text`",
    );
    refused("| Hits do not age. | ours | hits_age.rpl |", "`hits_age.rpl` in quotes like these");
}

#[test]
fn nothing_is_said_twice() {
    refused("| hits  age | ours | `hits_age.rpl` |", "line 7 says the same");
}

#[test]
fn a_scenario_that_no_line_names_or_nobody_plays_is_told() {
    assert_eq!(complaints(HITS), ["no line names `caches_nodata.rpl`"]);
    let mut known = known();
    known.files.insert("new.rpl".to_owned());
    let told = table::complaints(&format!("{HITS}{NODATA}"), &known);
    assert_eq!(told, ["`new.rpl` is not listed in scenarios.rs"]);
}

#[test]
fn a_table_without_lines_is_refused() {
    let told = table::complaints("# Title\n", &Known::default());
    assert_eq!(told, ["there are no lines"]);
}

/// A source file, behind a margin so that nobody takes it for one.
const SOURCE: &str = "
| mod tests {
|     #[tokio::test(flavor = \"current_thread\")]
|     async fn one() {}
|
|     #[test]
|     #[expect(clippy::panic, reason = \"two\")]
|     fn two() {}
|
|     fn no_test() {}
|
|     // #[test]
|     fn nor_this() {}
| }
|
| #[test]
| #[ignore = \"never played\"]
| fn ignored() {}
|
| #[test]
| fn three(argument in strategy()) {}
";

#[test]
fn tests_are_found_where_cargo_finds_them() {
    let found = sources::tests_in(&SOURCE.replace("\n| ", "\n"));
    assert_eq!(found, ["tests::one", "tests::two", "three"]);
    let played = "scenarios! {\n    a_b\n    c_d\n}\nfn other() {\n    e_f\n}\n";
    assert_eq!(sources::listed_in(played), ["a_b.rpl", "c_d.rpl"]);
}
