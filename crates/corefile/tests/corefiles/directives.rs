//! What errors, log and reload take, and what they refuse.

use std::time::Duration;

use corefile::settings::{Consolidate, LogClasses, Reload, Timeouts};
use tracing::Level;

use super::fake_host::{first_line, load, load_lines};
use super::validate::{MISCOUNT, all_refused};

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

#[test]
fn bufsize_takes_512_to_4096_and_the_first_counts() {
    let bufsize = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).bufsize;
    assert_eq!(bufsize("errors"), None);
    for (lines, octets) in
        [("bufsize", 1232), ("bufsize 512", 512), ("bufsize 4096", 4096), ("bufsize 1400\nbufsize 600", 1400)]
    {
        assert_eq!(bufsize(lines), Some(octets), "{lines}");
    }
    let refused = [
        ("bufsize 511", "must be within 512 - 4096"),
        ("bufsize 4097", "must be within 512 - 4096"),
        ("bufsize -1", "must be within 512 - 4096"),
        ("bufsize 70000", "must be within 512 - 4096"),
        ("bufsize many", "is not a whole number"),
    ];
    all_refused("bufsize", &refused);
    assert!(first_line(load_lines("bufsize 512 600")).contains(MISCOUNT));
}

/// The `timeouts` of the first listener.
fn timeouts(corefile: &str) -> Timeouts {
    load(corefile).unwrap().listeners.remove(0).timeouts
}

#[test]
fn timeouts_take_durations_bare_seconds_and_a_number_of_queries() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(timeouts(". {\n}"), Timeouts::default());
    let all = timeouts(". {\n timeouts {\n read 1s\n write 90\n idle 1h30m\n maxtcpqueries 5\n }\n}");
    let wanted = Timeouts {
        read: seconds(1),
        write: seconds(90),
        idle: seconds(5400),
        max_queries: Some(std::num::NonZeroU32::new(5)),
    };
    assert_eq!(all, wanted);
    let unlimited = timeouts(". {\n timeouts {\n maxtcpqueries -1\n }\n}");
    assert_eq!(unlimited, Timeouts { max_queries: Some(None), ..Timeouts::default() });
    let refused = [
        ("timeouts", "timeouts block with no timeouts specified"),
        ("timeouts {\n}", "timeouts block with no timeouts specified"),
        ("timeouts {\n read 0\n}", "'0' needs to be between 1 second and 24 hours"),
        ("timeouts {\n read 999ms\n}", "'999ms' needs to be between 1 second and 24 hours"),
        ("timeouts {\n idle 24h1s\n}", "'24h1s' needs to be between 1 second and 24 hours"),
        ("timeouts {\n idle 86401\n}", "'86401' needs to be between 1 second and 24 hours"),
        ("timeouts {\n maxtcpqueries 0\n}", "maxtcpqueries 0 must be -1 or above 0"),
        ("timeouts {\n maxtcpqueries -2\n}", "maxtcpqueries -2 must be -1 or above 0"),
        ("timeouts {\n dial 2s\n}", "unknown option: 'dial'"),
    ];
    all_refused("timeouts", &refused);
    for lines in ["timeouts 5s", "timeouts {\n read\n}", "timeouts {\n read 1s 2s\n}"] {
        assert!(first_line(load_lines(lines)).contains(MISCOUNT), "{lines}");
    }
}

#[test]
fn timeouts_of_an_address_are_those_that_its_blocks_say_last() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let shared = timeouts(
        "a.test {\n timeouts {\n read 2\n idle 4\n }\n}\nb.test {\n timeouts {\n idle 8\n }\n}\nc.test {\n}\n",
    );
    assert_eq!(shared, Timeouts { read: seconds(2), idle: seconds(8), ..Timeouts::default() });
    let apart = load("a.test:53 {\n timeouts {\n read 2\n }\n}\na.test:54 {\n}\n").unwrap().listeners;
    assert_eq!(apart[1].timeouts, Timeouts::default(), "another port");
}
