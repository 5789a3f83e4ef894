//! All errors of a Corefile at once, in the order of the file, with suggestions.

use super::load::{COREFILE, load, load_from};

/// The first line of each error, without the remedy.
fn error_lines(text: &str) -> Vec<String> {
    let errors = load(text).unwrap_err();
    assert_eq!(errors.omitted(), 0);
    let first_line = |error: &corefile::ConfigError| error.to_string().lines().next().unwrap().to_owned();
    let without_remedy = |line: String| line.split("; ").next().unwrap().replace(COREFILE, "C");
    errors.errors().iter().map(|error| without_remedy(first_line(error))).collect()
}

/// What follows the caret of the only error.
fn suggestion(lines: &str) -> String {
    let errors = load(&format!(". {{\n{lines}\n}}\n")).unwrap_err();
    assert_eq!(errors.errors().len(), 1, "{errors}");
    errors.to_string().rsplit_once("^").unwrap().1.trim().to_owned()
}

#[test]
fn all_errors_are_reported_in_the_order_of_the_file() {
    let text = "a..test:53 {\n forwrad . 192.0.2.1\n cache 0 {\n  prefetch no\n  succes 5000\n  denial x\n }\n}\n\
                b.test {\n autopath\n log {\n  class all {\n   x\n  }\n  class some\n }\n loop yes\n}\n}\n\
                . {\n forward . 192.0.2.300 {\n  max_fails no\n  policy best\n }\n}\n";
    let location = "Error during parsing";
    assert_eq!(
        error_lines(text),
        [
            format!("C:1 - {location}: zone is not a valid domain name: a..test (a label is empty)"),
            format!("C:2 - {location}: Unknown directive 'forwrad'"),
            format!("plugin/cache: C:3 - {location}: cache TTL can not be zero or negative: 0"),
            format!("plugin/cache: C:4 - {location}: 'no' is not a whole number"),
            format!(
                "plugin/cache: C:5 - {location}: Wrong argument count or unexpected line ending after 'succes'"
            ),
            format!("plugin/cache: C:6 - {location}: 'x' is not a whole number"),
            format!(
                "C:10 - {location}: no action found for directive 'autopath' with server type 'dns' (missing a plugin?)"
            ),
            format!("C:12 - {location}: nested block not allowed: an option has no block of its own"),
            format!("plugin/log: C:15 - {location}: invalid Class: some"),
            format!(
                "plugin/loop: C:17 - {location}: Wrong argument count or unexpected line ending after 'yes'"
            ),
            format!("C:19 - {location}: Unexpected '}}' because no matching opening brace"),
            format!("plugin/forward: C:21 - {location}: not an IP address or file: \"192.0.2.300\""),
            format!("plugin/forward: C:22 - {location}: 'no' is not a whole number from 0 to 4294967295"),
            format!("plugin/forward: C:23 - {location}: unknown policy 'best'"),
        ]
    );
}

#[test]
fn errors_that_follow_from_others_are_not_reported() {
    for (text, lines) in [
        (". {\n forward . 192.0.2.300\n}", &[2][..]),
        (". {\n forward . 192.0.2.300 192.0.2.1 192.0.2.301\n}", &[2, 2]),
        (". {\n timeouts {\n  raed 5s\n }\n}", &[3]),
        (". {\n forward . 192.0.2.1 {\n  expire x\n  max_age 5s\n }\n}", &[3]),
        (". {\n forward . tls://192.0.2.1 {\n  tsl /ca.pem\n }\n}", &[3]),
        (". {\n cache {\n  serve_stal\n  serve_stale_policy prefer_positive\n }\n}", &[3]),
        (". {\n bind wibble0\n}\n. {\n bind 127.0.0.1\n}", &[2]),
        (". {\n bnid 127.0.0.2\n}\n. {\n bind 127.0.0.1\n}", &[2]),
        (". {\n forward . 192.0.2.1 {\n  force_tcp\n log\n cache\n}", &[4, 5, 6]),
        (". {\n cache{\n  prefetch 1\n }\n log {}\n}", &[2, 5]),
        (". {\n errors stdout a b c\n}", &[2]),
        (". {\n import nowhere\n wibble\n}", &[2, 3]),
    ] {
        let found = error_lines(text);
        let numbers = found.iter().map(|line| {
            let (_, rest) = line.split_once("C:").unwrap();
            rest.split(' ').next().unwrap().parse::<u32>().unwrap()
        });
        assert_eq!(numbers.collect::<Vec<_>>(), lines, "{text:?}: {found:#?}");
    }
}

#[test]
fn an_error_in_a_snippet_or_file_is_reported_once() {
    let text =
        "(s) {\n wibble\n}\na.test {\n import s\n import part\n}\nb.test {\n import s\n import part\n}\n";
    let errors = load_from(&[(COREFILE, text), ("/etc/coredns/part", "wobble\n")]).unwrap_err().to_string();
    let heads: Vec<&str> = errors.lines().filter(|line| line.contains(" - ")).collect();
    let unknown = "Error during parsing: Unknown directive";
    assert_eq!(
        heads,
        [format!("{COREFILE}:2 - {unknown} 'wibble'"), format!("/etc/coredns/part:1 - {unknown} 'wobble'")]
    );
}

#[test]
fn misspelled_directives_and_options_suggest_the_right_word() {
    for (lines, word) in [
        ("forwrad . 192.0.2.1", "forward"),
        ("Errors", "errors"),
        ("cahce 30", "cache"),
        ("host /etc/hosts", "hosts"),
        ("forward . 192.0.2.1 {\n force-tcp\n}", "force_tcp"),
        ("forward . 192.0.2.1 {\n max_fail 3\n}", "max_fails"),
        ("cache {\n succes 5000\n}", "success"),
        ("cache {\n servestale 1h\n}", "serve_stale"),
        ("errors {\n consolidated 5m x\n}", "consolidate"),
        ("timeouts {\n reads 5s\n}", "read"),
        ("log {\n clas error\n}", "class"),
        ("health {\n lame_duck 5s\n}", "lameduck"),
        ("bind 127.0.0.1 {\n exept 127.0.0.1\n}", "except"),
    ] {
        assert_eq!(suggestion(lines), format!("did you mean `{word}`?"), "{lines}");
    }
    assert_eq!(
        suggestion("forward . 192.0.2.1 {\n force_tcp\n log\n }"),
        "'log' is a directive: is a `}` missing before it?"
    );
    for lines in ["wibble", "forward . 192.0.2.1 {\n wibble\n}"] {
        assert_eq!(suggestion(lines), "", "{lines}");
    }
}

#[test]
fn a_file_of_errors_is_reported_up_to_a_limit() {
    let errors = load(&format!(". {{\n{}}}\n", "wibble\n".repeat(1000))).unwrap_err();
    assert_eq!((errors.errors().len(), errors.omitted()), (50, 950));
    assert!(errors.to_string().ends_with("(and 950 more)"));
}

#[test]
fn twenty_thousand_errors_are_counted() {
    let errors = load(&format!(". {{\n{}}}\n", "cache 30\n".repeat(20_001))).unwrap_err();
    assert_eq!((errors.errors().len(), errors.omitted()), (50, 19_950));
}
