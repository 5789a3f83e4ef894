//! Checks `table.md`, the list of behaviours with their source and tests: each line has a source
//! and existing tests, and each scenario has a line.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected fails")]

mod sources;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use sources::TestIndex;

#[test]
fn every_behaviour_has_a_source_and_existing_tests() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let index = TestIndex::build(crates);
    let found = (index.tests.len(), index.scenarios.len());
    assert!(found.0 > 250 && found.1 > 80, "tests and scenarios: {found:?}");
    let errors = table::errors(include_str!("table.md"), &index);
    assert!(errors.is_empty(), "behaviours/table.md\n{}", errors.join("\n"));
}

/// An index with two scenarios and a test.
fn index() -> TestIndex {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    TestIndex {
        tests: names(&["wire::conformance::names::text_becomes_wire_form"]),
        scenarios: names(&["hits_age.rpl", "caches_nodata.rpl"]),
    }
}

const HITS: &str = "| Hits age. | RFC 1035 section 7.4; CoreDNS 1.13 (whole seconds) | `hits_age.rpl` |\n";
const NODATA: &str = "| NODATA is cached. | ours | `caches_nodata.rpl`, `wire::conformance::names::text_becomes_wire_form` |\n";

fn errors(lines: &str) -> Vec<String> {
    let table = format!("# Title\n\n## Cache\n\n| behaviour | source | test |\n| --- | --- | --- |\n{lines}");
    table::errors(&table, &index())
}

/// A table with `line` has one error, which contains `reason` and the line number.
fn rejected(line: &str, reason: &str) {
    let errors = errors(&format!("{HITS}{NODATA}{line}\n"));
    assert!(errors.len() == 1, "{line}: {errors:?}");
    assert!(errors[0].starts_with("line 9: ") && errors[0].contains(reason), "{line}: {errors:?}");
}

#[test]
fn table_that_matches_is_accepted() {
    assert_eq!(errors(&format!("{HITS}{NODATA}")), Vec::<String>::new());
}

#[test]
fn line_without_source_or_test_is_rejected() {
    rejected("| Hits do not age. | | `hits_age.rpl` |", "no source");
    rejected("| Hits do not age. | ours | |", "no test");
    rejected("| | ours | `hits_age.rpl` |", "no behaviour");
    rejected("| Hits do not age. | ours |", "3 cells");
}

#[test]
fn source_is_an_rfc_section_a_coredns_release_or_ours() {
    for source in
        ["RFC 1035", "RFC section 7", "1035 section 7.4", "CoreDNS", "a book", "our own; RFC 1035 section 7"]
    {
        rejected(&format!("| Hits do not age. | {source} | `hits_age.rpl` |"), "is not a source");
    }
}

#[test]
fn missing_test_is_reported() {
    rejected("| Hits do not age. | ours | `hits_do_not_age.rpl` |", "`hits_do_not_age.rpl`");
    rejected(
        "| Hits do not age. | ours | `wire::conformance::names::text` |",
        "`wire::conformance::names::text`",
    );
    rejected("| Hits do not age. | ours | hits_age.rpl |", "`hits_age.rpl` is not in backquotes");
}

#[test]
fn duplicate_behaviour_is_rejected() {
    rejected("| hits  age | ours | `hits_age.rpl` |", "the same behaviour as line 7");
}

#[test]
fn scenario_without_a_line_is_reported() {
    assert_eq!(errors(HITS), ["no line has `caches_nodata.rpl`"]);
}

#[test]
fn table_without_lines_is_rejected() {
    let errors = table::errors("# Title\n", &TestIndex::default());
    assert_eq!(errors, ["the table has no lines"]);
}

/// A source file, with a margin so that its tests are not indexed.
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
| #[ignore = \"never run\"]
| fn ignored() {}
|
| #[test]
| fn three(argument in strategy()) {}
";

#[test]
fn tests_are_found_where_cargo_finds_them() {
    let found = sources::tests_in(&SOURCE.replace("\n| ", "\n"));
    assert_eq!(found, ["tests::one", "tests::two", "three"]);
}
