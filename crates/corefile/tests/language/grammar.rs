//! Grammar: keys, blocks, braces, comments, environment variables, unknown directives.

use std::net::SocketAddr;

use corefile::Environment;

use super::load::{COREFILE, first_error_line, load, load_with, served};

fn zones(text: &str) -> Vec<String> {
    let settings = load(text).unwrap();
    settings.blocks.iter().flat_map(|block| &block.keys).map(|key| key.zone.to_string()).collect()
}

#[test]
fn keys_are_separated_by_spaces_or_commas_and_continue_after_a_comma() {
    assert_eq!(zones("a.test b.test {\n}\n"), ["a.test.", "b.test."]);
    assert_eq!(zones("a.test, b.test,\n  c.test {\n}\n"), ["a.test.", "b.test.", "c.test."]);
    assert_eq!(zones("a.test\n{\n errors\n}\n"), ["a.test."]);
    assert_eq!(zones("\"\" a.test {\n}\n"), ["a.test."]);
}

#[test]
fn block_without_braces_extends_to_the_end_of_the_file() {
    let settings = load("a.test\nerrors\ncache {\n success 2048\n}\n").unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors", "cache"]);
    assert_eq!(zones("a.test"), ["a.test."]);
}

#[test]
fn blocks_keep_the_order_of_the_file() {
    assert_eq!(zones("b.test {\n}\na.test {\n}\n. {\n}\n"), ["b.test.", "a.test.", "."]);
}

#[test]
fn mismatched_braces_are_rejected() {
    for (text, line) in [
        (". {\n whoami", ":2 - Syntax error: Unexpected token 'whoami', expecting '}'"),
        (". {\n cache {\n success 1", ":3 - Error during parsing: Unexpected EOF"),
        (". { errors }", ":1 - Error during parsing: Unexpected '}' because no matching opening brace"),
        (". {\n}\n}", ":3 - Error during parsing: Unexpected '}' because no matching opening brace"),
        (".\nerrors\n}", ":3 - Error during parsing: Unexpected '}' because no matching opening brace"),
        (". {\n cache {\n }}\n", ":3 - Error during parsing: Unexpected EOF"),
        (
            ". {\n cache {\n keepttl }\n}",
            ":3 - Error during parsing: Unexpected '}' on an option's line; \
          put it on a line of its own",
        ),
        (". {\n cache {\n } log\n}", ":3 - Syntax error: Unexpected token 'log', expecting 'end of line'"),
        ("{\n errors\n}", ":1 - Error during parsing: server block without a zone before '{'"),
        (
            "a, {\n}",
            ":1 - Error during parsing: Expected another address but had '{' - check for extra comma",
        ),
        ("a,", ":1 - Error during parsing: Unexpected EOF"),
        ("a.test {\n{\n}\n}", ":2 - Error during parsing: '{' without a directive before it"),
    ] {
        assert_eq!(first_error_line(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn mistakes_that_coredns_misinterprets_are_rejected() {
    for (text, line) in [
        ("(a){\n errors\n}", ":1 - Error during parsing: missing space before '{' in '(a){'"),
        (
            ".:53{\n errors\n}",
            ":1 - Error during parsing: zone is not a valid domain name: .:53{ (a label is empty); \
             a space is missing before '{'",
        ),
        ("a.test{\n}\n}", ":3 - Error during parsing: Unexpected '}' because no matching opening brace"),
        (". {\n cache{\n }\n}", ":2 - Error during parsing: missing space before '{' in 'cache{'"),
        (". {\n cache 30{\n }\n}", ":2 - Error during parsing: missing space before '{' in '30{'"),
        (". {\n cache {}\n}", ":2 - Error during parsing: missing space between '{' and '}'"),
        (
            ". {\n cache\n {\n }\n}",
            ":3 - Error during parsing: the block of 'cache' must open on the directive's line",
        ),
        (
            ". {\n log {\n class all {\n class error\n}\n}\n}",
            ":3 - Error during parsing: nested block not allowed: an option has no block of its own",
        ),
    ] {
        assert_eq!(first_error_line(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn keys_with_an_attached_brace_load_as_in_node_cache_with_a_warning() {
    let text = "a.test:5600{\n errors\n cache 30\n}\nb.test c.test{\n errors\n}\n. {\n log\n}\n";
    let settings = load(text).unwrap();
    assert_eq!(zones(text), ["a.test:5600{.", "b.test.", "c.test{.", "."]);
    assert_eq!(settings.blocks[0].directives, ["errors", "cache"]);
    assert_eq!(settings.blocks[2].directives, ["log"]);
    let ports: Vec<u16> =
        settings.listeners.iter().flat_map(|listener| &listener.addresses).map(SocketAddr::port).collect();
    assert_eq!(ports, [53, 53]);
    let reason = "as in node-cache, the brace is part of the zone's name, which no query has; \
                  with the space, the block serves";
    assert_eq!(
        settings.warnings,
        [
            format!("{COREFILE}:1 - missing space before '{{' in 'a.test:5600{{': {reason} 'a.test:5600'"),
            format!("{COREFILE}:5 - missing space before '{{' in 'c.test{{': {reason} 'c.test'"),
        ]
    );
    assert_eq!(zones("a.test{\n errors\n"), ["a.test{."]);
}

#[test]
fn errors_show_the_line_with_a_caret() {
    let error = load(". {\n\terrors\n\twibble  wobble\n}\n").unwrap_err().to_string();
    let expected = "/etc/coredns/Corefile:3 - Error during parsing: Unknown directive 'wibble'\n     \
                    wibble  wobble\n     ^";
    assert_eq!(error, expected);
}

#[test]
fn comment_directly_after_a_word_causes_a_warning() {
    let settings = load(". {\n errors#glued comment\n}\n").unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors"]);
    assert!(settings.warnings[0].contains(":2 - '#' directly after 'errors'"), "{:?}", settings.warnings);
}

#[test]
fn corefile_without_server_blocks_is_rejected() {
    for text in ["", "# only a comment\n", "(snippet) {\n errors\n}\n"] {
        assert_eq!(first_error_line(text), format!("{COREFILE} has no server block"));
    }
}

#[test]
fn variables_are_expanded_in_keys_arguments_and_patterns() {
    let env: Environment = [("IP", "192.0.2.7"), ("ZONE", "a.test"), ("FILE", "x")].into_iter().collect();
    let files = [
        (COREFILE, "{$ZONE}:53 {\n bind {%IP%}\n prometheus {$IP}:9253\n import {$FILE}\n}\n"),
        ("/etc/coredns/x", "errors\n"),
    ];
    let settings = load_with(&files, &env).unwrap();
    assert_eq!(served(&settings), [("dns://192.0.2.7:53".to_owned(), vec!["a.test.".to_owned()])]);
    assert_eq!(settings.prometheus, ["192.0.2.7:9253".parse().unwrap()]);
}

#[test]
fn unsupported_and_unknown_directives_are_rejected() {
    for (name, reason) in [
        ("autopath", "no action found for directive 'autopath' with server type 'dns' (missing a plugin?)"),
        (
            "kubernetes",
            "no action found for directive 'kubernetes' with server type 'dns' (missing a plugin?)",
        ),
        ("wibble", "Unknown directive 'wibble'"),
        ("Errors", "Unknown directive 'Errors'"),
    ] {
        let line = first_error_line(&format!(". {{\n errors\n {name}\n}}\n"));
        assert!(line.starts_with(&format!("{COREFILE}:3 - Error during parsing: {reason}")), "{line}");
    }
}

#[test]
fn errors_name_unset_variables_in_the_rejected_word() {
    for (text, reason) in [
        (
            ". {\n forward . {$COREDNS_SERVICE_HOST}\n}",
            "invalid address: \"\"; the environment variable \
             COREDNS_SERVICE_HOST is not set, and the Service must exist before the container starts",
        ),
        (
            ". {\n forward . 192.0.2.{$HOST}{%PORT%}\n}",
            "; the environment variable PORT is not set; the environment variable HOST is not set",
        ),
    ] {
        let line = first_error_line(text);
        assert!(line.ends_with(reason), "{text:?}: {line}");
    }
    let line = first_error_line(". {\n forward {$ZONE} 192.0.2.300\n}");
    assert!(
        line.contains("192.0.2.300") && !line.contains("ZONE"),
        "the unset variable is in another word: {line}"
    );
}
