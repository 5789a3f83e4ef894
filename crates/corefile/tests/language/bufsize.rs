//! `bufsize`: size limit of UDP responses.

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::{first_line, load_lines};

#[test]
fn bufsize_takes_512_to_4096_and_the_first_counts() {
    let bufsize = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).bufsize;
    assert_eq!(bufsize("errors"), None);
    for (lines, octets) in
        [("bufsize", 1232), ("bufsize 512", 512), ("bufsize 4096", 4096), ("bufsize 1400\nbufsize 600", 1400)]
    {
        assert_eq!(bufsize(lines), Some(octets), "{lines}");
    }
    let rejected = [
        ("bufsize 511", "must be within 512 - 4096"),
        ("bufsize 4097", "must be within 512 - 4096"),
        ("bufsize -1", "must be within 512 - 4096"),
        ("bufsize 70000", "must be within 512 - 4096"),
        ("bufsize many", "is not a whole number"),
    ];
    assert_all_rejected("bufsize", &rejected);
    assert!(first_line(load_lines("bufsize 512 600")).contains(ARGUMENT_COUNT));
}
