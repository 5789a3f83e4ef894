//! Keys of server blocks: zones, networks, ports.

use super::load::{COREFILE, first_error_line, load, served};

#[test]
fn keys_are_lower_cased_absolute_and_have_port_53_by_default() {
    let settings = load("EXAMPLE.org dns://b.test:5353 . {\n}\n").unwrap();
    let keys: Vec<_> = settings.blocks[0].keys.iter().map(|key| (key.zone.to_string(), key.port)).collect();
    assert_eq!(keys, [("example.org.".to_owned(), 53), ("b.test.".to_owned(), 5353), (".".to_owned(), 53)]);
}

#[test]
fn networks_become_one_or_several_reverse_zones() {
    let settings = load("10.0.0.0/15 2001:db8::/32:54 {\n errors\n}\n").unwrap();
    assert_eq!(
        served(&settings),
        [
            ("dns://:53".to_owned(), vec!["0.10.in-addr.arpa.".to_owned(), "1.10.in-addr.arpa.".to_owned()]),
            ("dns://:54".to_owned(), vec!["8.b.d.0.1.0.0.2.ip6.arpa.".to_owned()]),
        ]
    );
    let half = load("192.168.1.0/25 {\n}\n").unwrap();
    let zones = &half.listeners[0].zones;
    assert_eq!(zones.len(), 128);
    assert_eq!(zones[127].0.to_string(), "127.1.168.192.in-addr.arpa.");
}

#[test]
fn invalid_keys_are_rejected() {
    for (key, reason) in [
        ("https://mycompany.local:4453", "the key 'https://mycompany.local:4453' requests https"),
        ("tls://.", "the key 'tls://.' requests tls"),
        ("a.test:", "expecting data after last colon: \"a.test:\""),
        ("a.test:65536", "port 65536 of 'a.test:65536' is not 1 to 65535"),
        ("a.test:0", "port 0 of 'a.test:0' is not 1 to 65535"),
        ("a..test", "zone is not a valid domain name: a..test (a label is empty)"),
    ] {
        let line = first_error_line(&format!("{key} {{\n}}\n"));
        assert!(line.starts_with(&format!("{COREFILE}:1 - Error during parsing: {reason}")), "{line}");
    }
    let long = format!("{}.test", "a".repeat(64));
    assert!(first_error_line(&format!("{long} {{\n}}\n")).contains("a label has more than 63 octets"));
    let long = "a.".repeat(128);
    assert!(first_error_line(&format!("{long} {{\n}}\n")).contains("it has more than 255 octets"));
}

#[test]
fn unusual_zones_cause_a_warning() {
    let settings = load("_tcp.test a-b.1.test {\n}\n").unwrap();
    let warning = format!("{COREFILE}:1 - Domain \"_tcp.test.\" does not follow RFC1035 preferred syntax");
    assert_eq!(settings.warnings, [warning]);
    let forgotten = load("__PILLAR__DNS__DOMAIN__:53 {\n}\n").unwrap();
    assert!(forgotten.warnings[0].contains("'__PILLAR__DNS__DOMAIN__:53' was not replaced"));
}
