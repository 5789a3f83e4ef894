//! `errors`: consolidation of logged failures.

use std::time::Duration;

use corefile::settings::Consolidate;
use tracing::Level;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::{first_line, load_lines};

fn consolidate(option: &str) -> Consolidate {
    let lines = format!("errors {{\n consolidate {option}\n}}");
    load_lines(&lines).unwrap().blocks.remove(0).errors.unwrap().consolidate.remove(0)
}

#[test]
fn errors_consolidate_accepts_a_pattern_and_a_level() {
    let elastisys = consolidate("5m \".* i/o timeout$\" warning");
    assert!(elastisys.pattern.is_match("read udp 10.0.0.1:53: i/o timeout"));
    assert_eq!((elastisys.period, elastisys.level), (Duration::from_secs(300), Level::WARN));
    assert!(!elastisys.show_first);
    assert_eq!(consolidate("30s ^dial").level, Level::ERROR);
    assert!(consolidate("30s ^dial show_first").show_first);
    let both = consolidate("30s ^dial debug show_first");
    assert_eq!((both.level, both.show_first), (Level::DEBUG, true));
    let errors =
        load_lines("errors stdout {\n stacktrace\n consolidate 1s a info\n consolidate 1s b\n}").unwrap();
    let errors = errors.blocks[0].errors.as_ref().unwrap();
    assert!(errors.stacktrace);
    assert_eq!(errors.consolidate.iter().map(|c| c.pattern.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(load_lines("log").unwrap().blocks[0].errors.is_none());
}

#[test]
fn invalid_errors_options_are_rejected() {
    let long = format!("errors {{\n consolidate 1m {}\n}}", "a".repeat(10_001));
    assert_all_rejected(
        "errors",
        &[
            ("errors stdout stdout", &format!("{ARGUMENT_COUNT} 'stdout'")),
            ("errors errors.txt", "invalid log file: errors.txt"),
            ("errors {\n consolidate\n}", &format!("{ARGUMENT_COUNT} 'consolidate'")),
            ("errors {\n consolidate 1m\n}", &format!("{ARGUMENT_COUNT} '1m'")),
            ("errors {\n consolidate 0 a b c d\n}", &format!("{ARGUMENT_COUNT} 'd'")),
            ("errors {\n consolidate 1m a info debug\n}", &format!("{ARGUMENT_COUNT} 'debug'")),
            ("errors {\n consolidate bad ^a\n}", "time: invalid duration \"bad\""),
            ("errors {\n consolidate 1m a fatal\n}", "unknown log level argument in consolidate: fatal"),
            (&long, "regex pattern too long: 10001 > 10000"),
            ("errors {\n stacktrace x\n}", &format!("{ARGUMENT_COUNT} 'x'")),
            ("errors {\n bogus\n}", "Syntax error: Unexpected token 'bogus', expecting 'consolidate'"),
            ("errors\nerrors", "this plugin can only be used once per Server Block"),
        ],
    );
    let line = first_line(load_lines("errors {\n consolidate 1m ()(\n}"));
    assert!(line.contains("error parsing regexp"), "{line}");
}
