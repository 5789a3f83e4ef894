//! Rows of `errors` and `log`.

use corefile::Settings;
use corefile::settings::{Consolidate, LogRule};

use super::{Rows, assert_rows, when};

fn errors(settings: &Settings) -> String {
    let Some(errors) = &settings.blocks[0].errors else { return String::new() };
    let consolidate = |rule: &Consolidate| {
        let first = when(rule.show_first, " show_first");
        format!(" | {:?} {:?} {}{first}", rule.pattern.as_str(), rule.period, rule.level)
    };
    let rules: String = errors.consolidate.iter().map(consolidate).collect();
    format!("errors{}{rules}", when(errors.stacktrace, " stacktrace"))
}

/// Each rule with its zone, the letters of its classes, and the length of its format.
fn log(settings: &Settings) -> String {
    let rule = |rule: &LogRule| {
        let classes = rule.classes;
        let letters = [(classes.success, "s"), (classes.denial, "d"), (classes.error, "e")];
        let letters: String = letters.map(|(is, letter)| when(is, letter)).concat();
        format!("{} {letters} {}", rule.zone, rule.format.len())
    };
    settings.blocks[0].log.iter().map(rule).collect::<Vec<_>>().join(" | ")
}

#[test]
fn rows_of_errors() {
    assert_rows("errors", ERRORS, errors);
}

#[test]
fn rows_of_log() {
    assert_rows("log", LOG, log);
}

#[rustfmt::skip]
const ERRORS: &Rows = &[
    ("errors", "= errors"),
    ("errors stdout", "= errors"),
    ("errors stderr", "2: invalid log file: stderr"),
    ("errors errors.txt", "2: invalid log file: errors.txt"),
    ("errors stdout stdout", "2: Wrong argument count or unexpected line ending after 'stdout'"),
    ("errors / errors", "3: this plugin can only be used once per Server Block"),
    ("errors {}", "2: missing space between '{' and '}'"),
    ("errors { / stacktrace / }", "= errors stacktrace"),
    ("errors { / stacktrace x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("errors { / consolidate 5m ^a / }", "= errors | \"^a\" 300s ERROR"),
    ("errors { / consolidate 5m \".* i/o timeout$\" warning / }", "= errors | \".* i/o timeout$\" 300s WARN"),
    ("errors { / consolidate 1m a error / }", "= errors | \"a\" 60s ERROR"),
    ("errors { / consolidate 1m a info / }", "= errors | \"a\" 60s INFO"),
    ("errors { / consolidate 1m a debug / }", "= errors | \"a\" 60s DEBUG"),
    ("errors { / consolidate 1m a show_first / }", "= errors | \"a\" 60s ERROR show_first"),
    ("errors { / consolidate 1m a info show_first / }", "= errors | \"a\" 60s INFO show_first"),
    ("errors { / consolidate 1m a show_first info / }", "3: Wrong argument count or unexpected line ending after 'info'"),
    ("errors { / consolidate 1m a fatal / }", "3: unknown log level argument in consolidate: fatal"),
    ("errors { / consolidate 1m / }", "3: Wrong argument count or unexpected line ending after '1m'"),
    ("errors { / consolidate / }", "3: Wrong argument count or unexpected line ending after 'consolidate'"),
    ("errors { / consolidate 1 a / }", "3: time: missing unit in duration \"1\" (a number and one of ns us ms s m h)"),
    ("errors { / consolidate x a / }", "3: time: invalid duration \"x\""),
    ("errors { / consolidate -1s a / }", "3: the duration \"-1s\" is negative"),
    ("errors { / consolidate 1m ( / }", "3: error parsing regexp: regex parse error:"),
    ("errors { / consolidate 1m a info debug / }", "3: Wrong argument count or unexpected line ending after 'debug'"),
    ("errors { / consolidate 1s a / consolidate 2s b / }", "= errors | \"a\" 1s ERROR | \"b\" 2s ERROR"),
    ("errors { / bogus / }", "3: Unexpected token 'bogus', expecting 'consolidate'"),
    ("errors { / consolidate 1m \\Qa\\E / }", "3: error parsing regexp: regex parse error:"),
];

#[rustfmt::skip]
const LOG: &Rows = &[
    ("log", "= . sde 116"),
    ("log a.test", "= a.test. sde 116"),
    ("log a.TEST b.test", "= a.test. sde 116 | b.test. sde 116"),
    ("log . {common}", "= . sde 116"),
    ("log a.test {combined}", "= a.test. sde 128"),
    ("log . \"{type} x\"", "= . sde 8"),
    ("log a.test b.test \"{name}\"", "= a.test. sde 6 | b.test. sde 6"),
    ("log {combined}", "=! {combined}. sde 116"),
    ("log a..b", "2: zone is not a valid domain name: a..b (a label is empty)"),
    ("log 10.0.0.0/24", "= 0.0.10.in-addr.arpa. sde 116"),
    ("log / log a.test", "= . sde 116 | a.test. sde 116"),
    ("log { / class / }", "3: Wrong argument count or unexpected line ending after 'class'"),
    ("log { / class all / }", "= . sde 116"),
    ("log { / class success / }", "= . s 116"),
    ("log { / class denial error / }", "= . de 116"),
    ("log { / class error / class success / }", "= . se 116"),
    ("log { / class foo / }", "3: invalid Class: foo"),
    ("log { / class All / }", "3: invalid Class: All"),
    ("log { / classes all / }", "3: Wrong argument count or unexpected line ending after 'classes'"),
    ("log { / class all x / }", "3: invalid Class: x"),
    ("log { / foo / }", "3: Wrong argument count or unexpected line ending after 'foo'"),
];
