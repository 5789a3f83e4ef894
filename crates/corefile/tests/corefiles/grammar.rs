//! Words, blocks, snippets and imports.

use corefile::Environment;

use super::fake_host::{COREFILE, first_line, load, load_with, no_environment, refusal, served};

fn zones(text: &str) -> Vec<String> {
    let settings = load(text).unwrap();
    settings.blocks.iter().flat_map(|block| &block.keys).map(|key| key.zone.to_string()).collect()
}

/// The directives of the first block of [`COREFILE`].
fn directives(files: &[(&str, &str)]) -> Vec<&'static str> {
    load_with(files, &no_environment()).unwrap().blocks.remove(0).directives
}

#[test]
fn keys_are_separated_by_blanks_or_commas_and_a_comma_goes_on_to_the_next_line() {
    assert_eq!(zones("a.test b.test {\n}\n"), ["a.test.", "b.test."]);
    assert_eq!(zones("a.test, b.test,\n  c.test {\n}\n"), ["a.test.", "b.test.", "c.test."]);
    assert_eq!(zones("a.test\n{\n errors\n}\n"), ["a.test."]);
    assert_eq!(zones("\"\" a.test {\n}\n"), ["a.test."]);
}

#[test]
fn a_block_without_braces_is_the_rest_of_the_file() {
    let settings = load("a.test\nerrors\ncache {\n success 2048\n}\n").unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors", "cache"]);
    assert_eq!(zones("a.test"), ["a.test."]);
}

#[test]
fn blocks_come_in_the_order_of_the_file() {
    assert_eq!(zones("b.test {\n}\na.test {\n}\n. {\n}\n"), ["b.test.", "a.test.", "."]);
}

#[test]
fn braces_that_do_not_match_are_told() {
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
        ("a.test {\n{\n}\n}", ":2 - Error during parsing: '{' opens nothing here"),
    ] {
        assert_eq!(refusal(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn slips_that_coredns_takes_for_something_else_are_refused() {
    for (text, line) in [
        ("a.test:5600{\n errors\n}", ":1 - Error during parsing: missing blank before '{' in 'a.test:5600{'"),
        (". {\n cache{\n }\n}", ":2 - Error during parsing: missing blank before '{' in 'cache{'"),
        (". {\n cache 30{\n }\n}", ":2 - Error during parsing: missing blank before '{' in '30{'"),
        (". {\n cache {}\n}", ":2 - Error during parsing: missing blank between '{' and '}'"),
        (
            ". {\n cache\n {\n }\n}",
            ":3 - Error during parsing: the block of 'cache' must open on the directive's line",
        ),
        (
            ". {\n log {\n class all {\n class error\n}\n}\n}",
            ":3 - Error during parsing: nested block not allowed: an option has no block of its own",
        ),
    ] {
        assert_eq!(refusal(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn the_line_and_a_caret_stand_below_the_reason() {
    let error = load(". {\n\terrors\n\twibble  wobble\n}\n").unwrap_err().to_string();
    let expected = "/etc/coredns/Corefile:3 - Error during parsing: Unknown directive 'wibble'\n     \
                    wibble  wobble\n     ^";
    assert_eq!(error, expected);
}

#[test]
fn a_glued_comment_ends_with_its_line_and_is_told() {
    let settings = load(". {\n errors#glued comment\n}\n").unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors"]);
    assert!(settings.warnings[0].contains(":2 - '#' right behind 'errors'"), "{:?}", settings.warnings);
}

#[test]
fn a_corefile_without_blocks_is_refused() {
    for text in ["", "# only a comment\n", "(snippet) {\n errors\n}\n"] {
        assert_eq!(refusal(text), format!("{COREFILE} has no server block"));
    }
}

#[test]
fn a_snippet_stands_for_its_lines_and_messages_name_where_they_are_written() {
    let text = "(common) {\n errors\n cache {\n  keepttl\n }\n}\n. {\n import common\n log\n}\n";
    assert_eq!(directives(&[(COREFILE, text)]), ["errors", "log", "cache"]);
    assert_eq!(
        refusal("(s) {\n bogus\n}\n. {\n import s\n}"),
        format!("{COREFILE}:2 - Error during parsing: Unknown directive 'bogus'")
    );
}

#[test]
fn snippets_are_seen_in_imported_files_and_can_be_defined_there() {
    let main = "import defs\n. {\n import common\n import more\n}\n";
    let files = [
        (COREFILE, main),
        ("/etc/coredns/defs", "(common) {\n errors\n}\n(inner) {\n cache\n}"),
        ("/etc/coredns/more", "import inner\nlog"),
    ];
    assert_eq!(directives(&files), ["errors", "log", "cache"]);
}

#[test]
fn bad_snippets_are_told() {
    for (text, line) in [
        ("(a) {\n}\n(a) {\n}\n", ":3 - Error during parsing: redeclaration of previously declared snippet a"),
        ("(a) {\n import a\n}\n", ":2 - Error during parsing: snippet a imports itself"),
        ("(a) {\n errors\n", ":2 - Syntax error: Unexpected token 'errors', expecting '}'"),
        ("(a)\nerrors\n", ":2 - Syntax error: Unexpected token 'errors', expecting '{'"),
    ] {
        assert_eq!(refusal(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn imports_are_relative_to_the_file_they_stand_in() {
    let files = [
        (COREFILE, "import sub/blocks\n"),
        (
            "/etc/coredns/sub/blocks",
            ". {\n import options/errors\n cache {\n  import ../cache.options\n }\n}\n",
        ),
        ("/etc/coredns/sub/options/errors", "errors\n"),
        ("/etc/coredns/sub/../cache.options", "keepttl\nservfail 0\n"),
    ];
    let settings = load_with(&files, &no_environment()).unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors", "cache"]);
    assert!(settings.blocks[0].cache.as_ref().unwrap().keep_ttl);
}

#[test]
fn a_pattern_takes_files_in_the_order_of_their_names_and_may_find_none() {
    let files = [
        (COREFILE, "import conf.d/*.server\n. {\n import custom/*.override\n}\n"),
        ("/etc/coredns/conf.d/b.server", "b.test {\n}\n"),
        ("/etc/coredns/conf.d/a.server", "a.test {\n}\n"),
        ("/etc/coredns/conf.d/a.txt", "no corefile"),
    ];
    let settings = load_with(&files, &no_environment()).unwrap();
    assert_eq!(
        served(&settings),
        [("dns://:53".to_owned(), vec!["a.test.".into(), "b.test.".into(), ".".into()])]
    );
    assert_eq!(
        settings.warnings,
        [format!("{COREFILE}:3 - No files matching import glob pattern: custom/*.override")]
    );
    let below =
        [(COREFILE, "import */zone\n"), ("/etc/coredns/x/zone", "x.test {\n}\n"), ("/etc/coredns/y/z", "")];
    assert_eq!(served(&load_with(&below, &no_environment()).unwrap())[0].1, ["x.test."]);
    let one =
        [(COREFILE, "import z?ne\n"), ("/etc/coredns/zone", "x.test {\n}\n"), ("/etc/coredns/zoone", "")];
    assert_eq!(served(&load_with(&one, &no_environment()).unwrap())[0].1, ["x.test."]);
}

#[test]
fn bad_imports_are_told() {
    for (text, line) in [
        (
            "import\n",
            ":1 - Error during parsing: Wrong argument count or unexpected line ending after 'import'",
        ),
        ("import a b\n", ":1 - Error during parsing: Import takes only one argument (glob pattern or file)"),
        ("import \"\"\n", ":1 - Error during parsing: Import requires a non-empty filepath"),
        (
            "import {$NONE}\n",
            ":1 - Error during parsing: Import requires a non-empty filepath; the environment has no NONE",
        ),
        ("import absent\n", ":1 - Error during parsing: File to import not found: absent"),
        (
            ". {\n cache {\n import absent\n}\n}",
            ":3 - Error during parsing: File to import not found: absent",
        ),
        (
            "import */*.conf\n",
            ":1 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: \
             /etc/coredns/*/*.conf",
        ),
        (
            "import [a-z]\n",
            ":1 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: \
             /etc/coredns/[a-z]",
        ),
        ("import /etc\n", ":1 - Error during parsing: Could not import /etc: is a directory"),
    ] {
        assert_eq!(refusal(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn circles_of_imports_end() {
    let circle = [
        (COREFILE, ". {\n import a\n}\n"),
        ("/etc/coredns/a", "import b\n"),
        ("/etc/coredns/b", "import a\n"),
    ];
    let line = first_line(load_with(&circle, &no_environment()));
    assert!(line.contains("import itself in a circle?"), "{line}");
    let doubling = [(COREFILE, "import a\n"), ("/etc/coredns/a", "import a\nimport a\nimport a\nimport a\n")];
    assert!(load_with(&doubling, &no_environment()).is_err());
    assert!(
        refusal("(a) {\n errors\n import b\n}\n(b) {\n import a\n}\n. {\n import b\n}\n").contains("circle?")
    );
}

#[test]
fn import_as_an_argument_is_no_import() {
    let settings = load(". {\n log import\n}\n").unwrap();
    assert_eq!(settings.blocks[0].log[0].zone.to_string(), "import.");
}

#[test]
fn variables_stand_in_keys_arguments_and_patterns() {
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
fn a_directive_is_known_missing_or_unknown() {
    for (name, reason) in [
        ("hosts", "directive 'hosts' is not supported by nodelocaldns yet"),
        ("template", "directive 'template' is not supported by nodelocaldns yet"),
        ("acl", "no action found for directive 'acl' with server type 'dns' (missing a plugin?)"),
        (
            "kubernetes",
            "no action found for directive 'kubernetes' with server type 'dns' (missing a plugin?)",
        ),
        ("wibble", "Unknown directive 'wibble'"),
        ("Errors", "Unknown directive 'Errors'"),
    ] {
        let line = refusal(&format!(". {{\n errors\n {name}\n}}\n"));
        assert!(line.starts_with(&format!("{COREFILE}:3 - Error during parsing: {reason}")), "{line}");
    }
}

#[test]
fn a_word_that_is_refused_for_want_of_a_variable_names_it() {
    for (text, reason) in [
        (
            ". {\n forward . {$COREDNS_SERVICE_HOST}\n}",
            "invalid address: \"\"; the environment has no COREDNS_SERVICE_HOST, \
             and the Service has to be there before the container starts",
        ),
        (
            ". {\n forward . 192.0.2.{$HOST}{%PORT%}\n}",
            "; the environment has no PORT; the environment has no HOST",
        ),
    ] {
        let line = refusal(text);
        assert!(line.ends_with(reason), "{text:?}: {line}");
    }
    let line = refusal(". {\n forward {$ZONE} 192.0.2.300\n}");
    assert!(line.contains("192.0.2.300") && !line.contains("ZONE"), "it is not this word's fault: {line}");
}
