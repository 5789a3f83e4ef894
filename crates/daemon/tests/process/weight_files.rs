//! The file of `loadbalance weighted`, and its changes.

use std::fs;

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, upstream, wait_until};
use crate::responses::data;
use crate::upstream_files::FileDirectory;

/// Queries that all have the same address first, except for one in 25 runs.
const QUERIES: usize = 10;

#[test]
fn changed_weights_take_effect_and_keep_the_cache() {
    let (upstream, directory) = (upstream(), FileDirectory::new());
    let (file, new) = (directory.path("weights"), directory.path("new"));
    fs::write(&file, "big-2.example\n10.0.0.0 255\n").unwrap();
    let daemon = DaemonProcess::start(&format!(
        ".:{DNS} {{\n bind @\n cache 30\n loadbalance weighted {} {{\n reload 1s\n }}\n forward . {}\n ready @:{READY}\n}}\n",
        file.display(),
        upstream.addr()
    ));
    let is_first = |address: &str| {
        let first = || data(&daemon.query("big-2.example.")).swap_remove(0);
        (0..QUERIES).all(|_| first() == address)
    };
    assert!(wait_until(WAIT_LIMIT, || is_first("10.0.0.0")));

    fs::write(&new, "big-2.example\n10.0.0.1 255\n").unwrap();
    fs::rename(&new, &file).unwrap();
    assert!(wait_until(WAIT_LIMIT, || is_first("10.0.0.1")), "{:?}", daemon.log_lines());
    assert_eq!(upstream.query_count("big-2.example."), 1, "the block keeps its cache");

    fs::write(&new, "big-2.example\n10.0.0.0\n").unwrap();
    fs::rename(&new, &file).unwrap();
    let line = daemon.wait_for_log("stay as they were");
    assert!(line.contains("weights:2: the address 10.0.0.0 has no weight"), "{line}");
    assert!(wait_until(WAIT_LIMIT, || is_first("10.0.0.1")));
}
