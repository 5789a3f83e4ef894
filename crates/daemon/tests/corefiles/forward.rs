//! What `forward` takes, and what it refuses.

use std::time::Duration;

use daemon::config::settings::Forward;
use resolver::policy::{Order, TransportRule};

use super::machine::{COREFILE, Machine, first_line, flags, load_lines, no_environment};
use super::verdicts::{MISCOUNT, all_refused};

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
