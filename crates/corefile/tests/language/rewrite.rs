//! `rewrite`: rules, and rules that are rejected.

use resolver::policy::rewrite::RewriteRule;

use super::assertions::{assert_all_load, assert_all_rejected};
use super::load::load_lines;

fn rules(lines: &str) -> Vec<RewriteRule> {
    load_lines(lines).unwrap().blocks.remove(0).rewrites.to_vec()
}

/// The rule of a line, as text.
fn rule(line: &str) -> String {
    match &*rules(line) {
        [RewriteRule { continues, field }] => {
            format!("{} {field:?}", if *continues { "continue" } else { "stop" })
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn name_rules_are_in_lower_case_and_absolute() {
    let exact = r#"Name { pattern: Exact("a.test."), to: "b.test.", auto: true, answers: [] }"#;
    for line in [
        "rewrite name A.test b.TEST",
        "rewrite stop name a.test. b.test.",
        "rewrite NAME exact a.test b.test",
        "rewrite name exact a.test b.test answer auto",
        "rewrite {\n name a.test b.test\n}",
        "rewrite stop {\n name exact a.test\n b.test\n}",
    ] {
        assert_eq!(rule(line), format!("stop {exact}"), "{line}");
    }
    assert_eq!(rule("rewrite continue name a.test b.test"), format!("continue {exact}"));
    for (kind, pattern) in [
        ("prefix foo bar", r#"Prefix("foo."), to: "bar.", auto: false"#),
        ("suffix .a.test .b.test", r#"Suffix(".a.test."), to: ".b.test.", auto: false"#),
        ("suffix .a.test .b.test answer auto", r#"Suffix(".a.test."), to: ".b.test.", auto: true"#),
        ("substring a b", r#"Substring("a."), to: "b.", auto: false"#),
        (r"regex (.*)\.A {1}.B", r#"Regex(Regex("(.*)\\.A")), to: "{1}.b.", auto: false"#),
    ] {
        let expected = format!("stop Name {{ pattern: {pattern}, answers: [] }}");
        assert_eq!(rule(&format!("rewrite name {kind}")), expected);
    }
}

#[test]
fn answer_rules_follow_a_name_rule() {
    let answers = |line: &str| rule(line).split_once("answers: ").unwrap().1.to_owned();
    let name = r#"AnswerRule { part: Name, pattern: Regex("(.*)\\.b"), to: "{1}.a." }"#;
    let value = r#"AnswerRule { part: Value, pattern: Regex("c"), to: "d." }"#;
    for line in [
        r"rewrite name regex (.*)\.a {1}.b answer name (.*)\.b {1}.A",
        "rewrite stop {\n name regex (.*)\\.a {1}.b\n answer name (.*)\\.b {1}.a\n}",
    ] {
        assert_eq!(answers(line), format!("[{name}] }}"), "{line}");
    }
    for line in [
        r"rewrite name suffix a b answer name (.*)\.b {1}.a answer value c d",
        r"rewrite name suffix a b answer name (.*)\.b {1}.a value c d",
    ] {
        assert_eq!(answers(line), format!("[{name}, {value}] }}"), "{line}");
    }
    assert!(rule("rewrite name suffix a b answer auto answer value c d").contains("auto: true"));
}

#[test]
fn other_fields_are_accepted() {
    for (line, expected) in [
        ("type any hinfo", "Type(RecordType(255), RecordType(13))"),
        ("class CH in", "Class(Class(3), Class(1))"),
        ("ttl a.test 15", r#"Ttl { pattern: Exact("a.test."), min: 15, max: 15 }"#),
        ("ttl suffix a.test 30-300", r#"Ttl { pattern: Suffix("a.test."), min: 30, max: 300 }"#),
        ("ttl prefix a -11", r#"Ttl { pattern: Prefix("a."), min: 0, max: 11 }"#),
        ("ttl regex . 5-", r#"Ttl { pattern: Regex(Regex(".")), min: 5, max: 2147483647 }"#),
        ("cname a.test B.test", r#"CnameTarget { pattern: Exact("a.test."), to: "b.test." }"#),
        ("cname suffix .a.test .b.test.", r#"CnameTarget { pattern: Suffix(".a.test."), to: ".b.test." }"#),
        ("cname prefix a b", r#"CnameTarget { pattern: Prefix("a"), to: "b" }"#),
        ("cname substring a. b.", r#"CnameTarget { pattern: Substring("a."), to: "b." }"#),
        ("cname regex (.*)A {1}B", r#"CnameTarget { pattern: Regex(Regex("(.*)A")), to: "{1}b." }"#),
        ("rcode a 2 nxdomain", r#"Rcode { pattern: Exact("a."), from: Rcode(2), to: Rcode(3) }"#),
        (
            "rcode substring a SERVFAIL 0",
            r#"Rcode { pattern: Substring("a."), from: Rcode(2), to: Rcode(0) }"#,
        ),
        (
            "edns0 local set 0xffee 0x6162",
            "Option(OptionRule { action: Set, option: Local(65518, [97, 98]) })",
        ),
        ("edns0 local append 010 ab", "Option(OptionRule { action: Append, option: Local(8, [97, 98]) })"),
        (
            "edns0 local set 65001 {client_ip} revert",
            "Option(OptionRule { action: Set, option: Variable(65001, ClientIp) })",
        ),
        ("edns0 local unset 65001", "Option(OptionRule { action: Unset, option: Local(65001, []) })"),
        ("edns0 nsid replace", "Option(OptionRule { action: Replace, option: Nsid })"),
        (
            "edns0 subnet set 24 56 revert",
            "Option(OptionRule { action: Set, option: Subnet { v4: 24, v6: 56 } })",
        ),
        ("edns0 subnet unset", "Option(OptionRule { action: Unset, option: Subnet { v4: 0, v6: 0 } })"),
    ] {
        assert_eq!(rule(&format!("rewrite {line}")), format!("stop {expected}"));
    }
    assert_all_load(&["rewrite edns0 nsid set revert", "rewrite edns0 nsid unset", "rewrite ttl a. 0"]);
}

#[test]
fn labels_of_metadata_never_apply() {
    for (line, rules_left) in [
        ("rewrite name regex a {trace/id}.b metadata answer auto", 0),
        ("rewrite name regex (a) {1}.b metadata", 1),
        ("rewrite edns0 local set 65001 {forward/upstream}", 1),
    ] {
        let settings = load_lines(line).unwrap();
        assert_eq!(settings.blocks[0].rewrites.len(), rules_left, "{line}");
        let warned =
            settings.warnings.iter().any(|warning| warning.contains("rewrite has no effect: no label"));
        assert_eq!(warned, line.contains('/'), "{:?}", settings.warnings);
    }
}

#[test]
fn invalid_name_rules_are_rejected() {
    let long = format!("rewrite name regex {} b", "a".repeat(10_001));
    assert_all_rejected(
        "rewrite",
        &[
            ("rewrite", "no rule type specified for rewrite"),
            ("rewrite continue", "no rule type specified for rewrite"),
            ("rewrite answer name a b", "response rewrites must begin with a name rule"),
            ("rewrite nam a b", "invalid rule type \"nam\""),
            ("rewrite name a", "too few arguments for a name rule"),
            ("rewrite name a b {\n answer auto\n}", "unexpected line ending after 'answer'"),
            ("rewrite name sufix a b", "substring, and regex name matching, received: sufix"),
            ("rewrite name suffix a b c", "invalid arguments for suffix rule"),
            ("rewrite name suffix a b c d", "a non-answer rule argument for suffix rule"),
            ("rewrite name suffix a b answer auto answer", "type missing for answer rule for suffix rule"),
            ("rewrite name suffix a b answer x y z", "invalid type \"x\" for answer rule for suffix rule"),
            (
                "rewrite name suffix a b answer name x",
                "name answer rule for suffix rule: 2 arguments required",
            ),
            (
                "rewrite name suffix a b answer auto answer name x y",
                "auto name answer rule cannot be combined with explicit name answer rules",
            ),
            (
                "rewrite name regex (.*)a {1}.{2}",
                "the rewrite regex pattern ({1}.{2}) uses more subexpressions than its corresponding \
                 matching regex pattern ((.*)a)",
            ),
            (
                "rewrite name suffix a b answer value x {0}",
                "the rewrite regex pattern ({0}) uses more subexpressions than its corresponding matching \
                 regex pattern (x)",
            ),
            (&long, "regex pattern too long: 10001 > 10000"),
        ],
    );
}

#[test]
fn invalid_rules_of_other_fields_are_rejected() {
    assert_all_rejected(
        "rewrite",
        &[
            ("rewrite type a", "type rules must have exactly two arguments"),
            ("rewrite type a bogus", "invalid type \"BOGUS\""),
            ("rewrite class in x", "invalid class \"X\""),
            ("rewrite class in", "class rules must have exactly two arguments"),
            ("rewrite ttl a", "too few (1) arguments for a ttl rule"),
            ("rewrite ttl exact a 1 2", "too many (4) arguments for a ttl rule"),
            ("rewrite ttl a -", "invalid TTL '-' for a ttl rule"),
            ("rewrite ttl a 5-1", "invalid TTL '5-1' for a ttl rule"),
            (
                "rewrite ttl like a 1",
                "ttl rule supports only exact, prefix, suffix, substring, and regex name matching",
            ),
            ("rewrite cname a", "too few (1) arguments for a cname rule"),
            ("rewrite cname exact a b c", "too many (4) arguments for a cname rule"),
            ("rewrite cname like a b", "unknown cname rewrite type: like"),
            ("rewrite rcode a 2", "too few (2) arguments for a rcode rule"),
            ("rewrite rcode a 24 0", "invalid matching RCODE '24' for a rcode rule"),
            ("rewrite rcode a 2 x", "invalid replacement RCODE 'x' for a rcode rule"),
            ("rewrite edns0 local", "too few arguments for an EDNS0 rule"),
            ("rewrite edns0 local add 1 a", "invalid action: \"add\""),
            ("rewrite edns0 cookie set", "invalid rule type \"cookie\""),
            ("rewrite edns0 local set 1", "EDNS0 local rules require exactly three args"),
            ("rewrite edns0 local set 65536 a", "'65536' is not a number from 0 to 65535"),
            ("rewrite edns0 local set 1 0xabc", "'0xabc' is not a whole number of octets"),
            ("rewrite edns0 local set 1 {port}", "unsupported variable name \"{port}\""),
            ("rewrite edns0 nsid set a", "EDNS0 NSID rules do not accept args"),
            ("rewrite edns0 subnet set 24", "EDNS0 subnet rules require exactly three args"),
            ("rewrite edns0 subnet set 33 56", "invalid IPv4 bit mask length 33"),
            ("rewrite edns0 subnet set 24 129", "invalid IPv6 bit mask length 129"),
        ],
    );
}

#[test]
fn invalid_regular_expressions_are_rejected_with_the_reason() {
    for (line, reason) in [
        ("rewrite name regex ( b", "invalid regex matching pattern: "),
        ("rewrite ttl regex ( 1", "invalid regex pattern in a ttl rule: "),
        (
            "rewrite name suffix a b answer name ( b",
            "name answer rule for suffix rule: invalid regex matching pattern",
        ),
    ] {
        let error = load_lines(line).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn rules_are_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    let [without, one, other] =
        ["cache", "cache\nrewrite name a b", "cache\nrewrite name a c"].map(fingerprint);
    assert!(without != one && one != other, "{one}");
}
