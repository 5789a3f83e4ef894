//! `chaos`: texts about the server.

use std::sync::Arc;

use resolver::policy::{Chaos, FrontPlugin};

use super::load::{COREFILE, load_from, load_lines};

fn chaos(files: &[(&str, &str)], line: &str) -> Arc<Chaos> {
    let corefile = format!(". {{\n any\n {line}\n}}\n");
    let mut front = load_from(&[&[(COREFILE, &*corefile)], files].concat()).unwrap().blocks.remove(0).front;
    match (front.pop(), front.pop()) {
        (Some(FrontPlugin::Chaos(chaos)), Some(FrontPlugin::Any)) => chaos,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn texts_have_at_most_255_octets_and_the_node_has_its_name() {
    let (long, longest) = ("x".repeat(256), [b'x'; 255]);
    let node = [("/proc/sys/kernel/hostname", &*format!("{long}\n"))];
    let chaos = chaos(&node, &format!("chaos {long} {long} {long}y"));
    assert_eq!((&*chaos.version, &*chaos.host_name), (&longest[..], &longest[..]));
    assert_eq!(chaos.authors, [Arc::from(longest)], "one of two that are equal");
}

#[test]
fn chaos_is_not_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    assert_eq!(fingerprint("cache"), fingerprint("cache\nchaos"));
}
