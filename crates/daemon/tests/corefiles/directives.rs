//! What cache, errors, forward, log and reload take, and what they refuse.

use std::time::Duration;

use daemon::config::settings::{Consolidate, Forward, LogClasses, Reload, Timeouts};
use resolver::policy::{CachePolicy, Order, TransportRule};
use tracing::Level;

use super::machine::{COREFILE, Machine, first_line, flags, load, load_lines, no_environment};

/// Each of these lines loads.
fn all_load(lines: &[&str]) {
    for line in lines {
        load_lines(line).unwrap();
    }
}

/// Each of these lines is refused, in the name of the directive, with a reason that ends so.
fn all_refused(plugin: &str, refused: &[(&str, &str)]) {
    for (lines, reason) in refused {
        let line = first_line(load_lines(lines));
        assert!(line.starts_with(&format!("plugin/{plugin}: {COREFILE}:")), "{lines:?}: {line}");
        assert!(line.ends_with(reason), "{lines:?}: {line}");
    }
}

const MISCOUNT: &str = "Wrong argument count or unexpected line ending after";

fn cache(lines: &str) -> CachePolicy {
    load_lines(lines).unwrap().blocks.remove(0).cache.unwrap()
}

#[test]
fn cache_has_the_defaults_of_coredns() {
    let policy = cache("cache");
    assert_eq!(policy.zones.iter().map(ToString::to_string).collect::<Vec<_>>(), ["."]);
    let numbers = |store: &resolver::policy::StorePolicy| (store.capacity, store.max_ttl, store.min_ttl);
    assert_eq!(numbers(&policy.success), (9984, 3600, 5));
    assert_eq!(numbers(&policy.denial), (9984, 1800, 5));
    assert_eq!((policy.servfail, policy.keep_ttl), (Duration::from_secs(5), false));
}

#[test]
fn cache_takes_lives_capacities_and_zones() {
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
fn cache_without_zones_keeps_those_of_its_block() {
    let settings = load("a.test b.test {\n cache 30\n}\n").unwrap();
    let zones = &settings.blocks[0].cache.as_ref().unwrap().zones;
    assert_eq!(zones.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a.test.", "b.test."]);
}

#[test]
fn cache_refuses() {
    all_load(&["cache 1", "cache { }", "cache {\n servfail 0\n servfail 5m\n}", "cache {\n success -1\n}"]);
    all_refused(
        "cache",
        &[
            ("cache 0", "cache TTL can not be zero or negative: 0"),
            ("cache -1", "cache TTL can not be zero or negative: -1"),
            ("cache 2147483648", "a TTL of 2147483648 seconds does not fit in 31 bits"),
            ("cache {\n success\n}", &format!("{MISCOUNT} 'success'")),
            ("cache {\n success many\n}", "'many' is not a whole number"),
            ("cache {\n denial 100 0\n}", "cache TTL can not be zero or negative: 0"),
            ("cache {\n denial 100 5 -1\n}", "cache min TTL can not be negative: -1"),
            ("cache {\n denial 100 5 1 1\n}", &format!("{MISCOUNT} '1'")),
            ("cache {\n servfail\n}", &format!("{MISCOUNT} 'servfail'")),
            ("cache {\n servfail 1m 1m\n}", &format!("{MISCOUNT} '1m'")),
            ("cache {\n servfail -1s\n}", "the duration \"-1s\" is negative"),
            ("cache {\n servfail 5m1s\n}", "caching SERVFAIL responses over 5 minutes is not permitted"),
            ("cache {\n disable\n}", &format!("{MISCOUNT} 'disable'")),
            ("cache {\n disable foo\n}", "cache type for disable must be \"success\" or \"denial\""),
            (
                "cache {\n disable denial a..test\n}",
                "zone is not a valid domain name: a..test (a label is empty)",
            ),
            ("cache {\n keepttl yes\n}", &format!("{MISCOUNT} 'yes'")),
            ("cache {\n foo\n}", &format!("{MISCOUNT} 'foo'")),
            ("cache\ncache", "this plugin can only be used once per Server Block"),
        ],
    );
}

#[test]
fn cache_checks_prefetch_and_serve_stale_before_it_says_that_they_are_missing() {
    all_refused(
        "cache",
        &[
            (
                "cache {\n prefetch 10 1m 10%\n}",
                ":3 - Error during parsing: option 'prefetch' is not supported by nodelocaldns yet",
            ),
            ("cache {\n prefetch\n}", &format!("{MISCOUNT} 'prefetch'")),
            ("cache {\n prefetch -1\n}", "prefetch amount should be positive: -1"),
            (
                "cache {\n prefetch 1 1\n}",
                "time: missing unit in duration \"1\" (a number and one of ns us ms s m h)",
            ),
            (
                "cache {\n prefetch 1 1m 10\n}",
                "last character of percentage should be `%`, but '10' has none",
            ),
            ("cache {\n prefetch 1 1m 9%\n}", "percentage should fall in range [10, 90]: 9"),
            ("cache {\n serve_stale\n}", "option 'serve_stale' is not supported by nodelocaldns yet"),
            (
                "cache {\n serve_stale 1h VERIFY 500ms 5s 10s\n}",
                "option 'serve_stale' is not supported by nodelocaldns yet",
            ),
            ("cache {\n serve_stale -1h\n}", "the duration \"-1h\" is negative"),
            ("cache {\n serve_stale 1h later\n}", "invalid value for serve_stale refresh mode: later"),
            ("cache {\n serve_stale 1h immediate 5s 5s 5s\n}", &format!("{MISCOUNT} '5s'")),
            (
                "cache {\n serve_stale_policy prefer_positive\n}",
                "option 'serve_stale_policy' is not supported by nodelocaldns yet",
            ),
        ],
    );
}

fn forward(lines: &str) -> Forward {
    load_lines(lines).unwrap().blocks.remove(0).forwards.remove(0)
}

fn upstreams(to: &str) -> Vec<String> {
    forward(&format!("forward . {to}")).upstreams.iter().map(ToString::to_string).collect()
}

#[test]
fn forward_takes_addresses_and_files() {
    for (to, expected) in [
        ("192.0.2.1", &["192.0.2.1:53"][..]),
        (
            "192.0.2.1:5353 [2001:db8::1]:54 2001:db8::2",
            &["192.0.2.1:5353", "[2001:db8::1]:54", "[2001:db8::2]:53"],
        ),
        ("dns://192.0.2.1 dns://[2001:db8::1]:54", &["192.0.2.1:53", "[2001:db8::1]:54"]),
        ("192.0.2.1 192.0.2.1:53 192.0.2.1:54", &["192.0.2.1:53", "192.0.2.1:54"]),
        ("fe80::1%eth0", &["[fe80::1%2]:53"]),
        ("/etc/resolv.conf", &["192.0.2.1:53"]),
        ("/etc/resolv.conf 192.0.2.2", &["192.0.2.1:53", "192.0.2.2:53"]),
    ] {
        assert_eq!(upstreams(to), expected, "{to}");
    }
}

#[test]
fn only_nameserver_lines_of_a_file_count() {
    let text = "# nameserver 192.0.2.99\n\tnameserver\t192.0.2.1 # first\nnameserver fe80::1%eth0\n\
                options ndots:5\n\
                nameserver bogus\nnameserver\n";
    let corefile = ". {\n forward . /run/resolv.conf\n}\n";
    let machine = Machine::with(&[(COREFILE, corefile), ("/run/resolv.conf", text)]);
    let settings = daemon::config::load(&flags(&["-conf", COREFILE]), &no_environment(), &machine).unwrap();
    assert_eq!(
        settings.blocks[0].forwards[0].upstreams,
        ["192.0.2.1:53".parse().unwrap(), "[fe80::1]:53".parse().unwrap()]
    );
    assert!(settings.warnings[0].contains("\"bogus\""), "{:?}", settings.warnings);
}

#[test]
fn forward_takes_its_options() {
    let plain = forward("forward a.TEST 192.0.2.1");
    assert_eq!(plain.from.to_string(), "a.test.");
    assert_eq!(
        (plain.order, plain.transport, plain.max_concurrent),
        (Order::Random, TransportRule::AsClient, 0)
    );
    assert_eq!(
        (plain.read_timeout, plain.carriage.expire),
        (Duration::from_secs(2), Duration::from_secs(10))
    );
    let full = forward(
        "forward . 192.0.2.1 {\n except a.test 10.0.0.0/8\n except b.test\n force_tcp\n prefer_udp\n \
         policy round_robin\n \
         max_concurrent 1000\n read_timeout 500ms\n expire 1m\n}",
    );
    let except: Vec<String> = full.except.iter().map(ToString::to_string).collect();
    assert_eq!(except, ["a.test.", "10.in-addr.arpa.", "b.test."]);
    assert_eq!((full.order, full.transport), (Order::RoundRobin, TransportRule::ForceTcp));
    assert_eq!((full.max_concurrent, full.read_timeout), (1000, Duration::from_millis(500)));
    assert_eq!(full.carriage.expire, Duration::from_secs(60));
    assert_eq!(
        forward("forward . ::1 {\n prefer_udp\n policy sequential\n}").transport,
        TransportRule::PreferUdp
    );
}

#[test]
fn forwards_stay_in_the_order_of_the_file_and_a_split_network_counts_once() {
    let settings = load_lines("forward b.test ::1\nforward a.test ::2\nforward 10.0.0.0/15 ::3").unwrap();
    let zones: Vec<String> =
        settings.blocks[0].forwards.iter().map(|forward| forward.from.to_string()).collect();
    assert_eq!(zones, ["b.test.", "a.test.", "0.10.in-addr.arpa."]);
    assert!(
        settings.warnings[0].contains("'10.0.0.0/15' expands to multiple zones"),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn forward_refuses() {
    let sixteen = format!("forward . {}", (1..=16).map(|n| format!("192.0.2.{n} ")).collect::<String>());
    all_refused(
        "forward",
        &[
            ("forward", &format!("{MISCOUNT} 'forward'")),
            ("forward .", &format!("{MISCOUNT} '.'")),
            ("forward . foo.example", "not an IP address or file: \"foo.example\""),
            ("forward . /no/such.conf", "cannot read the upstreams from \"/no/such.conf\": entity not found"),
            ("forward . 192.0.2.1:0", "the port of \"192.0.2.1:0\" is not 1 to 65535"),
            ("forward . 192.0.2.1:dns", "the port of \"192.0.2.1:dns\" is not 1 to 65535"),
            ("forward . dns://", "invalid address: \"dns://\""),
            (
                "forward . tls://192.0.2.1",
                "tls:// upstreams are not supported by nodelocaldns yet: tls://192.0.2.1",
            ),
            (
                "forward . https://192.0.2.1",
                "https:// upstreams are not supported by nodelocaldns yet: https://192.0.2.1",
            ),
            (&sixteen, "more than 15 TOs configured: 16"),
            ("forward . ::1 {\n force_tcp yes\n}", &format!("{MISCOUNT} 'yes'")),
            ("forward . ::1 {\n except\n}", &format!("{MISCOUNT} 'except'")),
            ("forward . ::1 {\n policy\n}", &format!("{MISCOUNT} 'policy'")),
            ("forward . ::1 {\n policy best\n}", "unknown policy 'best'"),
            ("forward . ::1 {\n max_concurrent -1\n}", "max_concurrent can't be negative: -1"),
            ("forward . ::1 {\n max_concurrent many\n}", "'many' is not a whole number"),
            ("forward . ::1 {\n expire -1s\n}", "the duration \"-1s\" is negative"),
            (
                "forward . ::1 {\n expire 10\n}",
                "time: missing unit in duration \"10\" (a number and one of ns us ms s m h)",
            ),
            ("forward . ::1 {\n read_timeout 0s\n}", "read_timeout must be greater than 0"),
            ("forward . ::1 {\n blah\n}", "unknown property 'blah'"),
        ],
    );
    for option in [
        "max_fails",
        "health_check",
        "tls",
        "tls_servername",
        "next",
        "failover",
        "failfast_all_unhealthy_upstreams",
        "max_connect_attempts",
        "max_age",
        "max_idle_conns",
        "source_address",
        "resolver",
        "doh_method",
        "next_on_nodata",
    ] {
        let reason =
            format!(":3 - Error during parsing: option '{option}' is not supported by nodelocaldns yet");
        all_refused("forward", &[(&format!("forward . ::1 {{\n {option} 1\n}}"), &reason)]);
    }
}

#[test]
fn a_file_without_nameservers_gives_nothing_and_alone_is_refused() {
    let load = |corefile: &str| {
        let machine = Machine::with(&[(COREFILE, corefile), ("/run/empty", "search a.test\n")]);
        daemon::config::load(&flags(&["-conf", COREFILE]), &no_environment(), &machine)
    };
    let line = first_line(load(". {\n forward . /run/empty\n}\n"));
    assert!(line.ends_with("no nameservers found"), "{line}");
    let settings = load(". {\n forward . /run/empty ::1\n}\n").unwrap();
    assert_eq!(settings.blocks[0].forwards[0].upstreams.len(), 1);
    assert!(settings.warnings[0].ends_with("/run/empty names no nameserver"), "{:?}", settings.warnings);
}

fn consolidate(option: &str) -> Consolidate {
    let lines = format!("errors {{\n consolidate {option}\n}}");
    load_lines(&lines).unwrap().blocks.remove(0).errors.unwrap().consolidate.remove(0)
}

#[test]
fn errors_takes_patterns_with_a_level() {
    let elastisys = consolidate("5m \".* i/o timeout$\" warning");
    assert!(elastisys.pattern.is_match("read udp 10.0.0.1:53: i/o timeout"));
    assert_eq!((elastisys.period, elastisys.level), (Duration::from_secs(300), Level::WARN));
    assert!(!elastisys.show_first);
    assert_eq!(consolidate("30s ^dial").level, Level::ERROR);
    assert!(consolidate("30s ^dial show_first").show_first);
    let both = consolidate("30s ^dial debug show_first");
    assert_eq!((both.level, both.show_first), (Level::DEBUG, true));
    let errors =
        load_lines("errors stdout {\n stacktrace\n consolidate 1s a info\n consolidate 1s b\n}").unwrap();
    let errors = errors.blocks[0].errors.as_ref().unwrap();
    assert!(errors.stacktrace);
    assert_eq!(errors.consolidate.iter().map(|c| c.pattern.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(load_lines("log").unwrap().blocks[0].errors.is_none());
}

#[test]
fn errors_refuses() {
    let long = format!("errors {{\n consolidate 1m {}\n}}", "a".repeat(10_001));
    all_refused(
        "errors",
        &[
            ("errors stdout stdout", &format!("{MISCOUNT} 'stdout'")),
            ("errors errors.txt", "invalid log file: errors.txt"),
            ("errors {\n consolidate\n}", &format!("{MISCOUNT} 'consolidate'")),
            ("errors {\n consolidate 1m\n}", &format!("{MISCOUNT} '1m'")),
            ("errors {\n consolidate 0 a b c d\n}", &format!("{MISCOUNT} 'd'")),
            ("errors {\n consolidate 1m a info debug\n}", &format!("{MISCOUNT} 'debug'")),
            ("errors {\n consolidate bad ^a\n}", "time: invalid duration \"bad\""),
            ("errors {\n consolidate 1m a fatal\n}", "unknown log level argument in consolidate: fatal"),
            (&long, "regex pattern too long: 10001 > 10000"),
            ("errors {\n stacktrace x\n}", &format!("{MISCOUNT} 'x'")),
            ("errors {\n bogus\n}", "Syntax error: Unexpected token 'bogus', expecting 'consolidate'"),
            ("errors\nerrors", "this plugin can only be used once per Server Block"),
        ],
    );
    let line = first_line(load_lines("errors {\n consolidate 1m ()(\n}"));
    assert!(line.contains("error parsing regexp"), "{line}");
}

#[test]
fn log_takes_names_a_format_and_classes() {
    const COMMON: &str = "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" \
                          {rcode} {>rflags} {rsize} {duration}";
    let rules = |lines: &str| {
        let rules = load_lines(lines).unwrap().blocks.remove(0).log;
        rules.into_iter().map(|rule| (rule.zone.to_string(), rule.format)).collect::<Vec<_>>()
    };
    let rule = |zone: &str, format: &str| (zone.to_owned(), format.to_owned());
    assert_eq!(rules("log"), [rule(".", COMMON)]);
    assert_eq!(rules("log A.test"), [rule("a.test.", COMMON)]);
    assert_eq!(rules("log a.test b.test"), [rule("a.test.", COMMON), rule("b.test.", COMMON)]);
    assert_eq!(rules("log a.test {common}"), [rule("a.test.", COMMON)]);
    assert_eq!(rules("log . {combined}"), [rule(".", &format!("{COMMON} \"{{>opcode}}\""))]);
    assert_eq!(rules("log . \"{name} {rcode}\""), [rule(".", "{name} {rcode}")]);
    assert_eq!(rules("log a.test\nlog b.test"), [rule("a.test.", COMMON), rule("b.test.", COMMON)]);
    let classes = |lines: &str| load_lines(lines).unwrap().blocks[0].log[0].classes;
    let only = |success, denial, error| LogClasses { success, denial, error };
    assert_eq!(classes("log"), only(true, true, true));
    assert_eq!(classes("log . {combined} {\n class error\n}"), only(false, false, true));
    assert_eq!(classes("log {\n class denial success\n}"), only(true, true, false));
    assert_eq!(classes("log {\n class denial\n class all\n}"), only(true, true, true));
}

#[test]
fn log_refuses_and_warns() {
    all_refused(
        "log",
        &[
            ("log {\n class\n}", &format!("{MISCOUNT} 'class'")),
            ("log {\n class abracadabra\n}", "invalid Class: abracadabra"),
            ("log {\n unknown\n}", &format!("{MISCOUNT} 'unknown'")),
        ],
    );
    let warnings = load_lines("log {combined}").unwrap().warnings;
    assert!(warnings[0].contains("log takes '{combined}' for a name"), "{warnings:?}");
}

#[test]
fn reload_has_an_interval_and_a_jitter() {
    let reload = |lines: &str| load_lines(lines).unwrap().reload.unwrap();
    let seconds = |interval, jitter| Reload {
        interval: Duration::from_secs(interval),
        jitter: Duration::from_millis(jitter),
    };
    assert_eq!(reload("reload"), seconds(30, 15_000));
    assert_eq!(reload("reload 10s"), seconds(10, 5_000));
    assert_eq!(reload("reload 10s 2s"), seconds(10, 2_000));
    assert_eq!(reload("reload 2s"), seconds(2, 1_000));
    assert_eq!(reload("reload 2s 0s"), seconds(2, 0));
    assert_eq!(reload("reload 10s\nreload 20s"), seconds(10, 5_000));
    assert!(load_lines("errors").unwrap().reload.is_none());
    all_refused(
        "reload",
        &[
            ("reload foo", "time: invalid duration \"foo\""),
            ("reload 10s foo", "time: invalid duration \"foo\""),
            ("reload 10s 5s 5s", &format!("{MISCOUNT} '5s'")),
            ("reload 1s", "interval value must be greater or equal to 2s"),
            ("reload 0s", "interval value must be greater or equal to 2s"),
            ("reload 3s 0.5s", "jitter value must be 0 or greater or equal to 1s"),
            ("reload {\n x\n}", &format!("{MISCOUNT} 'x'")),
        ],
    );
}

#[test]
fn bufsize_takes_512_to_4096_and_the_first_counts() {
    let bufsize = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).bufsize;
    assert_eq!(bufsize("errors"), None);
    for (lines, octets) in
        [("bufsize", 1232), ("bufsize 512", 512), ("bufsize 4096", 4096), ("bufsize 1400\nbufsize 600", 1400)]
    {
        assert_eq!(bufsize(lines), Some(octets), "{lines}");
    }
    let refused = [
        ("bufsize 511", "must be within 512 - 4096"),
        ("bufsize 4097", "must be within 512 - 4096"),
        ("bufsize -1", "must be within 512 - 4096"),
        ("bufsize 70000", "must be within 512 - 4096"),
        ("bufsize many", "is not a whole number"),
    ];
    all_refused("bufsize", &refused);
    assert!(first_line(load_lines("bufsize 512 600")).contains(MISCOUNT));
}

/// The `timeouts` of the first listener.
fn timeouts(corefile: &str) -> Timeouts {
    load(corefile).unwrap().listeners.remove(0).timeouts
}

#[test]
fn timeouts_take_durations_bare_seconds_and_a_number_of_queries() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(timeouts(". {\n}"), Timeouts::default());
    let all = timeouts(". {\n timeouts {\n read 1s\n write 90\n idle 1h30m\n maxtcpqueries 5\n }\n}");
    let wanted = Timeouts {
        read: seconds(1),
        write: seconds(90),
        idle: seconds(5400),
        most_queries: Some(std::num::NonZeroU32::new(5)),
    };
    assert_eq!(all, wanted);
    let unlimited = timeouts(". {\n timeouts {\n maxtcpqueries -1\n }\n}");
    assert_eq!(unlimited, Timeouts { most_queries: Some(None), ..Timeouts::default() });
    let refused = [
        ("timeouts", "timeouts block with no timeouts specified"),
        ("timeouts {\n}", "timeouts block with no timeouts specified"),
        ("timeouts {\n read 0\n}", "'0' needs to be between 1 second and 24 hours"),
        ("timeouts {\n read 999ms\n}", "'999ms' needs to be between 1 second and 24 hours"),
        ("timeouts {\n idle 24h1s\n}", "'24h1s' needs to be between 1 second and 24 hours"),
        ("timeouts {\n idle 86401\n}", "'86401' needs to be between 1 second and 24 hours"),
        ("timeouts {\n maxtcpqueries 0\n}", "maxtcpqueries 0 must be -1 or above 0"),
        ("timeouts {\n maxtcpqueries -2\n}", "maxtcpqueries -2 must be -1 or above 0"),
        ("timeouts {\n dial 2s\n}", "unknown option: 'dial'"),
    ];
    all_refused("timeouts", &refused);
    for lines in ["timeouts 5s", "timeouts {\n read\n}", "timeouts {\n read 1s 2s\n}"] {
        assert!(first_line(load_lines(lines)).contains(MISCOUNT), "{lines}");
    }
}

#[test]
fn timeouts_of_an_address_are_those_that_its_blocks_say_last() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let shared = timeouts(
        "a.test {\n timeouts {\n read 2\n idle 4\n }\n}\nb.test {\n timeouts {\n idle 8\n }\n}\nc.test {\n}\n",
    );
    assert_eq!(shared, Timeouts { read: seconds(2), idle: seconds(8), ..Timeouts::default() });
    let apart = load("a.test:53 {\n timeouts {\n read 2\n }\n}\na.test:54 {\n}\n").unwrap().listeners;
    assert_eq!(apart[1].timeouts, Timeouts::default(), "another port");
}
