//! Where blocks listen and where the process answers over HTTP.

use std::time::Duration;

use corefile::settings::{Health, LoopProbeTarget};

use super::fake_host::{COREFILE, first_line, load, load_lines, served};

fn bound(lines: &str) -> Vec<String> {
    served(&load_lines(lines).unwrap()).into_iter().map(|(label, _)| label).collect()
}

#[test]
fn bind_takes_addresses_and_interfaces_and_adds_up() {
    for (lines, labels) in [
        ("bind 169.254.25.10", &["dns://169.254.25.10:53"][..]),
        ("bind 169.254.25.10 fd00::10", &["dns://169.254.25.10:53", "dns://[fd00::10]:53"]),
        ("bind 127.0.0.1\nbind 127.0.0.2", &["dns://127.0.0.1:53", "dns://127.0.0.2:53"]),
        ("bind 127.0.0.1 127.0.0.1", &["dns://127.0.0.1:53"]),
        ("bind 0.0.0.0", &["dns://0.0.0.0:53"]),
        ("bind eth0", &["dns://192.0.2.9:53", "dns://[2001:db8::9]:53", "dns://[fe80::9%eth0]:53"]),
        ("bind fe80::9%eth0", &["dns://[fe80::9%eth0]:53"]),
        ("bind eth0 {\n except 192.0.2.9 fe80::9%eth0\n}", &["dns://[2001:db8::9]:53"]),
        ("bind 127.0.0.1 eth0 {\n except eth0\n}", &["dns://127.0.0.1:53"]),
        ("bind 127.0.0.1 {\n except 127.0.0.1\n}", &[]),
    ] {
        assert_eq!(bound(lines), labels, "{lines}");
    }
}

#[test]
fn a_link_local_address_of_an_interface_carries_its_index() {
    let settings = load_lines("bind fe80::9%eth0").unwrap();
    assert_eq!(settings.listeners[0].addresses, ["[fe80::9%2]:53".parse().unwrap()]);
}

#[test]
fn bad_binds_are_told() {
    for (lines, reason) in [
        ("bind", "at least one address or interface name is expected"),
        ("bind eth7", "not a valid IP address or interface name: \"eth7\""),
        ("bind 10.0.0.256", "not a valid IP address or interface name: \"10.0.0.256\""),
        ("bind <nil>", "not a valid IP address or interface name: \"<nil>\""),
        ("bind fe80::1%eth7", "not a valid IP address or interface name: \"fe80::1%eth7\""),
        (
            "bind __PILLAR__LOCAL__DNS__",
            "\"__PILLAR__LOCAL__DNS__\" was not replaced by an address; variables are \
          replaced in the file of -basecorefile, not in that of -conf",
        ),
        ("bind eth0 {\n only ::1\n}", "invalid option \"only\""),
        ("bind eth0 {\n except\n}", "at least one address or interface must be given to except subdirective"),
    ] {
        let line = first_line(load_lines(lines));
        assert!(line.starts_with(&format!("plugin/bind: {COREFILE}:")), "{line}");
        assert!(line.ends_with(&format!("Error during parsing: {reason}")), "{line}");
    }
}

#[test]
fn health_ready_and_prometheus_have_addresses() {
    let settings = load_lines("health\nready\nprometheus").unwrap();
    let everywhere = Health { address: "[::]:8080".parse().unwrap(), lameduck: Duration::ZERO };
    assert_eq!(settings.health, Some(everywhere));
    assert_eq!(settings.ready, Some("[::]:8181".parse().unwrap()));
    assert_eq!(settings.prometheus, ["127.0.0.1:9153".parse().unwrap()]);
    let settings =
        load_lines("health [fd00::10]:9254 {\n lameduck 5s\n}\nready 169.254.25.10:8181\nprometheus :9253")
            .unwrap();
    let there = Health { address: "[fd00::10]:9254".parse().unwrap(), lameduck: Duration::from_secs(5) };
    assert_eq!(settings.health, Some(there));
    assert_eq!(settings.ready, Some("169.254.25.10:8181".parse().unwrap()));
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap()]);
    assert!(settings.blocks[0].prometheus);
    assert!(load_lines("").unwrap().prometheus.is_empty());
}

#[test]
fn blocks_share_a_metrics_address_and_the_last_health_address_counts() {
    let settings = load(
        "a.test {\n prometheus :9253\n health :8080\n ready :8181\n}\n\
         . {\n prometheus :9253\n health :8081\n ready :8182\n}\n\
         b.test {\n prometheus :9254\n}\n",
    )
    .unwrap();
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap(), "[::]:9254".parse().unwrap()]);
    assert_eq!(settings.health.unwrap().address, "[::]:8081".parse().unwrap());
    assert_eq!(
        settings.warnings,
        [
            "/health is served on [::]:8081 only, not on [::]:8080",
            "/ready is served on [::]:8182 only, not on [::]:8181"
        ]
    );
    let twice = load_lines("health :1\nhealth :2").unwrap();
    assert_eq!(twice.health.unwrap().address.port(), 2);
}

#[test]
fn bad_endpoints_are_told() {
    for (lines, reason) in [
        ("health 8080", "address 8080: missing port in address"),
        ("health :8080 :8081", "Wrong argument count or unexpected line ending after ':8081'"),
        ("health {\n lameduck\n}", "Wrong argument count or unexpected line ending after 'lameduck'"),
        (
            "health {\n lameduck 5\n}",
            "time: missing unit in duration \"5\" (a number and one of ns us ms s m h)",
        ),
        ("health {\n lameduck -1s\n}", "the duration \"-1s\" is negative"),
        ("health {\n lamedog 5s\n}", "Wrong argument count or unexpected line ending after 'lamedog'"),
        ("ready a.test:8181", "address a.test:8181: \"a.test\" is not an IP address"),
        ("ready {\n monitor continuously\n}", "option 'monitor' is not supported by nodelocaldns yet"),
        ("ready\nready", "this plugin can only be used once per Server Block"),
        ("prometheus :9253 x", "Wrong argument count or unexpected line ending after 'x'"),
        ("prometheus {\n tls x\n}", "option 'tls' is not supported by nodelocaldns yet"),
        ("prometheus :1\nprometheus :2", "this plugin can only be used once per Server Block"),
    ] {
        let line = first_line(load_lines(lines));
        assert!(line.starts_with("plugin/"), "{line}");
        assert!(line.ends_with(&format!("Error during parsing: {reason}")), "{line}");
    }
}

#[test]
fn the_loop_check_asks_the_first_address_for_the_first_zone() {
    let check = |text: &str| load(text).unwrap().blocks.remove(0).loop_probe;
    let loop_probe = |zone: &str, address: &str| {
        let zone = wire::name::Name::parse(zone).unwrap();
        Some(LoopProbeTarget { zone, address: address.parse().unwrap() })
    };
    assert_eq!(
        check("a.test:5353 b.test {\n loop\n bind 127.0.0.9 127.0.0.8\n}\n"),
        loop_probe("a.test", "127.0.0.9:5353")
    );
    assert_eq!(check(". {\n loop\n}\n"), loop_probe(".", "127.0.0.1:53"));
    assert_eq!(check(". {\n}\n"), None);
    assert!(first_line(load_lines("loop x")).contains("plugin/loop: "));
    assert!(
        first_line(load_lines("loop\nloop")).ends_with("this plugin can only be used once per Server Block")
    );
}
