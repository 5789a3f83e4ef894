//! Options of `cache`.

use std::time::Duration;

use resolver::policy::{CacheOptions, Prefetch, ServeStale, ServeStaleMode, StoreOptions};

use super::assertions::{ARGUMENT_COUNT, assert_all_load, assert_all_rejected};
use super::load::{COREFILE, load, load_for, load_lines};

fn cache(lines: &str) -> CacheOptions {
    load_lines(lines).unwrap().blocks.remove(0).cache.unwrap()
}

#[test]
fn cache_defaults_are_those_of_coredns() {
    let policy = cache("cache");
    assert_eq!(policy.zones.iter().map(ToString::to_string).collect::<Vec<_>>(), ["."]);
    let numbers = |store: &StoreOptions| (store.capacity, store.max_ttl, store.min_ttl);
    assert_eq!(numbers(&policy.success), (9984, 3600, 5));
    assert_eq!(numbers(&policy.denial), (9984, 1800, 5));
    assert_eq!((policy.servfail, policy.keep_ttl), (Duration::from_secs(5), false));
}

#[test]
fn stale_on_outage_is_set_by_its_flag() {
    let files = [(COREFILE, ". {\n cache\n}\na.test {\n cache 30 {\n serve_stale\n }\n}\n")];
    for (flag, expected) in [("-stale-on-outage=true", true), ("-stale-on-outage=false", false)] {
        let settings = load_for(&["-conf", COREFILE, flag], &files, &[]).unwrap();
        let caches = settings.blocks.iter().filter_map(|block| block.cache.as_ref());
        let values: Vec<bool> = caches.map(|cache| cache.stale_on_outage).collect();
        assert_eq!(values, [expected; 2]);
    }
}

#[test]
fn cache_accepts_ttls_capacities_and_zones() {
    let policy = cache("cache 30 {\n success 10000 300 10\n denial 100 5 0\n servfail 1m\n keepttl\n}");
    assert_eq!((policy.success.capacity, policy.success.max_ttl, policy.success.min_ttl), (9984, 300, 10));
    assert_eq!((policy.denial.capacity, policy.denial.max_ttl, policy.denial.min_ttl), (1024, 5, 0));
    assert_eq!((policy.servfail, policy.keep_ttl), (Duration::from_secs(60), true));
    let kubernetes = cache("cache {\n success 9984 30\n denial 9984 5\n}");
    assert_eq!((kubernetes.success.max_ttl, kubernetes.denial.max_ttl), (30, 5));
    let short = cache("cache 2");
    assert_eq!((short.success.max_ttl, short.success.min_ttl), (2, 2));
    let zones = cache("cache a.TEST 10.0.0.0/15 {\n disable success b.test\n disable denial\n}");
    let names = |zones: &[wire::name::Name]| zones.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&zones.zones), ["a.test.", "0.10.in-addr.arpa.", "1.10.in-addr.arpa."]);
    assert_eq!(names(&zones.success.disabled), ["b.test."]);
    assert_eq!(names(&zones.denial.disabled), ["."]);
}

#[test]
fn cache_without_zones_applies_to_the_zones_of_its_block() {
    let settings = load("a.test b.test {\n cache 30\n}\n").unwrap();
    let zones = &settings.blocks[0].cache.as_ref().unwrap().zones;
    assert_eq!(zones.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.test.", "b.test."]);
}

#[test]
fn invalid_cache_options_are_rejected() {
    assert_all_load(&[
        "cache 1",
        "cache { }",
        "cache {\n servfail 0\n servfail 5m\n}",
        "cache {\n success -1\n}",
    ]);
    assert_all_rejected(
        "cache",
        &[
            ("cache 0", "cache TTL can not be zero or negative: 0"),
            ("cache -1", "cache TTL can not be zero or negative: -1"),
            ("cache 2147483648", "a TTL of 2147483648 seconds does not fit in 31 bits"),
            ("cache {\n success\n}", &format!("{ARGUMENT_COUNT} 'success'")),
            ("cache {\n success many\n}", "'many' is not a whole number"),
            ("cache {\n denial 100 0\n}", "cache TTL can not be zero or negative: 0"),
            ("cache {\n denial 100 5 -1\n}", "cache min TTL can not be negative: -1"),
            ("cache {\n denial 100 5 1 1\n}", &format!("{ARGUMENT_COUNT} '1'")),
            ("cache {\n servfail\n}", &format!("{ARGUMENT_COUNT} 'servfail'")),
            ("cache {\n servfail 1m 1m\n}", &format!("{ARGUMENT_COUNT} '1m'")),
            ("cache {\n servfail -1s\n}", "invalid negative ttl for servfail"),
            ("cache {\n servfail 5m1s\n}", "caching SERVFAIL responses over 5 minutes is not permitted"),
            ("cache {\n disable\n}", &format!("{ARGUMENT_COUNT} 'disable'")),
            ("cache {\n disable foo\n}", "cache type for disable must be \"success\" or \"denial\""),
            (
                "cache {\n disable denial a..test\n}",
                "zone is not a valid domain name: a..test (a label is empty)",
            ),
            ("cache {\n keepttl yes\n}", &format!("{ARGUMENT_COUNT} 'yes'")),
            ("cache {\n foo\n}", &format!("{ARGUMENT_COUNT} 'foo'")),
            ("cache\ncache", "this plugin can only be used once per Server Block"),
        ],
    );
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn prefetch_options_are_parsed() {
    let prefetch = |option: &str| cache(&format!("cache {{\n prefetch {option}\n}}")).prefetch;
    let popular = |amount, within, percent| Some(Prefetch { amount, duration: seconds(within), percent });
    assert_eq!(cache("cache").prefetch, None);
    for (option, expected) in [
        ("10", popular(10, 60, 10)),
        ("1 10m", popular(1, 600, 10)),
        ("5 10m 10%", popular(5, 600, 10)),
        ("5 0 90%", popular(5, 0, 90)),
        ("0", None),
        ("0 1m 20%", None),
        ("9999999999", popular(u32::MAX, 60, 10)),
    ] {
        assert_eq!(prefetch(option), expected, "{option}");
    }
}

#[test]
fn invalid_prefetch_options_are_rejected() {
    for (option, reason) in [
        ("", format!("{ARGUMENT_COUNT} 'prefetch'")),
        ("1 1m 10% 1", format!("{ARGUMENT_COUNT} '1'")),
        ("many", "'many' is not a whole number".to_owned()),
        ("-1", "prefetch amount should be positive: -1".to_owned()),
        ("0 blurp", "time: invalid duration \"blurp\"".to_owned()),
        ("1 1", "time: missing unit in duration \"1\" (a number and one of ns us ms s m h)".to_owned()),
        ("1 1m 10", "last character of percentage should be `%`, but is: '0'".to_owned()),
        ("1 1m x%", "'x' is not a whole number".to_owned()),
        ("1 1m 9%", "percentage should fall in range [10, 90]: 9".to_owned()),
        ("1 1m 91%", "percentage should fall in range [10, 90]: 91".to_owned()),
    ] {
        let reason = format!(":3 - Error during parsing: {reason}");
        assert_all_rejected("cache", &[(&format!("cache {{\n prefetch {option}\n}}"), &reason)]);
    }
}

fn stale(option: &str) -> Option<ServeStale> {
    cache(&format!("cache {{\n serve_stale {option}\n}}")).serve_stale
}

fn served(duration: u64, mode: ServeStaleMode, ttl: u32, failure_recheck: Duration) -> Option<ServeStale> {
    Some(ServeStale { duration: seconds(duration), mode, ttl, failure_recheck, prefer_positive: false })
}

#[test]
fn serve_stale_options_are_parsed() {
    let never = Duration::ZERO;
    let verify = |millis| ServeStaleMode::Verify(Duration::from_millis(millis));
    let now = ServeStaleMode::Immediate;
    assert_eq!(cache("cache").serve_stale, None);
    for (option, expected) in [
        ("", served(3600, now, 0, never)),
        ("20m", served(1200, now, 0, never)),
        ("1h20m", served(4800, now, 0, never)),
        ("0", None),
        ("0m", None),
        ("0 VERIFY", None),
        ("0 immediate", None),
        ("1h immediate", served(3600, now, 0, never)),
        ("1h Immediate 30s", served(3600, now, 30, never)),
        ("1h immediate 30s 30s", served(3600, now, 30, seconds(30))),
        ("1h immediate 0 0", served(3600, now, 0, never)),
        ("1h immediate 4294967295s", served(3600, now, 2_147_483_647, never)),
        ("1h verify", served(3600, verify(0), 0, never)),
        ("1h verify 0", served(3600, verify(0), 0, never)),
        ("1h verify 0 1m", served(3600, verify(0), 60, never)),
        ("1h verify 100ms", served(3600, verify(100), 0, never)),
        ("1h VERIFY 250ms 30s", served(3600, verify(250), 30, never)),
        ("1h verify 100ms 30s 250ms", served(3600, verify(100), 30, Duration::from_millis(250))),
        ("1h verify 0 0 5m", served(3600, verify(0), 0, seconds(300))),
    ] {
        assert_eq!(stale(option), expected, "{option}");
    }
    let twice = cache("cache {\n serve_stale 1h verify 1s\n serve_stale 2h\n}");
    assert_eq!(twice.serve_stale, served(7200, now, 0, never), "the last option counts as a whole");
}

#[test]
fn invalid_serve_stale_options_are_rejected() {
    for (option, reason) in [
        ("20", "time: missing unit in duration \"20\" (a number and one of ns us ms s m h)"),
        ("aa", "time: invalid duration \"aa\""),
        ("immediate", "time: invalid duration \"immediate\""),
        ("-20m", "invalid negative duration for serve_stale"),
        ("1m nono", "invalid value for serve_stale refresh mode: nono"),
        ("0 After nono", "invalid value for serve_stale refresh mode: after"),
        ("1h immediate 100ms", "serve_stale response TTL must be a whole number of seconds"),
        ("1h immediate 4294967296s", "serve_stale response TTL exceeds the DNS TTL range"),
        ("1h immediate -1s", "invalid negative response TTL for serve_stale"),
        ("1h immediate garbage", "invalid serve_stale response TTL: time: invalid duration \"garbage\""),
        ("1h immediate 30s extra", "invalid serve_stale failure recheck: time: invalid duration \"extra\""),
        ("1h immediate 30s -1s", "invalid negative failure recheck for serve_stale"),
        ("1h immediate 30s 5m1s", "serve_stale failure recheck cannot exceed 5 minutes"),
        ("1h verify -1ms", "invalid negative timeout for serve_stale verify"),
        ("1h verify garbage", "invalid serve_stale verify timeout: time: invalid duration \"garbage\""),
        ("1h verify 100ms 500ms", "serve_stale response TTL must be a whole number of seconds"),
        ("1h verify 100ms -1s", "invalid negative response TTL for serve_stale"),
        ("1h verify 100ms 30s -1s", "invalid negative failure recheck for serve_stale"),
        ("1h immediate 30s 30s extra", "Wrong argument count or unexpected line ending after 'extra'"),
        ("1h verify 100ms 30s 30s extra", "Wrong argument count or unexpected line ending after 'extra'"),
    ] {
        let reason = format!(":3 - Error during parsing: {reason}");
        assert_all_rejected("cache", &[(&format!("cache {{\n serve_stale {option}\n}}"), &reason)]);
    }
}

#[test]
fn serve_stale_policy_requires_serve_stale() {
    let prefers = |options: &str| {
        cache(&format!("cache {{\n {options}\n}}")).serve_stale.is_some_and(|stale| stale.prefer_positive)
    };
    assert!(prefers("serve_stale\n serve_stale_policy prefer_positive"));
    assert!(prefers("serve_stale_policy PREFER_POSITIVE\n serve_stale 1h verify"));
    assert!(!prefers("serve_stale"));
    assert!(!prefers("serve_stale 0\n serve_stale_policy prefer_positive"));
    let miscount = |word: &str| format!(":4 - Error during parsing: {ARGUMENT_COUNT} '{word}'");
    for (options, reason) in [
        (
            "serve_stale_policy prefer_positive",
            ":3 - Error during parsing: serve_stale_policy requires serve_stale".to_owned(),
        ),
        ("serve_stale\n serve_stale_policy", miscount("serve_stale_policy")),
        ("serve_stale\n serve_stale_policy prefer_positive extra", miscount("extra")),
        (
            "serve_stale\n serve_stale_policy invalid",
            ":4 - Error during parsing: invalid serve_stale_policy: invalid".to_owned(),
        ),
        (
            "serve_stale\n serve_stale_policy prefer_positive\n serve_stale_policy prefer_positive",
            ":5 - Error during parsing: serve_stale_policy can only be specified once".to_owned(),
        ),
    ] {
        assert_all_rejected("cache", &[(&format!("cache {{\n {options}\n}}"), &reason)]);
    }
}

#[test]
fn authoritative_option_of_cache_is_parsed() {
    assert!(!cache("cache").authoritative);
    assert!(cache("cache {\n authoritative\n}").authoritative);
    let reason = format!(":3 - Error during parsing: {ARGUMENT_COUNT} 'yes'");
    assert_all_rejected("cache", &[("cache {\n authoritative yes\n}", &reason)]);
}
