//! Rows of directives in front of the cache: those that answer queries themselves, and those that change
//! each response.

use std::sync::Arc;

use corefile::Settings;
use resolver::policy::{AclPolicy, AclRule, FrontPlugin, Network};

use super::{Rows, assert_rows, join, names, when};

/// Version, authors, name of the node.
fn chaos(settings: &Settings) -> String {
    let [FrontPlugin::Chaos(chaos)] = &*settings.blocks[0].front else { return front(settings) };
    let text = |octets: &Arc<[u8]>| String::from_utf8_lossy(octets).replace(env!("CARGO_PKG_VERSION"), "0");
    let authors = chaos.authors.iter().map(text).collect::<Vec<_>>().join(", ");
    format!("{}; {authors}; {}", text(&chaos.version), text(&chaos.host_name))
}

/// The directives in front of the cache, in the order of the chain.
fn front(settings: &Settings) -> String {
    let shown = settings.blocks[0].front.iter().map(|plugin| match plugin {
        FrontPlugin::Local { localhost_prefix: true } => "local".to_owned(),
        FrontPlugin::Local { localhost_prefix: false } => "local, not localhost_prefix".to_owned(),
        FrontPlugin::Acl(_) => "acl".to_owned(),
        FrontPlugin::Any => "any".to_owned(),
        FrontPlugin::Chaos(_) => "chaos".to_owned(),
    });
    shown.collect::<Vec<_>>().join(" | ")
}

/// Zones and policies of each directive.
fn acl(settings: &Settings) -> String {
    let [FrontPlugin::Acl(rules)] = &*settings.blocks[0].front else { return front(settings) };
    let rule = |rule: &AclRule| {
        let policies: Vec<String> = rule.policies.iter().map(policy).collect();
        format!("{} {{{}}}", names(&rule.zones), policies.join("; "))
    };
    rules.iter().map(rule).collect::<Vec<_>>().join(" | ")
}

/// Action, types, networks; without types or networks, all.
fn policy(policy: &AclPolicy) -> String {
    let types: Vec<String> = policy.types.iter().map(ToString::to_string).collect();
    join(&[policy.action.name().to_owned(), types.join(","), networks(&policy.networks)])
}

fn networks(networks: &[Network]) -> String {
    let network = |network: &Network| format!("{}/{}", network.address(), network.prefix_len());
    networks.iter().map(network).collect::<Vec<_>>().join(",")
}

/// Prefix and options.
fn dns64(settings: &Settings) -> String {
    let Some(dns64) = settings.blocks[0].dns64 else { return String::new() };
    let prefix = format!("{:?}", dns64.prefix);
    let fields = prefix.trim_start_matches("Nat64Prefix { address: ").trim_end_matches(" }");
    let (address, octets) = fields.split_once(", len: ").unwrap();
    let prefix = format!("{address}/{}", 8 * octets.parse::<usize>().unwrap());
    join(&[prefix, when(dns64.translate_all, "translate_all"), when(dns64.allow_ipv4, "allow_ipv4")])
}

/// Preferred networks, weight file and its interval.
fn load_balance(settings: &Settings) -> String {
    let block = &settings.blocks[0];
    let Some(options) = &block.load_balance else { return String::new() };
    let file = block.weight_file.as_ref().map(|file| format!("{} {:?}", file.path.display(), file.reload));
    let policy = when(options.weights.is_none(), "round_robin");
    join(&[policy, file.unwrap_or_default(), networks(&options.prefer)])
}

fn nsid(settings: &Settings) -> String {
    settings.blocks[0].nsid.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned()
}

#[test]
fn rows_of_acl() {
    assert_rows("acl", ACL, acl);
}

#[test]
fn rows_of_any() {
    assert_rows("any", ANY, front);
}

#[test]
fn rows_of_chaos() {
    assert_rows("chaos", CHAOS, chaos);
}

#[test]
fn rows_of_local() {
    assert_rows("local", LOCAL, front);
}

#[test]
fn rows_of_dns64() {
    assert_rows("dns64", DNS64, dns64);
}

#[test]
fn rows_of_loadbalance() {
    assert_rows("loadbalance", LOADBALANCE, load_balance);
}

#[test]
fn rows_of_nsid() {
    assert_rows("nsid", NSID, nsid);
}

#[rustfmt::skip]
const ACL: &Rows = &[
    ("acl", "= . {}"),
    ("acl { / }", "= . {}"),
    ("acl Corp.test", "= corp.test. {}"),
    ("acl corp.test 10.0.0.0/8", "= corp.test. 10.in-addr.arpa. {}"),
    ("acl a..b", "2: zone is not a valid domain name: a..b (a label is empty)"),
    ("acl { / allow / }", "= . {allow}"),
    ("acl { / block / }", "= . {block}"),
    ("acl { / filter / }", "= . {filter}"),
    ("acl { / drop / }", "= . {drop}"),
    ("acl { / Block / }", "= . {block}"),
    ("acl { / BLOCK Type A NET 10.0.0.1 / }", "= . {block A 10.0.0.1/32}"),
    ("acl { / block type A net 192.168.0.0/16 / }", "= . {block A 192.168.0.0/16}"),
    ("acl { / block type * net 192.168.0.0/16 / }", "= . {block 192.168.0.0/16}"),
    ("acl { / block type A net * / }", "= . {block A}"),
    ("acl { / allow type * net 192.168.1.0/24 / block type * net 192.168.0.0/16 / }", "= . {allow 192.168.1.0/24; block 192.168.0.0/16}"),
    ("acl { / filter type A net 192.168.0.0/16 / }", "= . {filter A 192.168.0.0/16}"),
    ("acl { / allow type * net 192.168.0.0/16 / block type * net * / }", "= . {allow 192.168.0.0/16; block}"),
    ("acl { / drop type * net 192.168.0.0/16 / }", "= . {drop 192.168.0.0/16}"),
    ("acl a.example.org { / block type * net 192.168.1.0/24 / } / acl b.example.org { / block type * net 192.168.2.0/24 / }", "= a.example.org. {block 192.168.1.0/24} | b.example.org. {block 192.168.2.0/24}"),
    ("acl { / block type * net 192.168.1.0/24 192.168.3.0/24 / }", "= . {block 192.168.1.0/24,192.168.3.0/24}"),
    ("acl { / block type TXT ANY CNAME net 192.168.3.0/24 / }", "= . {block TXT,ANY,CNAME 192.168.3.0/24}"),
    ("acl { / block type ANY / }", "= . {block ANY}"),
    ("acl { / block type A type AAAA / }", "= . {block A,AAAA}"),
    ("acl { / block type A * / }", "= . {block}"),
    ("acl { / block net 10.0.0.0/8 * / }", "= . {block}"),
    ("acl { / block net 10.0.0.0/8 net 192.0.2.1 / }", "= . {block 10.0.0.0/8,192.0.2.1/32}"),
    ("acl { / block net 10.0.0.0/8 type A / }", "= . {block A 10.0.0.0/8}"),
    ("acl { / block type HTTPS SVCB NXNAME DLV / }", "= . {block HTTPS,SVCB,NXNAME,DLV}"),
    ("acl { / block type A net 2001:0db8:85a3:0000:0000:8a2e:0370:7334 / }", "= . {block A 2001:db8:85a3::8a2e:370:7334/128}"),
    ("acl { / block net 2001:db8:abcd:0012::0/64 / }", "= . {block 2001:db8:abcd:12::/64}"),
    ("acl { / block net 2001:db8:85a3::8a2e:370:7334/64 / }", "= . {block 2001:db8:85a3::8a2e:370:7334/64}"),
    ("acl { / block net 10.1.2.3/8 / }", "= . {block 10.1.2.3/8}"),
    ("acl { / block net 0.0.0.0/0 ::/0 / }", "= . {block 0.0.0.0/0,::/0}"),
    ("acl { / block net ::1/128 10.0.0.1/32 / }", "= . {block ::1/128,10.0.0.1/32}"),
    ("acl { / block A net 192.168.0.0/16 / }", "3: unexpected token \"A\"; expect 'type | net'"),
    ("acl { / block type net 192.168.0.0/16 / }", "3: no token specified in \"type\" section"),
    ("acl { / block net type A / }", "3: no token specified in \"net\" section"),
    ("acl { / block type / }", "3: no token specified in \"type\" section"),
    ("acl { / block type A net / }", "3: no token specified in \"net\" section"),
    ("acl { / block net / }", "3: no token specified in \"net\" section"),
    ("acl { / block type type A / }", "3: no token specified in \"type\" section"),
    ("acl { / block type ABC net 192.168.0.0/16 / }", "3: unexpected token \"ABC\"; expect legal QTYPE"),
    ("acl { / block type a / }", "3: unexpected token \"a\"; expect legal QTYPE"),
    ("acl { / block type TYPE65 / }", "3: unexpected token \"TYPE65\"; expect legal QTYPE"),
    ("acl { / block type A,AAAA / }", "3: unexpected token \"A,AAAA\"; expect legal QTYPE"),
    ("acl { / blck type A net 192.168.0.0/16 / }", "3: unexpected token \"blck\"; expect 'allow', 'block', 'filter' or 'drop'"),
    ("acl { / net 10.0.0.0/8 / }", "3: unexpected token \"net\"; expect 'allow', 'block', 'filter' or 'drop'"),
    ("acl { / allow / deny / }", "4: unexpected token \"deny\"; expect 'allow', 'block', 'filter' or 'drop'"),
    ("acl { / block type A net 192.168.0/16 / }", "3: illegal CIDR notation \"192.168.0/16\""),
    ("acl { / block type A net 192.168.0.0/33 / }", "3: illegal CIDR notation \"192.168.0.0/33\""),
    ("acl { / block net 10.0.0.256 / }", "3: illegal CIDR notation \"10.0.0.256\""),
    ("acl { / block net 10.0.0.0/ / }", "3: illegal CIDR notation \"10.0.0.0/\""),
    ("acl { / block net 10.0.0.0/-1 / }", "3: illegal CIDR notation \"10.0.0.0/-1\""),
    ("acl { / block net 10.0.0.0/8/8 / }", "3: illegal CIDR notation \"10.0.0.0/8/8\""),
    ("acl { / block type A net 2001::85a3::8a2e:370:7334 / }", "3: illegal CIDR notation \"2001::85a3::8a2e:370:7334\""),
    ("acl { / block type A net 2001:db8:85a3:::8a2e:370:7334 / }", "3: illegal CIDR notation \"2001:db8:85a3:::8a2e:370:7334\""),
    ("acl { / block net ::/129 / }", "3: illegal CIDR notation \"::/129\""),
    ("acl { / block net fe80::1%eth0 / }", "3: illegal CIDR notation \"fe80::1%eth0\""),
    ("acl { / block net node / }", "3: illegal CIDR notation \"node\""),
    ("acl { / block { / type A / } / }", "3: nested block not allowed: an option has no block of its own"),
];

#[rustfmt::skip]
const ANY: &Rows = &[
    ("any", "= any"),
    ("any / any", "= any"),
    ("any { / }", "= any"),
    ("any x", "2: Wrong argument count or unexpected line ending after 'x'"),
    ("any example.org example.com", "2: Wrong argument count or unexpected line ending after 'example.org'"),
    ("any { / x / }", "3: unknown property 'x'"),
    ("any / any x", "3: Wrong argument count or unexpected line ending after 'x'"),
];

#[rustfmt::skip]
const CHAOS: &Rows = &[
    ("chaos", "= nodelocaldns-0; the authors of nodelocaldns; localhost"),
    ("chaos { / }", "= nodelocaldns-0; the authors of nodelocaldns; localhost"),
    ("chaos v1", "= v1; the authors of nodelocaldns; localhost"),
    ("chaos v1 author", "= v1; author; localhost"),
    ("chaos v1 b a b", "= v1; a, b; localhost"),
    ("chaos \"a version\" \"First Author\"", "= a version; First Author; localhost"),
    ("chaos \"\" author", "= ; author; localhost"),
    ("chaos v1 / chaos v2 author", "= v1; the authors of nodelocaldns; localhost"),
    ("chaos v1 { / unknown / }", "3: unknown property 'unknown'"),
    ("chaos { / version v1 / }", "3: unknown property 'version'"),
    ("chaos v1 / chaos { / unknown / }", "= v1; the authors of nodelocaldns; localhost"),
];

#[rustfmt::skip]
const DNS64: &Rows = &[
    ("dns64", "= 64:ff9b::/96"),
    ("dns64 { / }", "= 64:ff9b::/96"),
    ("dns64 64:dead::/96", "= 64:dead::/96"),
    ("dns64 64:FF9B::/96", "= 64:ff9b::/96"),
    ("dns64 64:ff9b::1.2.3.4/96", "= 64:ff9b::/96"),
    ("dns64 2001:db8:1:2:3:4:5:6/32", "= 2001:db8::/32"),
    ("dns64 2001:db8::/0", "2: invalid prefix length \"2001:db8::/0\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/24", "2: invalid prefix length \"2001:db8::/24\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/31", "2: invalid prefix length \"2001:db8::/31\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/32", "= 2001:db8::/32"),
    ("dns64 2001:db8::/33", "2: invalid prefix length \"2001:db8::/33\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/40", "= 2001:db8::/40"),
    ("dns64 2001:db8::/48", "= 2001:db8::/48"),
    ("dns64 2001:db8::/52", "2: invalid prefix length \"2001:db8::/52\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/56", "= 2001:db8::/56"),
    ("dns64 2001:db8::/64", "= 2001:db8::/64"),
    ("dns64 2001:db8::/72", "2: invalid prefix length \"2001:db8::/72\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/80", "2: invalid prefix length \"2001:db8::/80\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/88", "2: invalid prefix length \"2001:db8::/88\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/96", "= 2001:db8::/96"),
    ("dns64 2001:db8::/104", "2: invalid prefix length \"2001:db8::/104\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/128", "2: invalid prefix length \"2001:db8::/128\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/129", "2: invalid CIDR address: 2001:db8::/129"),
    ("dns64 64:ff9b::", "2: invalid CIDR address: 64:ff9b::"),
    ("dns64 64:ff9b::/x", "2: invalid CIDR address: 64:ff9b::/x"),
    ("dns64 64:ff9b::/-96", "2: invalid CIDR address: 64:ff9b::/-96"),
    ("dns64 64:ff9b::/", "2: invalid CIDR address: 64:ff9b::/"),
    ("dns64 /96", "2: invalid CIDR address: /96"),
    ("dns64 foobar", "2: invalid CIDR address: foobar"),
    ("dns64 10.0.0.0/8", "2: invalid netmask 32 IPv6 address: \"10.0.0.0/8\""),
    ("dns64 10.0.0.0/33", "2: invalid CIDR address: 10.0.0.0/33"),
    ("dns64 ::ffff:10.0.0.0/96", "= ::ffff:0.0.0.0/96"),
    ("dns64 64:ff9b::/96 2001:db8::/96", "2: Wrong argument count or unexpected line ending after '2001:db8::/96'"),
    ("dns64 { / prefix 64:ff9b::/96 / }", "= 64:ff9b::/96"),
    ("dns64 { / prefix 2002:c0a8:a88a::/48 / }", "= 2002:c0a8:a88a::/48"),
    ("dns64 2001:db8::/32 { / prefix 64:ff9b::/40 / }", "= 64:ff9b::/40"),
    ("dns64 { / prefix 2001:db8::/32 / prefix 2001:db8::/40 / }", "= 2001:db8::/40"),
    ("dns64 { / prefix / }", "3: Wrong argument count or unexpected line ending after 'prefix'"),
    ("dns64 { / prefix 64:ff9b::/96 x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("dns64 { / prefix 64:ff9b::/52 / }", "3: invalid prefix length \"64:ff9b::/52\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 { / prefix 8.8.8.8/24 / }", "3: invalid netmask 32 IPv6 address: \"8.8.8.8/24\""),
    ("dns64 { / prefix foobar / }", "3: invalid CIDR address: foobar"),
    ("dns64 { / translate_all / }", "= 64:ff9b::/96 translate_all"),
    ("dns64 { / translate_all yes / }", "3: Wrong argument count or unexpected line ending after 'yes'"),
    ("dns64 { / allow_ipv4 / }", "= 64:ff9b::/96 allow_ipv4"),
    ("dns64 { / allow_ipv4 yes / }", "3: Wrong argument count or unexpected line ending after 'yes'"),
    ("dns64 { / translate_all / allow_ipv4 / prefix 64:ff9b::/64 / }", "= 64:ff9b::/64 translate_all allow_ipv4"),
    ("dns64 64:ff9b::/64 { / allow_ipv4 / }", "= 64:ff9b::/64 allow_ipv4"),
    ("dns64 { / foobar / }", "3: unknown property 'foobar'"),
    ("dns64 { / Prefix 64:ff9b::/96 / }", "3: unknown property 'Prefix'"),
    ("dns64 { / translate_al / }", "3: unknown property 'translate_al'"),
    ("dns64 foobar { / prefix 64:ff9b::/96 / }", "2: invalid CIDR address: foobar"),
    ("dns64 { / allow_ipv4 / prefix 64:ff9b::/52 / }", "4: invalid prefix length \"64:ff9b::/52\"; the lengths of RFC 6052 are 32, 40, 48, 56, 64 and 96"),
    ("dns64 2001:db8::/64 / dns64", "= 2001:db8::/64"),
    ("dns64 { / translate_all / } / dns64 { / allow_ipv4 / }", "= 64:ff9b::/96 translate_all allow_ipv4"),
];

#[rustfmt::skip]
const LOADBALANCE: &Rows = &[
    ("loadbalance", "= round_robin"),
    ("loadbalance { / }", "= round_robin"),
    ("loadbalance round_robin", "= round_robin"),
    ("loadbalance / loadbalance round_robin", "= round_robin"),
    ("loadbalance weighted /weights", "=! /weights 30s"),
    ("loadbalance weighted /weights { / reload 10s / }", "=! /weights 10s"),
    ("loadbalance weighted weights { / reload 1m / }", "=! /weights 60s"),
    ("loadbalance weighted /weights { / reload 0s / }", "2: cannot read the weight file /weights: entity not found"),
    ("loadbalance weighted /weights { / reload 10s / reload 20s / }", "=! /weights 20s"),
    ("loadbalance { / prefer 10.0.0.0/8 / }", "= round_robin 10.0.0.0/8"),
    ("loadbalance round_robin { / prefer 10.0.0.0/8 2001:db8::/32 / prefer 192.0.2.1/32 / }", "= round_robin 10.0.0.0/8,2001:db8::/32,192.0.2.1/32"),
    ("loadbalance weighted /weights { / prefer 10.0.0.0/8 / }", "=! /weights 30s 10.0.0.0/8"),
    ("loadbalance { / prefer 10.1.2.3/8 / }", "= round_robin 10.1.2.3/8"),
    ("loadbalance { / prefer 10.0.0.0/8 / } / loadbalance", "= round_robin 10.0.0.0/8"),
    ("loadbalance fleeb", "2: unknown policy: fleeb"),
    ("loadbalance Round_robin", "2: unknown policy: Round_robin"),
    ("loadbalance round_robin a", "2: unknown property for round_robin"),
    ("loadbalance weighted", "2: missing weight file argument"),
    ("loadbalance weighted a b", "2: unexpected argument(s)"),
    ("loadbalance weighted a b c", "2: unexpected argument(s)"),
    ("loadbalance weighted /weights { / susu / }", "3: unknown property 'susu'"),
    ("loadbalance weighted /weights { / reload / }", "3: Wrong argument count or unexpected line ending after 'reload'"),
    ("loadbalance weighted /weights { / reload a / }", "3: invalid duration for reload: time: invalid duration \"a\""),
    ("loadbalance weighted /weights { / reload 30 / }", "3: invalid duration for reload: time: missing unit in duration \"30\" (a number and one of ns us ms s m h)"),
    ("loadbalance weighted /weights { / reload -1s / }", "3: invalid negative duration for reload '-1s'"),
    ("loadbalance weighted /weights { / reload 30s a / }", "3: Wrong argument count or unexpected line ending after 'a'"),
    ("loadbalance { / reload 1s / }", "3: reload is for the policy weighted only"),
    ("loadbalance round_robin { / reload 1s / }", "3: reload is for the policy weighted only"),
    ("loadbalance { / wibble / }", "3: unknown property 'wibble'"),
    ("loadbalance { / prefers 10.0.0.0/8 / }", "3: unknown property 'prefers'"),
    ("loadbalance { / prefer / }", "3: Wrong argument count or unexpected line ending after 'prefer'"),
    ("loadbalance { / prefer 10.0.0.1 / }", "3: '10.0.0.1' is not a network in CIDR notation, such as 10.0.0.0/8"),
    ("loadbalance { / prefer 10.0.0.0/33 / }", "3: '10.0.0.0/33' is not a network in CIDR notation, such as 10.0.0.0/8"),
    ("loadbalance { / prefer 10.0.0.0/8 ten/8 / }", "3: 'ten/8' is not a network in CIDR notation, such as 10.0.0.0/8"),
    ("loadbalance { / prefer 2001:db8::/129 / }", "3: '2001:db8::/129' is not a network in CIDR notation, such as 10.0.0.0/8"),
    ("loadbalance { / prefer ::1 / }", "3: '::1' is not a network in CIDR notation, such as 10.0.0.0/8"),
    ("loadbalance { / prefer 10.0.0.0/+8 / }", "3: '10.0.0.0/+8' is not a network in CIDR notation, such as 10.0.0.0/8"),
    ("loadbalance fleeb { / prefer x / }", "2: unknown policy: fleeb"),
];

#[rustfmt::skip]
const LOCAL: &Rows = &[
    ("local", "= local"),
    ("local / local", "= local"),
    ("local { / }", "= local"),
    ("local x", "2: Wrong argument count or unexpected line ending after 'x'"),
    ("local localhost_prefix on", "2: Wrong argument count or unexpected line ending after 'localhost_prefix'"),
    ("local { / localhost_prefix on / }", "= local"),
    ("local { / localhost_prefix off / }", "= local, not localhost_prefix"),
    ("local { / localhost_prefix off / localhost_prefix on / }", "= local"),
    ("local { / localhost_prefix off / } / local", "= local, not localhost_prefix"),
    ("local { / localhost_prefix off / } / local { / localhost_prefix on / }", "= local"),
    ("local { / localhost_prefix / }", "3: Wrong argument count or unexpected line ending after 'localhost_prefix'"),
    ("local { / localhost_prefix on off / }", "3: Wrong argument count or unexpected line ending after 'off'"),
    ("local { / localhost_prefix ON / }", "3: localhost_prefix expects 'on' or 'off', got \"ON\""),
    ("local { / localhost_prefix maybe / }", "3: localhost_prefix expects 'on' or 'off', got \"maybe\""),
    ("local { / localhost_prefix on / prefix off / }", "4: unknown property 'prefix'"),
    ("local { / foo / }", "3: unknown property 'foo'"),
    ("local / local x", "3: Wrong argument count or unexpected line ending after 'x'"),
];

#[rustfmt::skip]
const NSID: &Rows = &[
    ("nsid", "= localhost"),
    ("nsid ps0", "= ps0"),
    ("nsid \"ps0\"", "= ps0"),
    ("nsid \"tf 2\"", "= tf 2"),
    ("nsid a  b \"c  d\"", "= a b c  d"),
    ("nsid \"\"", "="),
    ("nsid { / }", "= localhost"),
    ("nsid / nsid", "3: this plugin can only be used once per Server Block"),
    ("nsid a / nsid b", "3: this plugin can only be used once per Server Block"),
    ("nsid { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("nsid a { / x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("nsid xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "= xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("nsid xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "2: an identifier of 256 octets is too long: at most 255"),
    ("nsid xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", "2: an identifier of 256 octets is too long: at most 255"),
];
