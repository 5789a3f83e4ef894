//! `timeouts`: TCP timeouts for clients.

use std::time::Duration;

use corefile::settings::Timeouts;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::{first_line, load, load_lines};

/// The `timeouts` of the first listener.
fn timeouts(corefile: &str) -> Timeouts {
    load(corefile).unwrap().listeners.remove(0).timeouts
}

#[test]
fn timeouts_accept_durations_bare_seconds_and_a_query_limit() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(timeouts(". {\n}"), Timeouts::default());
    let all = timeouts(". {\n timeouts {\n read 1s\n write 90\n idle 1h30m\n maxtcpqueries 5\n }\n}");
    let wanted = Timeouts {
        read: seconds(1),
        write: seconds(90),
        idle: seconds(5400),
        max_queries: Some(std::num::NonZeroU32::new(5)),
    };
    assert_eq!(all, wanted);
    let unlimited = timeouts(". {\n timeouts {\n maxtcpqueries -1\n }\n}");
    assert_eq!(unlimited, Timeouts { max_queries: Some(None), ..Timeouts::default() });
    let rejected = [
        ("timeouts", "timeouts block with no timeouts specified"),
        ("timeouts {\n}", "timeouts block with no timeouts specified"),
        ("timeouts {\n read 0\n}", "'0' needs to be between 1 second and 24 hours"),
        ("timeouts {\n read 999ms\n}", "'999ms' needs to be between 1 second and 24 hours"),
        ("timeouts {\n idle 24h1s\n}", "'24h1s' needs to be between 1 second and 24 hours"),
        ("timeouts {\n idle 86401\n}", "'86401' needs to be between 1 second and 24 hours"),
        ("timeouts {\n maxtcpqueries 0\n}", "maxtcpqueries 0 must be -1 or above 0"),
        ("timeouts {\n maxtcpqueries -2\n}", "maxtcpqueries -2 must be -1 or above 0"),
        ("timeouts {\n dial 2s\n}", "unknown option: 'dial'"),
    ];
    assert_all_rejected("timeouts", &rejected);
    for lines in ["timeouts 5s", "timeouts {\n read\n}", "timeouts {\n read 1s 2s\n}"] {
        assert!(first_line(load_lines(lines)).contains(ARGUMENT_COUNT), "{lines}");
    }
}

#[test]
fn last_timeouts_of_the_blocks_on_a_listener_count() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let shared = timeouts(
        "a.test {\n timeouts {\n read 2\n idle 4\n }\n}\nb.test {\n timeouts {\n idle 8\n }\n}\nc.test {\n}\n",
    );
    assert_eq!(shared, Timeouts { read: seconds(2), idle: seconds(8), ..Timeouts::default() });
    let apart = load("a.test:53 {\n timeouts {\n read 2\n }\n}\na.test:54 {\n}\n").unwrap().listeners;
    assert_eq!(apart[1].timeouts, Timeouts::default(), "another port");
}
