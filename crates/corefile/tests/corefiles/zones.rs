//! Keys and the listeners they make.

use super::fake_host::{COREFILE, load, refusal, served};

fn labels(text: &str) -> Vec<String> {
    served(&load(text).unwrap()).into_iter().map(|(label, _)| label).collect()
}

#[test]
fn keys_are_lower_cased_and_absolute_with_port_53_if_they_name_none() {
    let settings = load("EXAMPLE.org dns://b.test:5353 . {\n}\n").unwrap();
    let keys: Vec<_> = settings.blocks[0].keys.iter().map(|key| (key.zone.to_string(), key.port)).collect();
    assert_eq!(keys, [("example.org.".to_owned(), 53), ("b.test.".to_owned(), 5353), (".".to_owned(), 53)]);
}

#[test]
fn networks_are_reverse_zones_several_if_they_end_inside_a_label() {
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
fn keys_that_cannot_be_served_are_told() {
    for (key, reason) in [
        ("https://mycompany.local:4453", "the block 'https://mycompany.local:4453' asks to serve https"),
        ("tls://.", "the block 'tls://.' asks to serve tls"),
        ("a.test:", "expecting data after last colon: \"a.test:\""),
        ("a.test:65536", "port 65536 of 'a.test:65536' is not 1 to 65535"),
        ("a.test:0", "port 0 of 'a.test:0' is not 1 to 65535"),
        ("a..test", "zone is not a valid domain name: a..test (a label is empty)"),
    ] {
        let line = refusal(&format!("{key} {{\n}}\n"));
        assert!(line.starts_with(&format!("{COREFILE}:1 - Error during parsing: {reason}")), "{line}");
    }
    let long = format!("{}.test", "a".repeat(64));
    assert!(refusal(&format!("{long} {{\n}}\n")).contains("a label has more than 63 octets"));
    let long = "a.".repeat(128);
    assert!(refusal(&format!("{long} {{\n}}\n")).contains("it has more than 255 octets"));
}

#[test]
fn an_unusual_zone_is_served_with_a_warning() {
    let settings = load("_tcp.test a-b.1.test {\n}\n").unwrap();
    let warning = format!("{COREFILE}:1 - Domain \"_tcp.test.\" does not follow RFC1035 preferred syntax");
    assert_eq!(settings.warnings, [warning]);
    let forgotten = load("__PILLAR__DNS__DOMAIN__:53 {\n}\n").unwrap();
    assert!(forgotten.warnings[0].contains("'__PILLAR__DNS__DOMAIN__:53' was not replaced"));
}

#[test]
fn there_is_a_listener_for_each_address_and_port() {
    assert_eq!(
        labels("a.test:53 b.test:54 {\n bind 127.0.0.1 ::1\n}\nc.test {\n bind 127.0.0.1\n}\n"),
        ["dns://127.0.0.1:53", "dns://[::1]:53", "dns://127.0.0.1:54", "dns://[::1]:54"]
    );
    let settings = load("a.test {\n bind 127.0.0.1\n}\nb.test {\n bind 127.0.0.1\n}\n").unwrap();
    assert_eq!(settings.listeners.len(), 1);
    let blocks: Vec<usize> = settings.listeners[0].zones.iter().map(|(_, block)| *block).collect();
    assert_eq!(blocks, [0, 1]);
    assert_eq!(settings.listeners[0].addresses, ["127.0.0.1:53".parse().unwrap()]);
}

#[test]
fn a_block_without_bind_listens_on_every_address_of_both_families() {
    let settings = load(".:5353 {\n}\n").unwrap();
    assert_eq!(settings.listeners[0].label, "dns://:5353");
    assert_eq!(
        settings.listeners[0].addresses,
        ["[::]:5353".parse().unwrap(), "0.0.0.0:5353".parse().unwrap()]
    );
}

#[test]
fn a_zone_can_be_served_once_on_an_address() {
    let at = |line: &str| format!("{COREFILE}:{line}");
    assert_eq!(
        refusal(".:5600 {\n bind 127.0.0.9\n}\n.:5600 {\n bind 127.0.0.9\n}\n"),
        at("4 - Error during parsing: cannot serve dns://.:5600 on 127.0.0.9 - it is already defined \
            (/etc/coredns/Corefile:1)")
    );
    assert_eq!(
        refusal("a.test A.TEST {\n}\n"),
        at("1 - Error during parsing: cannot serve dns://a.test.:53 - it is already defined \
            (/etc/coredns/Corefile:1)")
    );
    assert_eq!(
        refusal(".:5600 {\n}\n.:5600 {\n bind 127.0.0.9\n}\n"),
        at("3 - Error during parsing: cannot serve dns://.:5600 on 127.0.0.9 - zone overlap \
            listener capacity with \
            dns://.:5600 (/etc/coredns/Corefile:1): one has a bind and one has none")
    );
    assert!(refusal(".:5600 {\n bind 127.0.0.9\n}\n.:5600 {\n}\n").contains(
        "cannot serve dns://.:5600 - zone overlap listener capacity with dns://.:5600 on 127.0.0.9"
    ));
    load(". {\n bind 127.0.0.1\n}\n. {\n bind 127.0.0.2\n}\na.test {\n}\n.:54 {\n}\n").unwrap();
}

#[test]
fn blocks_that_cache_alike_have_fingerprints_alike_and_no_others() {
    let fingerprint = |text: &str| load(text).unwrap().blocks.remove(0).fingerprint;
    let before = fingerprint(". {\n bind 127.0.0.1\n cache 30\n forward . 192.0.2.1\n}\n");
    for same in [
        ". {\n errors\n log\n bind 127.0.0.1\n cache 30 {\n success 4096\n keepttl\n }\n \
         forward . dns://192.0.2.1:53\n}\n",
        ". {\n bind 127.0.0.1 127.0.0.2\n cache 30\n forward . 192.0.2.1 {\n force_tcp\n }\n}\n",
        ". {\n bind 127.0.0.1\n cache 30 {\n prefetch 1\n serve_stale 1h verify\n authoritative\n }\n \
         forward . 192.0.2.1 192.0.2.1 {\n max_fails 0\n max_connect_attempts 1\n health_check 1s\n \
         failfast_all_unhealthy_upstreams\n policy sequential\n }\n}\n",
    ] {
        assert_eq!(fingerprint(same), before, "{same}");
    }
    for other in [
        ". {\n bind 127.0.0.2\n cache 30\n forward . 192.0.2.1\n}\n",
        "a.test {\n bind 127.0.0.1\n cache 30\n forward . 192.0.2.1\n}\n",
        ". {\n bind 127.0.0.1\n cache 31\n forward . 192.0.2.1\n}\n",
        ". {\n bind 127.0.0.1\n cache 30 a.test\n forward . 192.0.2.1\n}\n",
        ". {\n bind 127.0.0.1\n cache 30 {\n servfail 0\n }\n forward . 192.0.2.1\n}\n",
        ". {\n bind 127.0.0.1\n cache 30 {\n disable denial\n }\n forward . 192.0.2.1\n}\n",
        ". {\n bind 127.0.0.1\n cache 30\n forward . 192.0.2.2\n}\n",
        ". {\n bind 127.0.0.1\n cache 30\n forward . 192.0.2.1 {\n except a.test\n }\n}\n",
        ". {\n bind 127.0.0.1\n cache 30\n forward . 192.0.2.1 {\n failover NXDOMAIN\n }\n}\n",
        ". {\n bind 127.0.0.1\n cache 30\n forward . 192.0.2.1 {\n next NXDOMAIN\n }\n}\n",
        ". {\n bind 127.0.0.1\n cache 30\n forward . 192.0.2.1 {\n next_on_nodata\n }\n}\n",
    ] {
        assert_ne!(fingerprint(other), before, "{other}");
    }
}
