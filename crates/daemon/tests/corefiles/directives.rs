//! What errors, log and reload take, and what they refuse.

use std::time::Duration;

use daemon::config::settings::{Consolidate, LogClasses, Reload};
use tracing::Level;

use super::machine::{first_line, load_lines};
use super::verdicts::{MISCOUNT, all_refused};

fn consolidate(option: &str) -> Consolidate {
    let lines = format!("errors {{\n consolidate {option}\n}}");
    load_lines(&lines).unwrap().blocks.remove(0).errors.unwrap().consolidate.remove(0)
}

#[test]
fn errors_takes_patterns_with_a_level() {
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
fn errors_refuses() {
    let long = format!("errors {{\n consolidate 1m {}\n}}", "a".repeat(10_001));
    all_refused(
        "errors",
        &[
            ("errors stdout stdout", &format!("{MISCOUNT} 'stdout'")),
            ("errors errors.txt", "invalid log file: errors.txt"),
            ("errors {\n consolidate\n}", &format!("{MISCOUNT} 'consolidate'")),
            ("errors {\n consolidate 1m\n}", &format!("{MISCOUNT} '1m'")),
            ("errors {\n consolidate 0 a b c d\n}", &format!("{MISCOUNT} 'd'")),
            ("errors {\n consolidate 1m a info debug\n}", &format!("{MISCOUNT} 'debug'")),
            ("errors {\n consolidate bad ^a\n}", "time: invalid duration \"bad\""),
            ("errors {\n consolidate 1m a fatal\n}", "unknown log level argument in consolidate: fatal"),
            (&long, "regex pattern too long: 10001 > 10000"),
            ("errors {\n stacktrace x\n}", &format!("{MISCOUNT} 'x'")),
            ("errors {\n bogus\n}", "Syntax error: Unexpected token 'bogus', expecting 'consolidate'"),
            ("errors\nerrors", "this plugin can only be used once per Server Block"),
        ],
    );
    let line = first_line(load_lines("errors {\n consolidate 1m ()(\n}"));
    assert!(line.contains("error parsing regexp"), "{line}");
}

#[test]
fn log_takes_names_a_format_and_classes() {
    const COMMON: &str = "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" \
                          {rcode} {>rflags} {rsize} {duration}";
    let rules = |lines: &str| {
        let rules = load_lines(lines).unwrap().blocks.remove(0).log;
        rules.into_iter().map(|rule| (rule.zone.to_string(), rule.format)).collect::<Vec<_>>()
    };
    let rule = |zone: &str, format: &str| (zone.to_owned(), format.to_owned());
    assert_eq!(rules("log"), [rule(".", COMMON)]);
    assert_eq!(rules("log A.test"), [rule("a.test.", COMMON)]);
    assert_eq!(rules("log a.test b.test"), [rule("a.test.", COMMON), rule("b.test.", COMMON)]);
    assert_eq!(rules("log a.test {common}"), [rule("a.test.", COMMON)]);
    assert_eq!(rules("log . {combined}"), [rule(".", &format!("{COMMON} \"{{>opcode}}\""))]);
    assert_eq!(rules("log . \"{name} {rcode}\""), [rule(".", "{name} {rcode}")]);
    assert_eq!(rules("log a.test\nlog b.test"), [rule("a.test.", COMMON), rule("b.test.", COMMON)]);
    let classes = |lines: &str| load_lines(lines).unwrap().blocks[0].log[0].classes;
    let only = |success, denial, error| LogClasses { success, denial, error };
    assert_eq!(classes("log"), only(true, true, true));
    assert_eq!(classes("log . {combined} {\n class error\n}"), only(false, false, true));
    assert_eq!(classes("log {\n class denial success\n}"), only(true, true, false));
    assert_eq!(classes("log {\n class denial\n class all\n}"), only(true, true, true));
}

#[test]
fn log_refuses_and_warns() {
    all_refused(
        "log",
        &[
            ("log {\n class\n}", &format!("{MISCOUNT} 'class'")),
            ("log {\n class abracadabra\n}", "invalid Class: abracadabra"),
            ("log {\n unknown\n}", &format!("{MISCOUNT} 'unknown'")),
        ],
    );
    let warnings = load_lines("log {combined}").unwrap().warnings;
    assert!(warnings[0].contains("log takes '{combined}' for a name"), "{warnings:?}");
}

#[test]
fn reload_has_an_interval_and_a_jitter() {
    let reload = |lines: &str| load_lines(lines).unwrap().reload.unwrap();
    let seconds = |interval, jitter| Reload {
        interval: Duration::from_secs(interval),
        jitter: Duration::from_millis(jitter),
    };
    assert_eq!(reload("reload"), seconds(30, 15_000));
    assert_eq!(reload("reload 10s"), seconds(10, 5_000));
    assert_eq!(reload("reload 10s 2s"), seconds(10, 2_000));
    assert_eq!(reload("reload 2s"), seconds(2, 1_000));
    assert_eq!(reload("reload 2s 0s"), seconds(2, 0));
    assert_eq!(reload("reload 10s\nreload 20s"), seconds(10, 5_000));
    assert!(load_lines("errors").unwrap().reload.is_none());
    all_refused(
        "reload",
        &[
            ("reload foo", "time: invalid duration \"foo\""),
            ("reload 10s foo", "time: invalid duration \"foo\""),
            ("reload 10s 5s 5s", &format!("{MISCOUNT} '5s'")),
            ("reload 1s", "interval value must be greater or equal to 2s"),
            ("reload 0s", "interval value must be greater or equal to 2s"),
            ("reload 3s 0.5s", "jitter value must be 0 or greater or equal to 1s"),
            ("reload {\n x\n}", &format!("{MISCOUNT} 'x'")),
        ],
    );
}
