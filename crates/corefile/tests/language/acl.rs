//! `acl`: which queries are answered.

use resolver::policy::{AclAction, AclPolicy, AclRule, FrontPlugin, Network};
use wire::header::RecordType;
use wire::name::Name;

use super::assertions::assert_all_rejected;
use super::load::load_lines;

fn front(lines: &str) -> Vec<FrontPlugin> {
    load_lines(lines).unwrap().blocks.remove(0).front
}

fn policy(action: AclAction, types: &[RecordType], networks: &[(&str, u8)]) -> AclPolicy {
    let network = |(ip, prefix): &(&str, u8)| Network::new(ip.parse().unwrap(), *prefix).unwrap();
    AclPolicy { action, types: types.to_vec(), networks: networks.iter().map(network).collect() }
}

#[test]
fn acl_has_zones_types_and_networks() {
    let zones = |names: &[&str]| names.iter().map(|name| Name::parse(name).unwrap()).collect();
    let lines = "any\nacl Corp.test 10.0.0.0/8 {\n block\n}\nacl {\n filter type MX TXT net 10.0.0.0/8 ::1\n \
                 drop net 192.0.2.1\n Allow net * type ANY\n block type * net 10.0.0.0/8 type A\n}";
    let rules = [
        AclRule {
            zones: zones(&["corp.test", "10.in-addr.arpa"]),
            policies: vec![policy(AclAction::Block, &[], &[])],
        },
        AclRule {
            zones: zones(&["."]),
            policies: vec![
                policy(
                    AclAction::Filter,
                    &[RecordType::MX, RecordType::TXT],
                    &[("10.0.0.0", 8), ("::1", 128)],
                ),
                policy(AclAction::Drop, &[], &[("192.0.2.1", 32)]),
                policy(AclAction::Allow, &[RecordType::ANY], &[]),
                policy(AclAction::Block, &[], &[("10.0.0.0", 8)]),
            ],
        },
    ];
    assert_eq!(front(lines), [FrontPlugin::Acl(rules.into()), FrontPlugin::Any]);
    let empty = AclRule { zones: zones(&["."]), policies: Vec::new() };
    assert_eq!(front("acl"), [FrontPlugin::Acl([empty].into())]);
}

#[test]
fn invalid_acl_directives_are_rejected() {
    assert_all_rejected(
        "acl",
        &[
            ("acl {\n permit\n}", "unexpected token \"permit\"; expect 'allow', 'block', 'filter' or 'drop'"),
            ("acl {\n block from 10.0.0.1\n}", "unexpected token \"from\"; expect 'type | net'"),
            ("acl {\n block type\n}", "no token specified in \"type\" section"),
            ("acl {\n block type A net\n}", "no token specified in \"net\" section"),
            ("acl {\n block type WIBBLE\n}", "unexpected token \"WIBBLE\"; expect legal QTYPE"),
            ("acl {\n block net 10.0.0.0/33\n}", "illegal CIDR notation \"10.0.0.0/33\""),
            ("acl {\n block net 10.0.0.0/+8\n}", "illegal CIDR notation \"10.0.0.0/+8\""),
            ("acl {\n block net ten\n}", "illegal CIDR notation \"ten\""),
        ],
    );
}

#[test]
fn acl_is_not_part_of_the_fingerprint() {
    let fingerprint = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).fingerprint;
    assert_eq!(fingerprint("cache"), fingerprint("cache\nacl {\n block\n}"));
}
