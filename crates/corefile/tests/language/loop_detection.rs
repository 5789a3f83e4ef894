//! `loop`: the target of the loop query.

use corefile::settings::LoopQueryTarget;

use super::load::{first_line, load, load_lines};

#[test]
fn loop_query_targets_the_first_address_and_zone_of_a_block() {
    let check = |text: &str| load(text).unwrap().blocks.remove(0).loop_query;
    let loop_query = |zone: &str, address: &str| {
        let zone = wire::name::Name::parse(zone).unwrap();
        Some(LoopQueryTarget { zone, address: address.parse().unwrap() })
    };
    assert_eq!(
        check("a.test:5353 b.test {\n loop\n bind 127.0.0.9 127.0.0.8\n}\n"),
        loop_query("a.test", "127.0.0.9:5353")
    );
    assert_eq!(check(". {\n loop\n}\n"), loop_query(".", "127.0.0.1:53"));
    assert_eq!(check(". {\n}\n"), None);
    assert!(first_line(load_lines("loop x")).contains("plugin/loop: "));
    assert!(
        first_line(load_lines("loop\nloop")).ends_with("this plugin can only be used once per Server Block")
    );
}
