//! What `forward` takes, and what it refuses.

use std::time::Duration;

use corefile::settings::Forward;
use resolver::policy::{MaxConnectAttempts, SelectionPolicy, TransportPreference};
use wire::header::Rcode;

use super::fake_host::{COREFILE, FakeHost, first_line, load_lines, no_environment, options};
use super::validate::{MISCOUNT, all_refused};

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
    let fake_host = FakeHost::with(&[(COREFILE, corefile), ("/run/resolv.conf", text)]);
    let settings = corefile::load(&options(&["-conf", COREFILE]), &no_environment(), &fake_host).unwrap();
    assert_eq!(
        settings.blocks[0].forwards[0].upstreams,
        ["192.0.2.1:53".parse().unwrap(), "[fe80::1]:53".parse().unwrap()]
    );
    assert!(settings.warnings[0].contains("\"bogus\""), "{:?}", settings.warnings);
}

#[test]
fn forward_takes_its_options() {
    let plain = forward("forward a.TEST 192.0.2.1");
    assert_eq!(plain.options.from.to_string(), "a.test.");
    assert_eq!(
        (plain.options.policy, plain.options.transport, plain.options.max_concurrent),
        (SelectionPolicy::Random, TransportPreference::SameAsClient, 0)
    );
    assert_eq!(
        (plain.options.read_timeout, plain.connection.expire),
        (Duration::from_secs(2), Duration::from_secs(10))
    );
    let full = forward(
        "forward . 192.0.2.1 {\n except a.test 10.0.0.0/8\n except b.test\n force_tcp\n prefer_udp\n \
         policy round_robin\n \
         max_concurrent 1000\n read_timeout 500ms\n expire 1m\n}",
    );
    let except: Vec<String> = full.options.except.iter().map(ToString::to_string).collect();
    assert_eq!(except, ["a.test.", "10.in-addr.arpa.", "b.test."]);
    assert_eq!(
        (full.options.policy, full.options.transport),
        (SelectionPolicy::RoundRobin, TransportPreference::ForceTcp)
    );
    assert_eq!((full.options.max_concurrent, full.options.read_timeout), (1000, Duration::from_millis(500)));
    assert_eq!(full.connection.expire, Duration::from_secs(60));
    assert_eq!(
        forward("forward . ::1 {\n prefer_udp\n policy sequential\n}").options.transport,
        TransportPreference::PreferUdp
    );
}

#[test]
fn forwards_stay_in_the_order_of_the_file_and_a_split_network_counts_once() {
    let settings = load_lines("forward b.test ::1\nforward a.test ::2\nforward 10.0.0.0/15 ::3").unwrap();
    let zones: Vec<String> =
        settings.blocks[0].forwards.iter().map(|forward| forward.options.from.to_string()).collect();
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
            ("forward . /no/such.conf", "cannot read the upstreams from \"/no/such.conf\": entity not found"),
            ("forward . 192.0.2.1:0", "the port of \"192.0.2.1:0\" is not 1 to 65535"),
            ("forward . 192.0.2.1:dns", "the port of \"192.0.2.1:dns\" is not 1 to 65535"),
            ("forward . dns://", "invalid address: \"dns://\""),
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
            ("forward . ::1 {\n read_timeout 0s\n}", "read_timeout must be positive: 0s"),
            ("forward . ::1 {\n read_timeout -1s\n}", "read_timeout must be positive: -1s"),
            ("forward . ::1 {\n blah\n}", "unknown property 'blah'"),
        ],
    );
}

/// A `forward` with one option.
fn with_option(option: &str) -> Forward {
    forward(&format!("forward . 192.0.2.1 {{\n {option}\n}}"))
}

/// Each of these options is refused, at its line, for this reason.
fn options_refused(refused: &[(&str, &str)]) {
    for (option, reason) in refused {
        let reason = format!(":3 - Error during parsing: {reason}");
        all_refused("forward", &[(&format!("forward . 192.0.2.1 {{\n {option}\n}}"), &reason)]);
    }
}

#[test]
fn fifteen_words_name_upstreams_and_a_file_is_one_of_them() {
    let words = |count: u32| (1..=count).map(|n| format!(" 192.0.2.{n}")).collect::<String>();
    assert_eq!(upstreams(&words(15)).len(), 15);
    assert_eq!(upstreams(&"192.0.2.1 ".repeat(15)), ["192.0.2.1:53"]);
    let last = ":2 - Error during parsing: more than 15 TOs configured: 16";
    all_refused("forward", &[(&format!("forward .{}", " 192.0.2.1".repeat(16)), last)]);
    let long: String =
        (1..=16).map(|n| format!("nameserver 198.51.100.{n}\nnameserver 198.51.100.1\n")).collect();
    let corefile = format!(". {{\n forward .{} /run/resolv.conf\n}}\n", words(14));
    let fake_host = FakeHost::with(&[(COREFILE, &corefile), ("/run/resolv.conf", &long)]);
    let settings = corefile::load(&options(&["-conf", COREFILE]), &no_environment(), &fake_host).unwrap();
    assert_eq!(settings.blocks[0].forwards[0].upstreams.len(), 29);
    assert_eq!(
        settings.warnings,
        ["/etc/coredns/Corefile:2 - /run/resolv.conf names more than 15 nameservers; the first are taken"]
    );
    assert_eq!(settings.upstream_files.values().next().unwrap().len(), 15);
}

#[test]
fn forward_bounds_attempts() {
    assert_eq!(forward("forward . ::1").options.max_connect_attempts, MaxConnectAttempts::TwoPerUpstream);
    assert_eq!(
        with_option("max_connect_attempts 0").options.max_connect_attempts,
        MaxConnectAttempts::Unlimited
    );
    assert_eq!(
        with_option("max_connect_attempts 5").options.max_connect_attempts,
        MaxConnectAttempts::Limit(5)
    );
    options_refused(&[
        ("max_connect_attempts", &format!("{MISCOUNT} 'max_connect_attempts'")),
        ("max_connect_attempts 1 2", &format!("{MISCOUNT} '2'")),
        ("max_connect_attempts many", "'many' is not a whole number from 0 to 4294967295"),
        ("max_connect_attempts -4", "'-4' is not a whole number from 0 to 4294967295"),
        ("max_connect_attempts 4294967296", "'4294967296' is not a whole number from 0 to 4294967295"),
    ]);
}

#[test]
fn forward_takes_options_about_health() {
    let told = |option: &str| {
        let health = with_option(option).options.health_check;
        let millis = u64::try_from(health.interval.as_millis()).unwrap();
        (health.max_fails, millis, health.recursion_desired, health.name.to_string(), health.failfast)
    };
    let root = || ".".to_owned();
    let zone = || "example.org.".to_owned();
    for (option, expected) in [
        ("force_tcp", (2, 500, true, root(), false)),
        ("max_fails 0", (0, 500, true, root(), false)),
        ("max_fails 3", (3, 500, true, root(), false)),
        ("failfast_all_unhealthy_upstreams", (2, 500, true, root(), true)),
        ("health_check 5s", (2, 5000, true, root(), false)),
        ("health_check 0.5s no_rec", (2, 500, false, root(), false)),
        ("health_check 1s domain Example.org", (2, 1000, true, zone(), false)),
        ("health_check 1s domain .", (2, 1000, true, root(), false)),
        ("health_check 1s no_rec domain example.org.", (2, 1000, false, zone(), false)),
        ("health_check 1s domain example.org no_rec", (2, 1000, false, zone(), false)),
        ("health_check 1s no_rec\n health_check 2s", (2, 2000, true, root(), false)),
        ("health_check 0", (2, 100, true, root(), false)),
    ] {
        assert_eq!(told(option), expected, "{option}");
    }
    let warnings = load_lines("forward . ::1 {\n health_check 1ms\n}").unwrap().warnings;
    assert_eq!(warnings, [format!("{COREFILE}:3 - health_check 1ms is too short: it is 100ms")]);
}

#[test]
fn forward_refuses_options_about_health() {
    options_refused(&[
        ("max_fails", &format!("{MISCOUNT} 'max_fails'")),
        ("max_fails 1 2", &format!("{MISCOUNT} '2'")),
        ("max_fails -1", "'-1' is not a whole number from 0 to 4294967295"),
        ("failfast_all_unhealthy_upstreams false", &format!("{MISCOUNT} 'false'")),
        ("health_check", &format!("{MISCOUNT} 'health_check'")),
        ("health_check no_rec", "time: invalid duration \"no_rec\""),
        ("health_check domain example.org", "time: invalid duration \"domain\""),
        ("health_check -1s", "health_check can't be negative: -1s"),
        ("health_check 0.5s rec", "health_check: unknown option rec"),
        ("health_check 0.5s domain", &format!("{MISCOUNT} 'domain'")),
        ("health_check 0.5s domain example..org", "health_check: invalid domain name example..org"),
    ]);
}

#[test]
fn forward_asks_elsewhere_after_some_answers() {
    let told = |option: &str| {
        let forward = with_option(option).options;
        (forward.failover, forward.next, forward.next_on_nodata)
    };
    let (nxdomain, servfail, refused) = (Rcode::NXDOMAIN, Rcode::SERVFAIL, Rcode::REFUSED);
    for (option, expected) in [
        ("force_tcp", (vec![], vec![], false)),
        ("failover NXDOMAIN", (vec![nxdomain], vec![], false)),
        ("failover servfail Refused", (vec![servfail, refused], vec![], false)),
        (
            "failover SERVFAIL\n failover BADVERS BADSIG",
            (vec![servfail, Rcode(16), Rcode(16)], vec![], false),
        ),
        ("next NXDOMAIN SERVFAIL REFUSED", (vec![], vec![nxdomain, servfail, refused], false)),
        ("next NOERROR NOTIMPL", (vec![], vec![Rcode::NOERROR, Rcode::NOTIMP], false)),
        ("next_on_nodata", (vec![], vec![], true)),
    ] {
        assert_eq!(told(option), expected, "{option}");
    }
    options_refused(&[
        ("failover", &format!("{MISCOUNT} 'failover'")),
        ("failover NOERROR", "NoError cannot be used in failover"),
        ("failover SERVFAIL noerror", "NoError cannot be used in failover"),
        ("failover RCODE12", "RCODE12 is not a valid rcode"),
        ("failover 3", "3 is not a valid rcode"),
        ("next", &format!("{MISCOUNT} 'next'")),
        ("next NXDOMAIN INVALID", "INVALID is not a valid rcode"),
        ("next_on_nodata yes", &format!("{MISCOUNT} 'yes'")),
    ]);
}

#[test]
fn forward_takes_a_doh_method_that_does_nothing() {
    let warnings = load_lines("forward . ::1 {\n doh_method POST\n}").unwrap().warnings;
    let expected = format!("{COREFILE}:3 - doh_method has no effect: there are no upstreams by HTTPS");
    assert_eq!(warnings, [expected]);
    with_option("doh_method GET");
    options_refused(&[
        ("doh_method", &format!("{MISCOUNT} 'doh_method'")),
        ("doh_method PUT", "doh_method must be either POST or GET"),
    ]);
}

#[test]
fn forward_looks_up_no_host_names() {
    let remedy = "host names are not looked up, because the resolver of the node may be this cache: write IP \
                  addresses, or the path of a file with nameserver lines";
    let option = format!("option 'resolver' is not supported by nodelocaldns: {remedy}");
    options_refused(&[
        ("resolver 192.0.2.53", &option),
        ("resolver 192.0.2.53:53 ::1", &option),
        ("resolver", &format!("{MISCOUNT} 'resolver'")),
    ]);
    let word = format!(":2 - Error during parsing: not an IP address or file: \"foo.example\"; {remedy}");
    all_refused("forward", &[("forward . ::1 foo.example", &word)]);
}

#[test]
fn a_file_without_nameservers_gives_nothing_and_alone_is_refused() {
    let load = |corefile: &str| {
        let fake_host = FakeHost::with(&[(COREFILE, corefile), ("/run/empty", "search a.test\n")]);
        corefile::load(&options(&["-conf", COREFILE]), &no_environment(), &fake_host)
    };
    let line = first_line(load(". {\n forward . /run/empty\n}\n"));
    assert!(line.ends_with("no nameservers found"), "{line}");
    let settings = load(". {\n forward . /run/empty ::1\n}\n").unwrap();
    assert_eq!(settings.blocks[0].forwards[0].upstreams.len(), 1);
    assert!(settings.warnings[0].ends_with("/run/empty names no nameserver"), "{:?}", settings.warnings);
}

#[test]
fn next_without_a_forward_that_follows_is_told() {
    for option in ["next SERVFAIL", "next_on_nodata"] {
        let asking = format!("forward . ::1 {{\n {option}\n}}");
        let warnings = load_lines(&asking).unwrap().warnings;
        let name = option.split_whitespace().next().unwrap();
        let told = format!("{COREFILE}:3 - no forward follows in this block: {name} does nothing");
        assert_eq!(warnings, [told]);
        let followed = load_lines(&format!("{asking}\nforward . ::2")).unwrap();
        assert_eq!(followed.warnings, Vec::<String>::new());
    }
}
