//! `reload`: interval and jitter.

use std::time::Duration;

use corefile::settings::Reload;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::load_lines;

#[test]
fn reload_has_an_interval_and_a_jitter() {
    let reload = |lines: &str| load_lines(lines).unwrap().reload.unwrap();
    let seconds = |interval, jitter| Reload {
        interval: Duration::from_secs(interval),
        jitter: Duration::from_millis(jitter),
    };
    assert_eq!(reload("reload"), seconds(30, 15_000));
    assert_eq!(reload("reload 10s"), seconds(10, 5_000));
    assert_eq!(reload("reload 10s 2s"), seconds(10, 2_000));
    assert_eq!(reload("reload 2s"), seconds(2, 1_000));
    assert_eq!(reload("reload 2s 0s"), seconds(2, 0));
    assert_eq!(reload("reload 10s\nreload 20s"), seconds(10, 5_000));
    assert!(load_lines("errors").unwrap().reload.is_none());
    assert_all_rejected(
        "reload",
        &[
            ("reload foo", "time: invalid duration \"foo\""),
            ("reload 10s foo", "time: invalid duration \"foo\""),
            ("reload 10s 5s 5s", &format!("{ARGUMENT_COUNT} '5s'")),
            ("reload 1s", "interval value must be greater or equal to 2s"),
            ("reload 0s", "interval value must be greater or equal to 2s"),
            ("reload 3s 0.5s", "jitter value must be 0 or greater or equal to 1s"),
            ("reload {\n x\n}", &format!("{ARGUMENT_COUNT} 'x'")),
        ],
    );
}
