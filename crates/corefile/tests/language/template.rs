//! `template`: records written with the words of the query.

use std::sync::Arc;

use resolver::policy::LocalPlugin;
use resolver::policy::template::Template;
use wire::edns::ExtendedError;
use wire::header::{Class, Rcode, RecordType};
use wire::name::Name;

use super::assertions::{ARGUMENT_COUNT, assert_all_load, assert_all_rejected};
use super::load::{COREFILE, first_line, load, load_lines};

fn templates(lines: &str) -> Vec<Arc<Template>> {
    let plugins = load_lines(lines).unwrap().blocks.remove(0).plugins;
    let template = |plugin| match plugin {
        LocalPlugin::Template(template) => Some(template),
        _ => None,
    };
    plugins.into_iter().filter_map(template).collect()
}

fn template(lines: &str) -> Arc<Template> {
    templates(lines).remove(0)
}

fn names(zones: &[Name]) -> Vec<String> {
    zones.iter().map(ToString::to_string).collect()
}

#[test]
fn options_and_defaults() {
    let plain = template("template IN AAAA");
    assert_eq!((plain.class, plain.qtype, plain.rcode), (Class::IN, RecordType::AAAA, Rcode::NOERROR));
    assert_eq!((names(&plain.zones), plain.error), (vec![".".to_owned()], None));
    assert!(plain.patterns.is_empty() && plain.answers.is_empty() && plain.fallthrough.is_empty());

    let full = template(
        "template ANY ANY Example.org 10.0.0.0/24 {\n match ^a[.] ^b[.]\n match c\n answer \"{{ .Name }} A 10.0.0.1\" \"{{ .Name }} A 10.0.0.2\"\n answer \"{{ .Name }} A 10.0.0.3\"\n \
         additional \"x. A 10.0.0.4\"\n authority \"x. NS ns.x.\"\n rcode REFUSED\n rcode NXDOMAIN\n \
         ederror 15 \"blocked by policy\"\n fallthrough example.org\n upstream\n}",
    );
    assert_eq!((full.class, full.qtype, full.rcode), (Class::ANY, RecordType::ANY, Rcode::NXDOMAIN));
    assert_eq!(names(&full.zones), ["example.org.", "0.0.10.in-addr.arpa."]);
    assert_eq!(full.patterns.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["^a[.]", "^b[.]", "c"]);
    assert_eq!(full.answers.iter().map(|one| one.source()).collect::<Vec<_>>().len(), 3);
    assert_eq!((full.additionals.len(), full.authorities.len()), (1, 1));
    assert_eq!(full.error, Some(ExtendedError(15)));
    assert_eq!(names(&full.fallthrough), ["example.org."]);

    let anywhere = template("template IN A example.org {\n fallthrough\n}");
    assert_eq!(names(&anywhere.fallthrough), ["."]);
}

#[test]
fn templates_are_in_the_order_of_the_file_and_in_front_of_whoami() {
    let settings = load_lines("whoami\ntemplate IN MX b\ntemplate IN A a\nforward . 192.0.2.1")
        .unwrap()
        .blocks
        .remove(0);
    assert_eq!(settings.directives, ["template", "forward", "whoami"]);
    let order: Vec<String> = templates("whoami\ntemplate IN MX b\ntemplate IN A a")
        .iter()
        .map(|template| format!("{} {}", template.qtype, template.zones[0]))
        .collect();
    assert_eq!(order, ["MX b.", "A a."]);
    assert_eq!(settings.plugins.last(), Some(&LocalPlugin::Whoami));
    let zones = load("a.test b.test:54 {\n template IN A\n}\n").unwrap().blocks.remove(0).plugins;
    let LocalPlugin::Template(template) = &zones[0] else { unreachable!("a template") };
    assert_eq!(names(&template.zones), ["a.test.", "b.test."]);
}

#[test]
fn templates_of_deployments_load() {
    assert_all_load(&[
        "template IN AAAA {\n rcode NOERROR\n}",
        "template ANY AAAA {\n rcode NXDOMAIN\n}",
        "template ANY ANY internal.cloudapp.net {\n match .*\n rcode NXDOMAIN\n fallthrough\n}",
        "template IN A zone.test {\n match .*\\.zone\\.test\n answer \"{{ .Name }} 60 IN A 10.0.0.1\"\n fallthrough\n}",
        "template IN ANY cluster.internal {\n match \"[.](example[.]com[.]dc1[.]example[.]com[.])$\"\n rcode NXDOMAIN\n \
         authority \"{{ index .Match 1 }} 60 IN SOA ns.{{ index .Match 1 }} h.{{ index .Match 1 }} (1 60 60 60 60)\"\n}",
        "template IN A example.com {\n match (^|[.])(?P<a>[0-9]*)[.](?P<b>[0-9]*)[.]example[.]com[.]$\n \
         answer \"{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.0.1\"\n upstream /etc/resolv.conf\n}",
        "template IN A ip.test {\n match \"^(?P<h>[0-9a-f]{2})[.]\"\n \
         answer \"{{ .Name }} A 10.0.0.{{ parseInt .Group.h 16 8 }}\"\n}",
        "template CH TXT version.bind {\n answer \"{{ .Name }} CH TXT none\"\n}",
    ]);
}

#[test]
fn invalid_templates_are_rejected() {
    assert_all_rejected(
        "template",
        &[
            ("template", &format!("{ARGUMENT_COUNT} 'template'")),
            ("template IN", &format!("{ARGUMENT_COUNT} 'IN'")),
            ("template X A", "invalid query class X; write IN, CH, HS or ANY, in upper case"),
            ("template in A", "invalid query class in; write IN, CH, HS or ANY, in upper case"),
            ("template ANY X", "invalid RR class X; write a record type such as AAAA, or ANY, in upper case"),
            (
                "template IN aaaa",
                "invalid RR class aaaa; write a record type such as AAAA, or ANY, in upper case",
            ),
            ("template IN A a..b", "zone is not a valid domain name: a..b (a label is empty)"),
            ("template IN A {\n notavailable\n}", &format!("{ARGUMENT_COUNT} 'notavailable'")),
            ("template IN A {\n match\n}", &format!("{ARGUMENT_COUNT} 'match'")),
            ("template IN A {\n answer\n}", &format!("{ARGUMENT_COUNT} 'answer'")),
            ("template IN A {\n additional\n}", &format!("{ARGUMENT_COUNT} 'additional'")),
            ("template IN A {\n authority\n}", &format!("{ARGUMENT_COUNT} 'authority'")),
            ("template IN A {\n rcode\n}", &format!("{ARGUMENT_COUNT} 'rcode'")),
            ("template IN A {\n rcode NOERROR NXDOMAIN\n}", &format!("{ARGUMENT_COUNT} 'NXDOMAIN'")),
            ("template IN A {\n rcode UNDEFINED\n}", "unknown rcode UNDEFINED"),
            ("template IN A {\n rcode nxdomain\n}", "unknown rcode nxdomain"),
            ("template IN A {\n rcode BADVERS\n}", "rcode BADVERS is not for responses to queries"),
        ],
    );
}

#[test]
fn invalid_values_of_options_are_rejected() {
    let long = format!("template IN A {{\n match {}\n}}", "a".repeat(10_001));
    let many = format!("template IN A {{\n{}}}", " answer \"x. A 10.0.0.1\"\n".repeat(257));
    assert_all_rejected(
        "template",
        &[
            ("template IN A {\n ederror\n}", &format!("{ARGUMENT_COUNT} 'ederror'")),
            ("template IN A {\n ederror 1 a b\n}", &format!("{ARGUMENT_COUNT} 'b'")),
            (
                "template IN A {\n ederror -1\n}",
                "error parsing extended DNS error code -1; write a number from 0 to 65535",
            ),
            (
                "template IN A {\n ederror 65536\n}",
                "error parsing extended DNS error code 65536; write a number from 0 to 65535",
            ),
            (
                "template IN A {\n fallthrough a..b\n}",
                "zone is not a valid domain name: a..b (a label is empty)",
            ),
            (
                "template IN A {\n expr \"name() == 'a'\"\n}",
                "option 'expr' is not supported by nodelocaldns; select names with 'match'",
            ),
            (
                "template IN A {\n var x name()\n}",
                "option 'var' is not supported by nodelocaldns; select names with 'match'",
            ),
            (
                "template IN A {\n answer \"{{\"\n}",
                "could not compile template: at character 1 of the text: unclosed action",
            ),
            (
                "template IN A {\n additional \"x {{ end }}\"\n}",
                "could not compile template: at character 3 of the text: unexpected {{end}}",
            ),
            (
                "template IN A {\n answer \"{{ .Nam }} A 10.0.0.1\"\n}",
                "could not compile template: at character 4 of the text: can't evaluate field Nam",
            ),
            (&long, "regex pattern too long: 10001 > 10000"),
            (&many, "more than 256 records in a section"),
        ],
    );
    let line = first_line(load_lines("template IN A {\n match ()(\n}"));
    assert!(
        line.starts_with(&format!(
            "plugin/template: {COREFILE}:3 - Error during parsing: could not parse regex"
        )),
        "{line}"
    );
}

#[test]
fn texts_that_are_no_records_and_texts_of_ederror_are_warned_about() {
    let warnings = |option: &str| load_lines(&format!("template IN A {{\n {option}\n}}")).unwrap().warnings;
    for option in ["answer \"x. A 10.0.0.1\"", "answer \"{{ .Name }}\"", "ederror 15", "answer \"\""] {
        assert_eq!(warnings(option), Vec::<String>::new(), "{option}");
    }
    let expected = format!(
        "{COREFILE}:3 - 'x. A 10.0.0' is not a resource record, so that queries which match this template get \
         SERVFAIL; write OWNER TTL CLASS TYPE DATA in quotes"
    );
    assert_eq!(warnings("answer \"x. A 10.0.0\""), [expected]);
    let expected = format!("{COREFILE}:3 - the text of ederror is not sent, only its code");
    assert_eq!(warnings("ederror 15 blocked"), [expected]);
}

#[test]
fn templates_are_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    let variants = [
        "cache",
        "cache\ntemplate IN A",
        "cache\ntemplate IN AAAA",
        "cache\ntemplate ANY A",
        "cache\ntemplate IN A example.org",
        "cache\ntemplate IN A {\n match a\n}",
        "cache\ntemplate IN A {\n answer \"x. A 10.0.0.1\"\n}",
        "cache\ntemplate IN A {\n authority \"x. A 10.0.0.1\"\n}",
        "cache\ntemplate IN A {\n additional \"x. A 10.0.0.1\"\n}",
        "cache\ntemplate IN A {\n rcode NXDOMAIN\n}",
        "cache\ntemplate IN A {\n fallthrough\n}",
    ];
    let mut fingerprints: Vec<String> = variants.into_iter().map(fingerprint).collect();
    assert_eq!(fingerprint("cache\ntemplate IN A {\n ederror 15\n}"), fingerprints[1]);
    fingerprints.sort();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), variants.len());
}
