//! Fingerprints of server blocks.

use super::load::load;

#[test]
fn fingerprints_are_equal_exactly_when_cache_entries_stay_valid() {
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
