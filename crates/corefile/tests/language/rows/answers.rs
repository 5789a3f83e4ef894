//! Rows of directives that answer queries themselves, and of those that change messages.

use corefile::Settings;
use resolver::policy::LocalPlugin;

use super::{Rows, assert_rows, join, names, when};

/// TTL, zones, zones of `fallthrough`, number of entries, interval of reload.
fn hosts(settings: &Settings) -> String {
    let block = &settings.blocks[0];
    let hosts = block.plugins.iter().find_map(|plugin| match plugin {
        LocalPlugin::Hosts(hosts) => Some(hosts),
        _ => None,
    });
    let (Some(hosts), Some(file)) = (hosts, &block.hosts) else { return String::new() };
    join(&[
        file.label.clone(),
        names(&hosts.zones),
        hosts.ttl.to_string(),
        format!("[{}]", names(&hosts.fallthrough)),
        hosts.table.entries().to_string(),
        format!("{:?}", file.reload),
        when(hosts.passes_other_types, "fallthrough_unsupported"),
    ])
}

/// Class, type, zones, RCODE, numbers of patterns and records, extended error, zones of `fallthrough`.
fn template(settings: &Settings) -> String {
    let templates = settings.blocks[0].plugins.iter().filter_map(|plugin| match plugin {
        LocalPlugin::Template(template) => Some(template),
        _ => None,
    });
    let shown = templates.map(|template| {
        let records = [&template.answers, &template.authorities, &template.additionals].map(Vec::len);
        let numbers = (template.patterns.len(), records);
        let error = template.error.map(|error| error.0);
        let (zones, fallthrough) = (names(&template.zones), names(&template.fallthrough));
        let (class, qtype, rcode) = (template.class, template.qtype, template.rcode);
        format!("{class} {qtype} {zones} {rcode} {numbers:?} {error:?} [{fallthrough}]")
    });
    shown.collect::<Vec<_>>().join(" | ")
}

fn changes(settings: &Settings) -> String {
    let changes = settings.blocks[0].message_changes;
    format!("{:?} {:?} {}", changes.recursion_desired, changes.authoritative, changes.minimal)
}

#[test]
fn rows_of_hosts() {
    assert_rows("hosts", HOSTS, hosts);
}

#[test]
fn rows_of_template() {
    assert_rows("template", TEMPLATE, template);
}

#[test]
fn rows_of_header() {
    assert_rows("header", HEADER, changes);
}

#[test]
fn rows_of_minimal() {
    assert_rows("minimal", MINIMAL, changes);
}

#[test]
fn rows_of_whoami() {
    assert_rows("whoami", WHOAMI, |settings| settings.blocks[0].plugins.len().to_string());
}

#[rustfmt::skip]
const HOSTS: &Rows = &[
    ("hosts", "= /etc/hosts . 3600 [] 0 5s"),
    ("hosts /etc/hosts", "=! /etc/hosts . 3600 [] 0 5s"),
    ("hosts /etc/hosts a.test", "=! /etc/hosts a.test. 3600 [] 0 5s"),
    ("hosts /etc/hosts a.test 10.0.0.0/24", "=! /etc/hosts a.test. 0.0.10.in-addr.arpa. 3600 [] 0 5s"),
    ("hosts /etc/hosts a..b", "2: zone is not a valid domain name: a..b (a label is empty)"),
    ("hosts / hosts", "3: this plugin can only be used once per Server Block"),
    ("hosts { / 10.0.0.1 a.test / }", "= /etc/hosts . 3600 [] 2 5s"),
    ("hosts { / 10.0.0.1 a.test b.test / ::1 c.test / }", "= /etc/hosts . 3600 [] 6 5s"),
    ("hosts { / 10.0.0 a.test / }", "=! /etc/hosts . 3600 [] 0 5s"),
    ("hosts { / 10.0.0.1 / }", "=! /etc/hosts . 3600 [] 0 5s"),
    ("hosts { / ttl 60 / }", "= /etc/hosts . 60 [] 0 5s"),
    ("hosts { / ttl 1 / }", "= /etc/hosts . 1 [] 0 5s"),
    ("hosts { / ttl 65535 / }", "= /etc/hosts . 65535 [] 0 5s"),
    ("hosts { / ttl 0 / }", "3: ttl provided is invalid: 0 is not 1 to 65535"),
    ("hosts { / ttl 65536 / }", "3: ttl provided is invalid: 65536 is not 1 to 65535"),
    ("hosts { / ttl -1 / }", "3: ttl provided is invalid: -1 is not 1 to 65535"),
    ("hosts { / ttl x / }", "3: ttl needs a number of seconds, without a unit: 'x'"),
    ("hosts { / ttl / }", "3: Wrong argument count or unexpected line ending after 'ttl'"),
    ("hosts { / ttl 1 2 / }", "3: Wrong argument count or unexpected line ending after '2'"),
    ("hosts { / reload 10s / }", "= /etc/hosts . 3600 [] 0 10s"),
    ("hosts { / reload 0 / }", "= /etc/hosts . 3600 [] 0 0ns"),
    ("hosts { / reload / }", "3: Wrong argument count or unexpected line ending after 'reload'"),
    ("hosts { / reload x / }", "3: invalid duration for reload: time: invalid duration \"x\""),
    ("hosts { / reload -1s / }", "3: invalid negative duration for reload '-1s'"),
    ("hosts { / reload 1s 2s / }", "3: Wrong argument count or unexpected line ending after '2s'"),
    ("hosts { / no_reverse / }", "= /etc/hosts . 3600 [] 0 5s"),
    ("hosts { / no_reverse x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("hosts { / fallthrough / }", "= /etc/hosts . 3600 [.] 0 5s"),
    ("hosts { / fallthrough a.test / }", "= /etc/hosts . 3600 [a.test.] 0 5s"),
    ("hosts { / fallthrough a..b / }", "3: zone is not a valid domain name: a..b (a label is empty)"),
    ("hosts { / fallthrough / fallthrough_unsupported / }", "= /etc/hosts . 3600 [.] 0 5s fallthrough_unsupported"),
    ("hosts { / fallthrough_unsupported / }", "3: fallthrough_unsupported requires fallthrough"),
    ("hosts { / fallthrough / 10.0.0.1 a.test / }", "4: unknown property '10.0.0.1'; write entries before 'fallthrough'"),
    ("hosts { / foo / }", "=! /etc/hosts . 3600 [] 0 5s"),
    ("hosts { / 10.0.0.1 a.test / ttl 5 / reload 5s / fallthrough / }", "= /etc/hosts . 5 [.] 2 5s"),
];

#[rustfmt::skip]
const TEMPLATE: &Rows = &[
    ("template", "2: Wrong argument count or unexpected line ending after 'template'"),
    ("template IN", "2: Wrong argument count or unexpected line ending after 'IN'"),
    ("template ANY X", "2: invalid RR class X; write a record type such as AAAA, or ANY, in upper case"),
    ("template X A", "2: invalid query class X; write IN, CH, HS or ANY, in upper case"),
    ("template IN A", "= IN A . NOERROR (0, [0, 0, 0]) None []"),
    ("template ANY ANY", "= CLASS255 ANY . NOERROR (0, [0, 0, 0]) None []"),
    ("template CH TXT a.test", "= CH TXT a.test. NOERROR (0, [0, 0, 0]) None []"),
    ("template IN aaaa", "2: invalid RR class aaaa; write a record type such as AAAA, or ANY, in upper case"),
    ("template IN A a.test 10.0.0.0/24", "= IN A a.test. 0.0.10.in-addr.arpa. NOERROR (0, [0, 0, 0]) None []"),
    ("template IN A a..b", "2: zone is not a valid domain name: a..b (a label is empty)"),
    ("template IN A / template IN AAAA", "= IN A . NOERROR (0, [0, 0, 0]) None [] | IN AAAA . NOERROR (0, [0, 0, 0]) None []"),
    ("template IN A a.test { / match / }", "3: Wrong argument count or unexpected line ending after 'match'"),
    ("template IN A a.test { / match a b / }", "= IN A a.test. NOERROR (2, [0, 0, 0]) None []"),
    ("template IN A a.test { / match ( / }", "3: could not parse regex: regex parse error:"),
    ("template IN A a.test { / match \"^a b$\" / }", "= IN A a.test. NOERROR (1, [0, 0, 0]) None []"),
    ("template IN A a.test { / answer / }", "3: Wrong argument count or unexpected line ending after 'answer'"),
    ("template IN A a.test { / answer \"{{ .Name }} A 10.0.0.1\" / }", "= IN A a.test. NOERROR (0, [1, 0, 0]) None []"),
    ("template IN A a.test { / answer \"{{\" / }", "3: could not compile template: at character 1 of the text: unclosed action"),
    ("template IN A a.test { / answer \"{{ .Grup.d }}\" / }", "3: could not compile template: at character 4 of the text: can't evaluate field Grup"),
    ("template IN A a.test { / answer \"{{ foo }}\" / }", "3: could not compile template: at character 4 of the text: function \"foo\" not defined"),
    ("template IN A a.test { / additional / }", "3: Wrong argument count or unexpected line ending after 'additional'"),
    ("template IN A a.test { / additional \"{{ .Name }} A 10.0.0.1\" / }", "= IN A a.test. NOERROR (0, [0, 0, 1]) None []"),
    ("template IN A a.test { / authority / }", "3: Wrong argument count or unexpected line ending after 'authority'"),
    ("template IN A a.test { / authority \"{{ .Zone }} NS a.\" / }", "= IN A a.test. NOERROR (0, [0, 1, 0]) None []"),
    ("template IN A a.test { / rcode / }", "3: Wrong argument count or unexpected line ending after 'rcode'"),
    ("template IN A a.test { / rcode NXDOMAIN / }", "= IN A a.test. NXDOMAIN (0, [0, 0, 0]) None []"),
    ("template IN A a.test { / rcode SERVFAIL / }", "= IN A a.test. SERVFAIL (0, [0, 0, 0]) None []"),
    ("template IN A a.test { / rcode NOTIMP / }", "= IN A a.test. NOTIMP (0, [0, 0, 0]) None []"),
    ("template IN A a.test { / rcode UNDEFINED / }", "3: unknown rcode UNDEFINED"),
    ("template IN A a.test { / rcode nxdomain / }", "3: unknown rcode nxdomain"),
    ("template IN A a.test { / rcode NXDOMAIN x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("template IN A a.test { / ederror 15 / }", "= IN A a.test. NOERROR (0, [0, 0, 0]) Some(15) []"),
    ("template IN A a.test { / ederror 15 \"a b\" / }", "=! IN A a.test. NOERROR (0, [0, 0, 0]) Some(15) []"),
    ("template IN A a.test { / ederror / }", "3: Wrong argument count or unexpected line ending after 'ederror'"),
    ("template IN A a.test { / ederror x / }", "3: error parsing extended DNS error code x; write a number from 0 to 65535"),
    ("template IN A a.test { / ederror 65536 / }", "3: error parsing extended DNS error code 65536; write a number from 0 to 65535"),
    ("template IN A a.test { / ederror 1 a b / }", "3: Wrong argument count or unexpected line ending after 'b'"),
    ("template IN A a.test { / fallthrough / }", "= IN A a.test. NOERROR (0, [0, 0, 0]) None [.]"),
    ("template IN A a.test { / fallthrough b.test / }", "= IN A a.test. NOERROR (0, [0, 0, 0]) None [b.test.]"),
    ("template IN A a.test { / fallthrough a..b / }", "3: zone is not a valid domain name: a..b (a label is empty)"),
    ("template IN A a.test { / upstream / }", "= IN A a.test. NOERROR (0, [0, 0, 0]) None []"),
    ("template IN A a.test { / upstream 192.0.2.1 / }", "= IN A a.test. NOERROR (0, [0, 0, 0]) None []"),
    ("template IN A a.test { / expr true / }", "3: option 'expr' is not supported by nodelocaldns; select names with 'match'"),
    ("template IN A a.test { / var a 1 / }", "3: option 'var' is not supported by nodelocaldns; select names with 'match'"),
    ("template IN A a.test { / foo / }", "3: Wrong argument count or unexpected line ending after 'foo'"),
];

#[rustfmt::skip]
const HEADER: &Rows = &[
    ("header", "= None None false"),
    ("header x", "2: Wrong argument count or unexpected line ending after 'x'"),
    ("header { / response set aa / }", "= None Some(true) false"),
    ("header { / response clear aa / }", "= None Some(false) false"),
    ("header { / response set ra rd / }", "=! None None false"),
    ("header { / query set rd / }", "= Some(true) None false"),
    ("header { / query clear rd / }", "= Some(false) None false"),
    ("header { / query set aa / }", "=! None None false"),
    ("header { / response / }", "3: setting up rule: no flag action provided"),
    ("header { / response set / }", "3: setting up rule: invalid length for flags, at least one should be provided"),
    ("header { / response foo aa / }", "3: setting up rule: unknown flag action=foo, should be set or clear"),
    ("header { / response set foo / }", "3: setting up rule: unknown/unsupported flag=foo"),
    ("header { / foo set aa / }", "3: setting up rule: invalid selector=foo should be query or response"),
    ("header { / set aa / }", "= None Some(true) false"),
    ("header { / response set aa / response clear aa / }", "= None Some(false) false"),
    ("header { / query / }", "3: setting up rule: no flag action provided"),
    ("header { / response clear / }", "3: setting up rule: invalid length for flags, at least one should be provided"),
    ("header { / query set / }", "3: setting up rule: invalid length for flags, at least one should be provided"),
    ("header { / query foo / }", "3: setting up rule: invalid length for flags, at least one should be provided"),
    ("header { / query foo rd / }", "3: setting up rule: unknown flag action=foo, should be set or clear"),
    ("header { / response set ra aa / query clear rd / }", "=! Some(false) Some(true) false"),
    ("header { / query clear aa / }", "=! None None false"),
    ("header { / clear AA / }", "= None Some(false) false"),
    ("header { / Response SET Aa / }", "= None Some(true) false"),
    ("header { / clear / }", "3: setting up rule: invalid length for flags, at least one should be provided"),
    ("header { / set / }", "3: setting up rule: invalid length for flags, at least one should be provided"),
    ("header { / set foo / }", "3: setting up rule: unknown/unsupported flag=foo"),
    ("header { / response set aa foo / }", "3: setting up rule: unknown/unsupported flag=foo"),
    ("header { / response set ad / }", "3: setting up rule: unknown/unsupported flag=ad"),
    ("header { / responce set aa / }", "3: setting up rule: invalid selector=responce should be query or response"),
    ("header { / response unset aa / }", "3: setting up rule: unknown flag action=unset, should be set or clear"),
    ("header { / query set rd / answer set aa / }", "4: setting up rule: invalid selector=answer should be query or response"),
    ("header { / }", "= None None false"),
    ("header response set aa", "2: Wrong argument count or unexpected line ending after 'response'"),
    ("header { / query set rd / } / header { / response set aa / }", "= Some(true) Some(true) false"),
    ("header { / query set rd / } / header { / query clear rd / }", "= Some(false) None false"),
    ("header { / response set rd aa / }", "=! None Some(true) false"),
];

#[rustfmt::skip]
const MINIMAL: &Rows = &[
    ("minimal", "= None None true"),
    ("minimal x", "2: Wrong argument count or unexpected line ending after 'x'"),
    ("minimal / minimal", "= None None true"),
    ("minimal { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("minimal { / }", "= None None true"),
    ("minimal example.org example.com", "2: Wrong argument count or unexpected line ending after 'example.org'"),
    ("minimal / minimal x", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("minimal { / x y / }", "3: Wrong argument count or unexpected line ending after 'x'"),
];

#[rustfmt::skip]
const WHOAMI: &Rows = &[
    ("whoami", "= 1"),
    ("whoami x", "2: Wrong argument count or unexpected line ending after 'x'"),
    ("whoami / whoami", "= 1"),
    ("whoami { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
];
