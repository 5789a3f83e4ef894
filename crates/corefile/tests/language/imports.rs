//! `import`: files, patterns and snippets.

use corefile::Environment;

use super::load::{COREFILE, directives, first_error_line, first_line, load, load_with, served};

#[test]
fn snippets_are_expanded_and_errors_name_their_definition() {
    let text = "(common) {\n errors\n cache {\n  keepttl\n }\n}\n. {\n import common\n log\n}\n";
    assert_eq!(directives(&[(COREFILE, text)]), ["errors", "log", "cache"]);
    assert_eq!(
        first_error_line("(s) {\n bogus\n}\n. {\n import s\n}"),
        format!("{COREFILE}:2 - Error during parsing: Unknown directive 'bogus'")
    );
}

#[test]
fn snippets_are_shared_with_imported_files() {
    let main = "import defs\n. {\n import common\n import more\n}\n";
    let files = [
        (COREFILE, main),
        ("/etc/coredns/defs", "(common) {\n errors\n}\n(inner) {\n cache\n}"),
        ("/etc/coredns/more", "import inner\nlog"),
    ];
    assert_eq!(directives(&files), ["errors", "log", "cache"]);
}

#[test]
fn invalid_snippets_are_rejected() {
    for (text, line) in [
        ("(a) {\n}\n(a) {\n}\n", ":3 - Error during parsing: redeclaration of previously declared snippet a"),
        ("(a) {\n import a\n}\n", ":2 - Error during parsing: snippet a imports itself"),
        ("(a) {\n errors\n", ":2 - Syntax error: Unexpected token 'errors', expecting '}'"),
        ("(a)\nerrors\n", ":2 - Syntax error: Unexpected token 'errors', expecting '{'"),
    ] {
        assert_eq!(first_error_line(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn imports_are_relative_to_the_importing_file() {
    let files = [
        (COREFILE, "import sub/blocks\n"),
        (
            "/etc/coredns/sub/blocks",
            ". {\n import options/errors\n cache {\n  import ../cache.options\n }\n}\n",
        ),
        ("/etc/coredns/sub/options/errors", "errors\n"),
        ("/etc/coredns/sub/../cache.options", "keepttl\nservfail 0\n"),
    ];
    let settings = load_with(&files, &Environment::default()).unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors", "cache"]);
    assert!(settings.blocks[0].cache.as_ref().unwrap().keep_ttl);
}

#[test]
fn import_patterns_match_files_in_name_order_or_none() {
    let files = [
        (COREFILE, "import conf.d/*.server\n. {\n import custom/*.override\n}\n"),
        ("/etc/coredns/conf.d/b.server", "b.test {\n}\n"),
        ("/etc/coredns/conf.d/a.server", "a.test {\n}\n"),
        ("/etc/coredns/conf.d/a.txt", "no corefile"),
    ];
    let settings = load_with(&files, &Environment::default()).unwrap();
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
    assert_eq!(served(&load_with(&below, &Environment::default()).unwrap())[0].1, ["x.test."]);
    let one =
        [(COREFILE, "import z?ne\n"), ("/etc/coredns/zone", "x.test {\n}\n"), ("/etc/coredns/zoone", "")];
    assert_eq!(served(&load_with(&one, &Environment::default()).unwrap())[0].1, ["x.test."]);
}

#[test]
fn invalid_imports_are_rejected() {
    for (text, line) in [
        (
            "import\n",
            ":1 - Error during parsing: Wrong argument count or unexpected line ending after 'import'",
        ),
        ("import a b\n", ":1 - Error during parsing: Import takes only one argument (glob pattern or file)"),
        ("import \"\"\n", ":1 - Error during parsing: Import requires a non-empty filepath"),
        (
            "import {$NONE}\n",
            ":1 - Error during parsing: Import requires a non-empty filepath; the environment variable NONE is not set",
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
        assert_eq!(first_error_line(text), format!("{COREFILE}{line}"), "{text:?}");
    }
}

#[test]
fn import_cycles_are_rejected() {
    let cycle = [
        (COREFILE, ". {\n import a\n}\n"),
        ("/etc/coredns/a", "import b\n"),
        ("/etc/coredns/b", "import a\n"),
    ];
    let line = first_line(load_with(&cycle, &Environment::default()));
    assert!(line.contains("import itself in a cycle?"), "{line}");
    let doubling = [(COREFILE, "import a\n"), ("/etc/coredns/a", "import a\nimport a\nimport a\nimport a\n")];
    assert!(load_with(&doubling, &Environment::default()).is_err());
    assert!(
        first_error_line("(a) {\n errors\n import b\n}\n(b) {\n import a\n}\n. {\n import b\n}\n")
            .contains("cycle?")
    );
}

#[test]
fn import_as_an_argument_is_not_an_import() {
    let settings = load(". {\n log import\n}\n").unwrap();
    assert_eq!(settings.blocks[0].log[0].zone.to_string(), "import.");
}
