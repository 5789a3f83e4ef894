//! The ConfigMap of kube-dns in a template.

use corefile::Settings;
use corefile::settings::Block;
use resolver::policy::TransportPreference;

use super::load::{BASE, COREFILE, load_for, served};

const TEMPLATE: &str = "cluster.local:53 {\n    bind __PILLAR__LOCAL__DNS__\n    forward . 10.96.0.11\n}\n\
                        .:53 {\n    bind __PILLAR__LOCAL__DNS__\n    forward . __PILLAR__UPSTREAM__SERVERS__ {\n            \
                        force_tcp\n    }\n}\n";
const STUB_DOMAINS: &str = "/etc/kube-dns/stubDomains";
const UPSTREAMS: &str = "/etc/kube-dns/upstreamNameservers";

fn load(files: &[(&str, &str)]) -> Result<Settings, corefile::ConfigErrors> {
    load_for(&["-localip", "169.254.20.10,10.96.0.10"], &[&[(BASE, TEMPLATE)], files].concat(), &[])
}

/// The upstreams of the block of a zone.
fn upstreams(settings: &Settings, zone: &str) -> Vec<String> {
    let is_zone = |block: &&Block| block.keys.iter().any(|key| key.zone.to_string() == zone);
    let block = settings.blocks.iter().find(is_zone).unwrap();
    let forward = block.forwards.first().unwrap();
    forward.upstreams.iter().map(ToString::to_string).collect()
}

fn forces_tcp(block: &Block) -> bool {
    block.forwards.iter().any(|forward| forward.options.transport == TransportPreference::ForceTcp)
}

#[test]
fn each_stub_domain_is_a_server_block_on_all_local_addresses() {
    let json = r#"{"acme.local": ["192.0.2.1", "192.0.2.2:5353"], "b.example": ["2001:db8::1"]}"#;
    let settings = load(&[(STUB_DOMAINS, json)]).unwrap();
    let zones = ["cluster.local.", ".", "acme.local.", "b.example."].map(str::to_owned).to_vec();
    for (label, served) in served(&settings) {
        assert!(zones.iter().all(|zone| served.contains(zone)), "{label}: {served:?}");
    }
    assert_eq!(served(&settings).len(), 2);
    assert_eq!(upstreams(&settings, "acme.local."), ["192.0.2.1:53", "192.0.2.2:5353"]);
    assert_eq!(upstreams(&settings, "b.example."), ["[2001:db8::1]:53"]);
    assert_eq!(upstreams(&settings, "."), ["192.0.2.1:53"], "of resolv.conf");
    let block = &settings.blocks[2];
    assert_eq!(block.directives, ["errors", "cache", "forward", "bind"]);
    assert!(!forces_tcp(block) && settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn upstream_nameservers_replace_those_of_the_node_and_force_tcp() {
    let json = r#"["192.0.2.7", "192.0.2.8:5353", "[2001:db8::8]:54"]"#;
    let settings = load(&[(UPSTREAMS, json)]).unwrap();
    assert_eq!(upstreams(&settings, "."), ["192.0.2.7:53", "192.0.2.8:5353", "[2001:db8::8]:54"]);
    assert!(!forces_tcp(&settings.blocks[1]));
    for none in ["[]", "null"] {
        let settings = load(&[(UPSTREAMS, none), (STUB_DOMAINS, "null")]).unwrap();
        assert_eq!(upstreams(&settings, "."), ["192.0.2.1:53"], "{none}");
        assert!(forces_tcp(&settings.blocks[1]), "{none}");
    }
}

#[test]
fn the_flag_names_another_directory_which_may_be_empty() {
    let args = ["-kubednscm", "/etc/other"];
    let files = [(BASE, TEMPLATE), ("/etc/other/upstreamNameservers", r#"["192.0.2.7"]"#)];
    assert_eq!(upstreams(&load_for(&args, &files, &[]).unwrap(), "."), ["192.0.2.7:53"]);
    let files = [(BASE, TEMPLATE), (UPSTREAMS, r#"["192.0.2.7"]"#)];
    assert_eq!(upstreams(&load_for(&args, &files, &[]).unwrap(), "."), ["192.0.2.1:53"]);
}

#[test]
fn invalid_entries_are_rejected_with_the_file() {
    for (key, json, reason) in [
        (STUB_DOMAINS, "", "stubDomains:1 - invalid JSON: EOF"),
        (STUB_DOMAINS, "{\n\"a.test\": [\"192.0.2.1\",]}", "stubDomains:2 - invalid JSON: trailing comma"),
        (STUB_DOMAINS, "[]", "stubDomains: not an object"),
        (STUB_DOMAINS, r#"{"a.test": "192.0.2.1"}"#, "stubDomains: a.test: not a list of strings"),
        (STUB_DOMAINS, r#"{"a.test": [1]}"#, "stubDomains: a.test: not a string: 1"),
        (STUB_DOMAINS, r#"{"a.test": []}"#, "stubDomains: a.test has no server"),
        (STUB_DOMAINS, r#"{"": ["192.0.2.1"]}"#, "stubDomains: invalid domain name: \"\""),
        (STUB_DOMAINS, r#"{"A.test": ["192.0.2.1"]}"#, "invalid domain name: \"A.test\""),
        (STUB_DOMAINS, r#"{"a.test.": ["192.0.2.1"]}"#, "invalid domain name: \"a.test.\""),
        (STUB_DOMAINS, r#"{"-a.test": ["192.0.2.1"]}"#, "invalid domain name: \"-a.test\""),
        (STUB_DOMAINS, r#"{"a.test {": ["192.0.2.1"]}"#, "invalid domain name: \"a.test {\""),
        (STUB_DOMAINS, r#"{"a.test": ["192.0.2.1 {"]}"#, "a.test: invalid nameserver: \"192.0.2.1 {\""),
        (STUB_DOMAINS, r#"{"a.test": [""]}"#, "a.test: invalid nameserver: \"\""),
        (STUB_DOMAINS, r#"{"a.test": ["host"]}"#, "stubDomains (as server blocks):5 - "),
        (STUB_DOMAINS, r#"{"cluster.local": ["192.0.2.1"]}"#, "already defined"),
        (UPSTREAMS, "{}", "upstreamNameservers: not a list of strings"),
        (UPSTREAMS, r#"["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]"#, "more than 3 entries"),
        (UPSTREAMS, r#"["tls://1.1.1.1"]"#, "invalid nameserver: \"tls://1.1.1.1\""),
        (UPSTREAMS, r#"["1.1.1.1:0"]"#, "invalid nameserver: \"1.1.1.1:0\""),
        (UPSTREAMS, r#"["1.1.1.1 {"]"#, "invalid nameserver: \"1.1.1.1 {\""),
    ] {
        let error = load(&[(key, json)]).unwrap_err().to_string();
        assert!(error.contains(key) || error.contains("already defined"), "{json}: {error}");
        assert!(error.contains(reason), "{json}: {error}");
    }
}

/// Without a template node-cache reads the Corefile of `-conf` as it is.
#[test]
fn without_a_template_the_config_map_has_no_effect_but_a_warning() {
    let files = [(COREFILE, ". {\n}\n"), (STUB_DOMAINS, r#"{"a.test": ["192.0.2.1"]}"#)];
    let settings = load_for(&["-conf", COREFILE], &files, &[]).unwrap();
    assert_eq!(settings.blocks.len(), 1);
    assert!(
        settings.warnings[0].starts_with("/etc/kube-dns/stubDomains is not used"),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn the_hash_changes_with_the_config_map() {
    let hash = |json: &str| load(&[(STUB_DOMAINS, json)]).unwrap().hash;
    let before = hash("{}");
    assert_eq!(hash(" { } "), before);
    assert_ne!(hash(r#"{"a.test": ["192.0.2.1"]}"#), before);
}
