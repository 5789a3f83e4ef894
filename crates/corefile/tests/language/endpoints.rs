//! `health`, `ready` and `prometheus`: listen addresses of HTTP endpoints.

use std::time::Duration;

use super::load::{first_line, load, load_lines};

#[test]
fn health_ready_and_prometheus_have_listen_addresses() {
    let settings = load_lines("health\nready\nprometheus").unwrap();
    assert_eq!(settings.health, ["[::]:8080".parse().unwrap()]);
    assert_eq!(settings.lameduck, Duration::ZERO);
    assert_eq!(settings.ready, ["[::]:8181".parse().unwrap()]);
    assert_eq!(settings.prometheus, ["127.0.0.1:9153".parse().unwrap()]);
    let settings =
        load_lines("health [fd00::10]:9254 {\n lameduck 5s\n}\nready 169.254.25.10:8181\nprometheus :9253")
            .unwrap();
    assert_eq!(settings.health, ["[fd00::10]:9254".parse().unwrap()]);
    assert_eq!(settings.lameduck, Duration::from_secs(5));
    assert_eq!(settings.ready, ["169.254.25.10:8181".parse().unwrap()]);
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap()]);
    assert!(settings.blocks[0].prometheus);
    assert!(load_lines("").unwrap().prometheus.is_empty());
}

#[test]
fn each_address_of_an_endpoint_is_served_once() {
    let settings = load(
        "a.test {\n prometheus :9253\n health :8080 {\n  lameduck 5s\n }\n ready :8181\n}\n\
         . {\n prometheus :9253\n health :8081 {\n  lameduck 2s\n }\n ready :8182\n}\n\
         b.test {\n prometheus :9254\n health :8080\n ready :8181\n}\n",
    )
    .unwrap();
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap(), "[::]:9254".parse().unwrap()]);
    assert_eq!(settings.health, ["[::]:8080".parse().unwrap(), "[::]:8081".parse().unwrap()]);
    assert_eq!(settings.lameduck, Duration::from_secs(5), "the longest");
    assert_eq!(settings.ready, ["[::]:8181".parse().unwrap(), "[::]:8182".parse().unwrap()]);
    assert_eq!(settings.warnings, Vec::<String>::new());
    let twice = load_lines("health :1\nhealth :2").unwrap();
    assert_eq!(twice.health, ["[::]:2".parse().unwrap()], "in a block the last one counts");
}

#[test]
fn invalid_endpoint_options_are_rejected() {
    for (lines, reason) in [
        ("health 8080", "address 8080: missing port in address"),
        (
            "health fd00::10:9254",
            "address fd00::10:9254: too many colons in address (an IPv6 address is written in brackets: \
             [fd00::10]:9254)",
        ),
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
