//! `whoami`: answers with the client's address.

use resolver::policy::LocalPlugin;

use super::assertions::assert_all_rejected;
use super::load::load_lines;

fn plugins(lines: &str) -> Vec<LocalPlugin> {
    load_lines(lines).unwrap().blocks.remove(0).plugins
}

#[test]
fn whoami_has_no_arguments_and_the_first_counts() {
    assert_eq!(plugins("errors"), []);
    for lines in ["whoami", "whoami\nwhoami", "whoami\nwhoami x"] {
        assert_eq!(plugins(lines), [LocalPlugin::Whoami], "{lines}");
    }
    assert_all_rejected(
        "whoami",
        &[("whoami x", "unexpected line ending after 'x'"), ("whoami {\n x\n}", "after 'x'")],
    );
}

#[test]
fn whoami_is_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    let [without, with] = ["cache", "cache\nwhoami"].map(fingerprint);
    assert!(without != with, "{with}");
}
