//! `log`: names, formats, classes.

use corefile::settings::LogClasses;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::load_lines;

#[test]
fn log_accepts_names_a_format_and_classes() {
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
fn invalid_log_options_are_rejected() {
    assert_all_rejected(
        "log",
        &[
            ("log {\n class\n}", &format!("{ARGUMENT_COUNT} 'class'")),
            ("log {\n class abracadabra\n}", "invalid Class: abracadabra"),
            ("log {\n unknown\n}", &format!("{ARGUMENT_COUNT} 'unknown'")),
        ],
    );
    let warnings = load_lines("log {combined}").unwrap().warnings;
    assert!(warnings[0].contains("log takes '{combined}' as a name"), "{warnings:?}");
}
