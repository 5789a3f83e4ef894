//! `header` and `minimal`: changes to every message of a block.

use resolver::policy::MessageChanges;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::load_lines;

fn changes(lines: &str) -> MessageChanges {
    load_lines(lines).unwrap().blocks.remove(0).message_changes
}

#[test]
fn flags_are_set_and_cleared() {
    let with = |authoritative, recursion_desired| MessageChanges {
        authoritative,
        recursion_desired,
        ..MessageChanges::default()
    };
    for (lines, expected) in [
        ("errors", with(None, None)),
        ("header {\n response set aa\n}", with(Some(true), None)),
        ("header {\n clear AA\n}", with(Some(false), None)),
        ("header {\n query set rd\n response clear aa\n}", with(Some(false), Some(true))),
        ("header {\n query clear rd\n}\nheader {\n Response Set aa\n}", with(Some(true), Some(false))),
        ("minimal", MessageChanges { minimal: true, ..MessageChanges::default() }),
    ] {
        assert_eq!(changes(lines), expected, "{lines}");
    }
}

#[test]
fn flags_that_cannot_be_changed_are_accepted_with_a_warning() {
    for (lines, reason) in [
        ("header {\n response clear ra\n}", "responses have RA, and RD of the client's query"),
        ("header {\n set ra rd aa\n}", "responses have RA, and RD of the client's query"),
        ("header {\n query set aa\n}", "upstreams ignore AA and RA of a query"),
    ] {
        let warnings = load_lines(lines).unwrap().warnings;
        assert!(warnings.iter().any(|warning| warning.ends_with(reason)), "{lines}: {warnings:?}");
    }
}

#[test]
fn invalid_rules_are_rejected() {
    assert_all_rejected(
        "header",
        &[
            ("header aa", &format!("{ARGUMENT_COUNT} 'aa'")),
            ("header {\n response\n}", "setting up rule: no flag action provided"),
            ("header {\n answer set aa\n}", "invalid selector=answer should be query or response"),
            ("header {\n response toggle aa\n}", "unknown flag action=toggle, should be set or clear"),
            ("header {\n response set\n}", "invalid length for flags, at least one should be provided"),
            ("header {\n set\n}", "invalid length for flags, at least one should be provided"),
            ("header {\n set ad\n}", "unknown/unsupported flag=ad"),
        ],
    );
    assert_all_rejected("minimal", &[("minimal x", &format!("{ARGUMENT_COUNT} 'x'"))]);
}

#[test]
fn changes_are_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    let [without, one, other] =
        ["cache", "cache\nheader {\n response set aa\n}", "cache\nminimal"].map(fingerprint);
    assert!(without != one && without != other && one != other, "{one}");
}
