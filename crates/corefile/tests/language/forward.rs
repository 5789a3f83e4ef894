//! Options of `forward`.

use std::time::Duration;

use corefile::settings::Forward;
use resolver::policy::{MaxConnectAttempts, SelectionPolicy, TransportPreference};
use wire::header::Rcode;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected, assert_forward_options_rejected};
use super::load::{COREFILE, forward, load_lines};

#[test]
fn forward_options_are_parsed() {
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
fn forwards_keep_the_order_of_the_file_and_use_the_first_zone_of_a_network() {
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
fn invalid_forward_options_are_rejected() {
    let sixteen = format!("forward . {}", (1..=16).map(|n| format!("192.0.2.{n} ")).collect::<String>());
    assert_all_rejected(
        "forward",
        &[
            ("forward", &format!("{ARGUMENT_COUNT} 'forward'")),
            (
                "forward .",
                &format!(
                    "{ARGUMENT_COUNT} '.'; no upstream is given; \
                     write one, such as 'forward . /etc/resolv.conf'"
                ),
            ),
            ("forward . /no/such.conf", "cannot read the upstreams from \"/no/such.conf\": entity not found"),
            ("forward . 192.0.2.1:0", "the port of \"192.0.2.1:0\" is not 1 to 65535"),
            ("forward . 192.0.2.1:dns", "the port of \"192.0.2.1:dns\" is not 1 to 65535"),
            ("forward . dns://", "invalid address: \"dns://\""),
            (
                "forward . https://192.0.2.1",
                "https:// upstreams are not supported by nodelocaldns yet: https://192.0.2.1",
            ),
            (&sixteen, "more than 15 TOs configured: 16"),
            ("forward . ::1 {\n force_tcp yes\n}", &format!("{ARGUMENT_COUNT} 'yes'")),
            ("forward . ::1 {\n except\n}", &format!("{ARGUMENT_COUNT} 'except'")),
            ("forward . ::1 {\n policy\n}", &format!("{ARGUMENT_COUNT} 'policy'")),
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

#[test]
fn max_connect_attempts_is_parsed() {
    assert_eq!(forward("forward . ::1").options.max_connect_attempts, MaxConnectAttempts::TwoPerUpstream);
    assert_eq!(
        with_option("max_connect_attempts 0").options.max_connect_attempts,
        MaxConnectAttempts::Unlimited
    );
    assert_eq!(
        with_option("max_connect_attempts 5").options.max_connect_attempts,
        MaxConnectAttempts::Limit(5)
    );
    assert_forward_options_rejected(&[
        ("max_connect_attempts", &format!("{ARGUMENT_COUNT} 'max_connect_attempts'")),
        ("max_connect_attempts 1 2", &format!("{ARGUMENT_COUNT} '2'")),
        ("max_connect_attempts many", "'many' is not a whole number from 0 to 4294967295"),
        ("max_connect_attempts -4", "'-4' is not a whole number from 0 to 4294967295"),
        ("max_connect_attempts 4294967296", "'4294967296' is not a whole number from 0 to 4294967295"),
    ]);
}

#[test]
fn health_check_options_are_parsed() {
    let parsed = |option: &str| {
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
        assert_eq!(parsed(option), expected, "{option}");
    }
    let warnings = load_lines("forward . ::1 {\n health_check 1ms\n}").unwrap().warnings;
    assert_eq!(warnings, [format!("{COREFILE}:3 - health_check 1ms is too short: 100ms is used instead")]);
}

#[test]
fn invalid_health_check_options_are_rejected() {
    assert_forward_options_rejected(&[
        ("max_fails", &format!("{ARGUMENT_COUNT} 'max_fails'")),
        ("max_fails 1 2", &format!("{ARGUMENT_COUNT} '2'")),
        ("max_fails -1", "'-1' is not a whole number from 0 to 4294967295"),
        ("failfast_all_unhealthy_upstreams false", &format!("{ARGUMENT_COUNT} 'false'")),
        ("health_check", &format!("{ARGUMENT_COUNT} 'health_check'")),
        ("health_check no_rec", "time: invalid duration \"no_rec\""),
        ("health_check domain example.org", "time: invalid duration \"domain\""),
        ("health_check -1s", "health_check can't be negative: -1s"),
        ("health_check 0.5s rec", "health_check: unknown option rec"),
        ("health_check 0.5s domain", &format!("{ARGUMENT_COUNT} 'domain'")),
        ("health_check 0.5s domain example..org", "health_check: invalid domain name example..org"),
    ]);
}

#[test]
fn failover_and_next_options_are_parsed() {
    let parsed = |option: &str| {
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
        assert_eq!(parsed(option), expected, "{option}");
    }
    assert_forward_options_rejected(&[
        ("failover", &format!("{ARGUMENT_COUNT} 'failover'")),
        ("failover NOERROR", "NoError cannot be used in failover"),
        ("failover SERVFAIL noerror", "NoError cannot be used in failover"),
        ("failover RCODE12", "RCODE12 is not a valid rcode"),
        ("failover 3", "3 is not a valid rcode"),
        ("next", &format!("{ARGUMENT_COUNT} 'next'")),
        ("next NXDOMAIN INVALID", "INVALID is not a valid rcode"),
        ("next_on_nodata yes", &format!("{ARGUMENT_COUNT} 'yes'")),
    ]);
}

#[test]
fn doh_method_is_validated_and_has_no_effect() {
    let warnings = load_lines("forward . ::1 {\n doh_method POST\n}").unwrap().warnings;
    let expected = format!("{COREFILE}:3 - doh_method has no effect: HTTPS upstreams are not supported");
    assert_eq!(warnings, [expected]);
    with_option("doh_method GET");
    assert_forward_options_rejected(&[
        ("doh_method", &format!("{ARGUMENT_COUNT} 'doh_method'")),
        ("doh_method PUT", "doh_method must be either POST or GET"),
    ]);
}

#[test]
fn next_in_the_last_forward_causes_a_warning() {
    for option in ["next SERVFAIL", "next_on_nodata"] {
        let lines = format!("forward . ::1 {{\n {option}\n}}");
        let warnings = load_lines(&lines).unwrap().warnings;
        let name = option.split_whitespace().next().unwrap();
        let expected = format!("{COREFILE}:3 - no forward follows in this block: {name} has no effect");
        assert_eq!(warnings, [expected]);
        let followed = load_lines(&format!("{lines}\nforward . ::2")).unwrap();
        assert_eq!(followed.warnings, Vec::<String>::new());
    }
}
