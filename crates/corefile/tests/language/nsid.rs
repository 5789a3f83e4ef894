//! `nsid`: the identifier of the server.

use super::assertions::assert_all_rejected;
use super::load::{COREFILE, load_from, load_lines};

fn nsid(files: &[(&str, &str)], line: &str) -> String {
    let corefile = format!(". {{\n{line}\n}}\n");
    let files = [&[(COREFILE, &*corefile)], files].concat();
    let nsid = load_from(&files).unwrap().blocks.remove(0).nsid.unwrap();
    String::from_utf8(nsid.to_vec()).unwrap()
}

#[test]
fn nsid_is_a_text_or_the_name_of_the_node() {
    let node = [("/proc/sys/kernel/hostname", "node-1\n")];
    for (files, line, expected) in [
        (&node[..], "nsid", "node-1"),
        (&[], "nsid", "localhost"),
        (&node, "nsid cache", "cache"),
        (&node, "nsid local cache", "local cache"),
        (&node, "nsid \"a  b\"", "a  b"),
    ] {
        assert_eq!(nsid(files, line), expected, "{line}");
    }
    assert_eq!(load_lines("errors").unwrap().blocks.remove(0).nsid, None);
}

#[test]
fn invalid_nsid_directives_are_rejected() {
    let long = format!("nsid {}", "x".repeat(256));
    assert_all_rejected(
        "nsid",
        &[
            (&long, "an identifier of 256 octets is too long: at most 255"),
            ("nsid {\n x\n}", "unexpected line ending after 'x'"),
            ("nsid\nnsid", ":3 - Error during parsing: this plugin can only be used once per Server Block"),
        ],
    );
}
