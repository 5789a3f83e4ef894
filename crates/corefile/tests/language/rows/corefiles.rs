//! Rows of whole Corefiles: lexer, grammar, keys, listeners, imports.

use super::super::load::{COREFILE, first_line, load, served};
use super::Rows;

/// Each listener with its zones, and the directives of the first block; or the first line of the error
/// without the name of the file.
fn outcome(text: &str) -> String {
    match load(text) {
        Ok(settings) => {
            let listeners = served(&settings).into_iter();
            let listeners: Vec<String> =
                listeners.map(|(label, zones)| format!("{label} {}", zones.join(" "))).collect();
            let warning = if settings.warnings.is_empty() { "" } else { "!" };
            format!("={warning} {}: {}", listeners.join(" | "), settings.blocks[0].directives.join(" "))
        }
        rejected => first_line(rejected).replace(COREFILE, ""),
    }
}

#[test]
fn rows_of_corefiles() {
    let wrong: Vec<String> = COREFILES
        .iter()
        .map(|(text, expected)| (text, expected, outcome(text)))
        .filter(|(_, expected, outcome)| outcome != *expected)
        .map(|(text, _, outcome)| format!("({text:?}, {outcome:?}),"))
        .collect();
    assert!(wrong.is_empty(), "corefiles: {} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[rustfmt::skip]
const COREFILES: &Rows = &[
    (". {\n errors\n}\n", "= dns://:53 .: errors"),
    (".:53 {\n errors\n}\n", "= dns://:53 .: errors"),
    ("a.test {\n errors\n}\n", "= dns://:53 a.test.: errors"),
    ("a.test:54 {\n errors\n}\n", "= dns://:54 a.test.: errors"),
    ("a.test b.test:54 {\n errors\n}\n", "= dns://:53 a.test. | dns://:54 b.test.: errors"),
    ("a.test, b.test {\n errors\n}\n", "= dns://:53 a.test. b.test.: errors"),
    ("a.test,\nb.test {\n errors\n}\n", "= dns://:53 a.test. b.test.: errors"),
    ("a.test\n{\n errors\n}\n", "= dns://:53 a.test.: errors"),
    ("EXAMPLE.ORG {\n errors\n}\n", "= dns://:53 example.org.: errors"),
    ("dns://a.test {\n errors\n}\n", "= dns://:53 a.test.: errors"),
    ("dns://a.test:54 {\n errors\n}\n", "= dns://:54 a.test.: errors"),
    ("10.0.0.0/24 {\n errors\n}\n", "= dns://:53 0.0.10.in-addr.arpa.: errors"),
    ("10.0.0.0/15:54 {\n errors\n}\n", "= dns://:54 0.10.in-addr.arpa. 1.10.in-addr.arpa.: errors"),
    ("2001:db8::/32 {\n errors\n}\n", "= dns://:53 8.b.d.0.1.0.0.2.ip6.arpa.: errors"),
    ("0.0.10.in-addr.arpa {\n errors\n}\n", "= dns://:53 0.0.10.in-addr.arpa.: errors"),
    ("a.test b.test\nerrors\n", "= dns://:53 a.test. b.test.: errors"),
    ("a.test\nerrors\nlog\n", "= dns://:53 a.test.: errors log"),
    ("tls://a.test {\n errors\n}\n", ":1 - Error during parsing: the key 'tls://a.test' requests tls, but nodelocaldns serves plain DNS only; write the zone without 'tls://' or remove the block"),
    ("https://a.test:4453 {\n errors\n}\n", ":1 - Error during parsing: the key 'https://a.test:4453' requests https, but nodelocaldns serves plain DNS only; write the zone without 'https://' or remove the block"),
    ("grpc://a.test {\n errors\n}\n", ":1 - Error during parsing: the key 'grpc://a.test' requests grpc, but nodelocaldns serves plain DNS only; write the zone without 'grpc://' or remove the block"),
    ("quic://a.test {\n errors\n}\n", ":1 - Error during parsing: the key 'quic://a.test' requests quic, but nodelocaldns serves plain DNS only; write the zone without 'quic://' or remove the block"),
    ("a.test: {\n errors\n}\n", ":1 - Error during parsing: expecting data after last colon: \"a.test:\""),
    ("a.test:0 {\n errors\n}\n", ":1 - Error during parsing: port 0 of 'a.test:0' is not 1 to 65535"),
    ("a.test:65536 {\n errors\n}\n", ":1 - Error during parsing: port 65536 of 'a.test:65536' is not 1 to 65535"),
    ("a..test {\n errors\n}\n", ":1 - Error during parsing: zone is not a valid domain name: a..test (a label is empty)"),
    ("a.test{\n errors\n}\n", "=! dns://:53 a.test{.: errors"),
    ("a.test:53{\n errors\n}\n", "=! dns://:53 a.test:53{.: errors"),
    ("a.test, {\n errors\n}\n", ":1 - Error during parsing: Expected another address but had '{' - check for extra comma"),
    ("a.test,", ":1 - Error during parsing: Unexpected EOF"),
    ("{\n errors\n}\n", ":1 - Error during parsing: server block without a zone before '{'"),
    ("", " has no server block"),
    ("# nothing\n", " has no server block"),
    ("a.test {\n errors\n", ":2 - Syntax error: Unexpected token 'errors', expecting '}'"),
    ("a.test {\n errors\n}\n}\n", ":4 - Error during parsing: Unexpected '}' because no matching opening brace"),
    ("a.test { errors }\n", ":1 - Error during parsing: Unexpected '}' because no matching opening brace"),
    ("a.test {\n cache {\n  success 1\n}\n", ":4 - Syntax error: Unexpected token '}', expecting '}'"),
    ("a.test {\n errors\n b.test {\n log\n }\n}\n", ":3 - Error during parsing: Unknown directive 'b.test'"),
    ("a.test {\n errors\n}\na.test {\n log\n}\n", ":4 - Error during parsing: cannot serve dns://a.test.:53 - it is already defined (:1)"),
    ("a.test {\n bind 192.0.2.9\n}\na.test {\n bind 192.0.2.9\n}\n", ":4 - Error during parsing: cannot serve dns://a.test.:53 on 192.0.2.9 - it is already defined (:1)"),
    ("a.test {\n bind 192.0.2.9\n}\na.test {\n log\n}\n", ":4 - Error during parsing: cannot serve dns://a.test.:53 - zone overlap listener capacity with dns://a.test.:53 on 192.0.2.9 (:1): one has a bind and one has none"),
    ("a.test {\n log\n}\na.test {\n bind 192.0.2.9\n}\n", ":4 - Error during parsing: cannot serve dns://a.test.:53 on 192.0.2.9 - zone overlap listener capacity with dns://a.test.:53 (:1): one has a bind and one has none"),
    ("a.test {\n bind 192.0.2.9\n}\nb.test {\n bind 192.0.2.9\n}\n", "= dns://192.0.2.9:53 a.test. b.test.: bind"),
    ("a.test {\n bind 192.0.2.9\n}\na.test {\n bind 169.254.25.10\n}\n", "= dns://192.0.2.9:53 a.test. | dns://169.254.25.10:53 a.test.: bind"),
    ("a.test:53 {\n log\n}\na.test:54 {\n log\n}\n", "= dns://:53 a.test. | dns://:54 a.test.: log"),
    ("a.test {\n bind 169.254.25.10 192.0.2.9\n}\n", "= dns://169.254.25.10:53 a.test. | dns://192.0.2.9:53 a.test.: bind"),
    ("a.test a.test {\n log\n}\n", ":1 - Error during parsing: cannot serve dns://a.test.:53 - it is already defined (:1)"),
    (". {\n wibble\n}\n", ":2 - Error during parsing: Unknown directive 'wibble'"),
    (". {\n forwrad . ::1\n}\n", ":2 - Error during parsing: Unknown directive 'forwrad'"),
    (". {\n kubernetes\n}\n", ":2 - Error during parsing: no action found for directive 'kubernetes' with server type 'dns' (missing a plugin?)"),
    (". {\n autopath\n}\n", ":2 - Error during parsing: no action found for directive 'autopath' with server type 'dns' (missing a plugin?)"),
    (". {\n multisocket\n}\n", ":2 - Error during parsing: no action found for directive 'multisocket' with server type 'dns' (missing a plugin?)"),
    (". {\n tls\n}\n", ":2 - Error during parsing: no action found for directive 'tls' with server type 'dns' (missing a plugin?)"),
    (". {\n \"errors\"\n}\n", "= dns://:53 .: errors"),
    (". {\n errors#glued\n}\n", "=! dns://:53 .: errors"),
    (". {\n errors # comment\n}\n", "= dns://:53 .: errors"),
    (". {\n log . \"a \\\"b\\\" {c}\"\n}\n", "= dns://:53 .: log"),
    (". {\n log . \"{a}\nb\"\n cache 0\n}\n", "plugin/cache: :4 - Error during parsing: cache TTL can not be zero or negative: 0"),
    ("\u{feff}. {\n errors\n}\n", "= dns://:53 .: errors"),
    (". {\r\n errors\r\n}\r\n", "= dns://:53 .: errors"),
    (". {\n errors\n {\n  stacktrace\n }\n}\n", ":3 - Error during parsing: the block of 'errors' must open on the directive's line"),
    (". {\n errors {\n  stacktrace\n  }\n }\n}\n", ":6 - Error during parsing: Unexpected '}' because no matching opening brace"),
    ("(s) {\n errors\n}\n. {\n import s\n}\n", "= dns://:53 .: errors"),
    (". {\n import s\n}\n(s) {\n errors\n}\n", ":2 - Error during parsing: File to import not found: s"),
    ("(s) {\n errors\n}\n(s) {\n log\n}\n. {\n import s\n}\n", ":4 - Error during parsing: redeclaration of previously declared snippet s"),
    ("(s) {\n import s\n}\n. {\n import s\n}\n", ":2 - Error during parsing: snippet s imports itself"),
    (". {\n import a b\n}\n", ":2 - Error during parsing: Import takes only one argument (glob pattern or file)"),
    (". {\n import\n}\n", ":2 - Error during parsing: Wrong argument count or unexpected line ending after 'import'"),
    (". {\n import \"\"\n}\n", ":2 - Error during parsing: Import requires a non-empty filepath"),
    (". {\n import *.none\n}\n", "=! dns://:53 .: "),
    (". {\n import a*b*c\n}\n", ":2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: /etc/coredns/a*b*c"),
    (". {\n import [a-z]\n}\n", ":2 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: /etc/coredns/[a-z]"),
    (". {\n import {$}\n}\n", ":2 - Error during parsing: File to import not found: {$}"),
    (". {\n import /etc/coredns\n}\n", ":2 - Error during parsing: Could not import /etc/coredns: is a directory"),
    (". {\n import Corefile\n}\n", ":1 - Error during parsing: Unknown directive '.'"),
    ("import /no/such\n", ":1 - Error during parsing: File to import not found: /no/such"),
    (". {\n errors import\n}\n", "plugin/errors: :2 - Error during parsing: invalid log file: import"),
    ("{$NONE}.test {\n errors\n}\n", ":1 - Error during parsing: zone is not a valid domain name: .test (a label is empty); the environment variable NONE is not set"),
    (". {\n cache {$NONE}\n}\n", "=! dns://:53 .: cache"),
    (". {\n log . \"{%NONE\"\n}\n", "= dns://:53 .: log"),
];
