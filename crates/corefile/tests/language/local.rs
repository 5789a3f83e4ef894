//! `local`: names of the node itself.

use resolver::policy::FrontPlugin;

use super::load::load_lines;

fn front(lines: &str) -> Vec<FrontPlugin> {
    load_lines(lines).unwrap().blocks.remove(0).front
}

#[test]
fn local_is_in_front_of_acl_and_any() {
    let plugins = front("any\nacl\nlocal");
    assert!(
        matches!(
            &*plugins,
            [FrontPlugin::Local { localhost_prefix: true }, FrontPlugin::Acl(_), FrontPlugin::Any]
        ),
        "{plugins:?}"
    );
}

#[test]
fn local_is_not_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    assert_eq!(fingerprint("cache"), fingerprint("cache\nlocal"));
}
