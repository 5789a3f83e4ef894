//! Rows of `forward`.

use corefile::Settings;
use corefile::settings::Forward;
use resolver::policy::{HealthCheck, MaxConnectAttempts, SelectionPolicy, TransportPreference};

use super::{Rows, assert_rows, join, names, when};

fn show(settings: &Settings) -> String {
    settings.blocks[0].forwards.iter().map(forward).collect::<Vec<_>>().join(" | ")
}

/// FROM and upstreams, and the options that are not the default.
fn forward(forward: &Forward) -> String {
    let (options, connection) = (&forward.options, &forward.connection);
    let upstreams: Vec<String> = forward.upstreams.iter().map(ToString::to_string).collect();
    let read_timeout = format!("{:?}", options.read_timeout);
    let expire = format!("{:?}", connection.expire);
    let rcodes = [&options.failover, &options.next];
    let [failover, next] =
        rcodes.map(|rcodes| rcodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    join(&[
        options.from.to_string(),
        upstreams.join(" "),
        when(!options.except.is_empty(), &format!("except {}", names(&options.except))),
        when(options.transport != TransportPreference::SameAsClient, &format!("{:?}", options.transport)),
        when(options.policy != SelectionPolicy::Random, &format!("{:?}", options.policy)),
        when(options.max_concurrent > 0, &format!("max_concurrent {}", options.max_concurrent)),
        when(
            options.max_connect_attempts != MaxConnectAttempts::TwoPerUpstream,
            &format!("{:?}", options.max_connect_attempts),
        ),
        when(read_timeout != "2s", &format!("read_timeout {read_timeout}")),
        health_check(&options.health_check),
        when(!failover.is_empty(), &format!("failover {failover}")),
        when(!next.is_empty(), &format!("next {next}")),
        when(options.next_on_nodata, "next_on_nodata"),
        when(expire != "10s", &format!("expire {expire}")),
        connection.max_age.map(|age| format!("max_age {age:?}")).unwrap_or_default(),
        connection.max_idle_conns.map(|most| format!("max_idle_conns {most}")).unwrap_or_default(),
        connection.source_address.map(|address| format!("source_address {address}")).unwrap_or_default(),
    ])
}

fn health_check(check: &HealthCheck) -> String {
    let (interval, name) = (format!("{:?}", check.interval), check.name.to_string());
    join(&[
        when(check.max_fails != 2, &format!("max_fails {}", check.max_fails)),
        when(interval != "500ms", &format!("every {interval}")),
        when(!check.recursion_desired, "no_rec"),
        when(name != ".", &format!("domain {name}")),
        when(check.failfast, "failfast"),
    ])
}

#[test]
fn rows_of_forward() {
    assert_rows("forward", FORWARD, show);
}

#[rustfmt::skip]
const FORWARD: &Rows = &[
    ("forward", "2: Wrong argument count or unexpected line ending after 'forward'"),
    ("forward .", "2: Wrong argument count or unexpected line ending after '.'; no upstream is given; write one, such as 'forward . /etc/resolv.conf'"),
    ("forward . 192.0.2.1", "= . 192.0.2.1:53"),
    ("forward . 192.0.2.1:5353", "= . 192.0.2.1:5353"),
    ("forward . [::1]:5353", "= . [::1]:5353"),
    ("forward . ::1", "= . [::1]:53"),
    ("forward . dns://192.0.2.1", "= . 192.0.2.1:53"),
    ("forward . dns://192.0.2.1:54", "= . 192.0.2.1:54"),
    ("forward . 192.0.2.1 192.0.2.2 192.0.2.1", "= . 192.0.2.1:53 192.0.2.2:53"),
    ("forward a.test 192.0.2.1", "= a.test. 192.0.2.1:53"),
    ("forward A.TEST 192.0.2.1", "= a.test. 192.0.2.1:53"),
    ("forward 10.0.0.0/8 192.0.2.1", "= 10.in-addr.arpa. 192.0.2.1:53"),
    ("forward a..test 192.0.2.1", "2: zone is not a valid domain name: a..test (a label is empty)"),
    ("forward . /etc/resolv.conf", "= . 192.0.2.1:53"),
    ("forward . /etc/resolv.conf 192.0.2.2", "= . 192.0.2.1:53 192.0.2.2:53"),
    ("forward . /no/such", "2: cannot read the upstreams from \"/no/such\": entity not found"),
    ("forward . dns.test", "2: not an IP address or file: \"dns.test\"; host names are not resolved, because the resolver of the node may be this cache: write IP addresses, or the path of a file with nameserver lines"),
    ("forward . 192.0.2", "2: not an IP address or file: \"192.0.2\"; host names are not resolved, because the resolver of the node may be this cache: write IP addresses, or the path of a file with nameserver lines"),
    ("forward . 192.0.2.1:", "2: the port of \"192.0.2.1:\" is not 1 to 65535"),
    ("forward . 192.0.2.1:65536", "2: the port of \"192.0.2.1:65536\" is not 1 to 65535"),
    ("forward . quic://192.0.2.1", "2: quic:// upstreams are not supported by nodelocaldns yet: quic://192.0.2.1"),
    ("forward . https://192.0.2.1", "2: https:// upstreams are not supported by nodelocaldns yet: https://192.0.2.1"),
    ("forward . fe80::1%eth0", "= . [fe80::1%2]:53"),
    ("forward . fe80::1%eth7", "2: \"fe80::1%eth7\" names an interface that this node does not have"),
    ("forward . 192.0.2.1 / forward a.test 192.0.2.2", "= . 192.0.2.1:53 | a.test. 192.0.2.2:53"),
    ("forward . 27", "2: not an IP address or file: \"27\"; host names are not resolved, because the resolver of the node may be this cache: write IP addresses, or the path of a file with nameserver lines"),
    ("forward . 192.0.2.1 { / except / }", "3: Wrong argument count or unexpected line ending after 'except'"),
    ("forward . 192.0.2.1 { / except a.test / }", "= . 192.0.2.1:53 except a.test."),
    ("forward . 192.0.2.1 { / except A.test 10.0.0.0/24 / except b.test / }", "= . 192.0.2.1:53 except a.test. 0.0.10.in-addr.arpa. b.test."),
    ("forward . 192.0.2.1 { / except a..b / }", "3: zone is not a valid domain name: a..b (a label is empty)"),
    ("forward . 192.0.2.1 { / force_tcp / }", "= . 192.0.2.1:53 ForceTcp"),
    ("forward . 192.0.2.1 { / force_tcp x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("forward . 192.0.2.1 { / prefer_udp / }", "= . 192.0.2.1:53 PreferUdp"),
    ("forward . 192.0.2.1 { / prefer_udp x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("forward . 192.0.2.1 { / force_tcp / prefer_udp / }", "= . 192.0.2.1:53 ForceTcp"),
    ("forward . 192.0.2.1 { / expire 10s / }", "= . 192.0.2.1:53"),
    ("forward . 192.0.2.1 { / expire / }", "3: Wrong argument count or unexpected line ending after 'expire'"),
    ("forward . 192.0.2.1 { / expire 1m 1m / }", "3: Wrong argument count or unexpected line ending after '1m'"),
    ("forward . 192.0.2.1 { / expire 10 / }", "3: time: missing unit in duration \"10\" (a number and one of ns us ms s m h)"),
    ("forward . 192.0.2.1 { / expire -1s / }", "3: the duration \"-1s\" is negative"),
    ("forward . 192.0.2.1 { / expire 0s / }", "= . 192.0.2.1:53 expire 0ns"),
    ("forward . 192.0.2.1 { / max_fails 0 / }", "= . 192.0.2.1:53 max_fails 0"),
    ("forward . 192.0.2.1 { / max_fails 3 / }", "= . 192.0.2.1:53 max_fails 3"),
    ("forward . 192.0.2.1 { / max_fails -1 / }", "3: '-1' is not a whole number from 0 to 4294967295"),
    ("forward . 192.0.2.1 { / max_fails / }", "3: Wrong argument count or unexpected line ending after 'max_fails'"),
    ("forward . 192.0.2.1 { / max_fails x / }", "3: 'x' is not a whole number from 0 to 4294967295"),
    ("forward . 192.0.2.1 { / max_fails 1 1 / }", "3: Wrong argument count or unexpected line ending after '1'"),
    ("forward . 192.0.2.1 { / max_connect_attempts 0 / }", "= . 192.0.2.1:53 Unlimited"),
    ("forward . 192.0.2.1 { / max_connect_attempts 3 / }", "= . 192.0.2.1:53 Limit(3)"),
    ("forward . 192.0.2.1 { / max_connect_attempts -1 / }", "3: '-1' is not a whole number from 0 to 4294967295"),
    ("forward . 192.0.2.1 { / max_connect_attempts / }", "3: Wrong argument count or unexpected line ending after 'max_connect_attempts'"),
    ("forward . 192.0.2.1 { / tls_servername / }", "3: Wrong argument count or unexpected line ending after 'tls_servername'"),
    ("forward . 192.0.2.1 { / tls_servername dns.test / }", "=! . 192.0.2.1:53"),
    ("forward . 192.0.2.1 { / tls a b c d / }", "3: Wrong argument count or unexpected line ending after 'd'"),
    ("forward . 192.0.2.1 { / policy random / }", "= . 192.0.2.1:53"),
    ("forward . 192.0.2.1 { / policy round_robin / }", "= . 192.0.2.1:53 RoundRobin"),
    ("forward . 192.0.2.1 { / policy sequential / }", "= . 192.0.2.1:53 Sequential"),
    ("forward . 192.0.2.1 { / policy / }", "3: Wrong argument count or unexpected line ending after 'policy'"),
    ("forward . 192.0.2.1 { / policy foo / }", "3: unknown policy 'foo'"),
    ("forward . 192.0.2.1 { / policy random random / }", "3: Wrong argument count or unexpected line ending after 'random'"),
    ("forward . 192.0.2.1 { / health_check 1s / }", "= . 192.0.2.1:53 every 1s"),
    ("forward . 192.0.2.1 { / health_check 500ms no_rec / }", "= . 192.0.2.1:53 no_rec"),
    ("forward . 192.0.2.1 { / health_check 1s domain a.test / }", "= . 192.0.2.1:53 every 1s domain a.test."),
    ("forward . 192.0.2.1 { / health_check 1s no_rec domain a.test / }", "= . 192.0.2.1:53 every 1s no_rec domain a.test."),
    ("forward . 192.0.2.1 { / health_check / }", "3: Wrong argument count or unexpected line ending after 'health_check'"),
    ("forward . 192.0.2.1 { / health_check x / }", "3: time: invalid duration \"x\""),
    ("forward . 192.0.2.1 { / health_check 1s foo / }", "3: health_check: unknown option foo"),
    ("forward . 192.0.2.1 { / health_check 1s domain / }", "3: Wrong argument count or unexpected line ending after 'domain'"),
    ("forward . 192.0.2.1 { / health_check -1s / }", "3: health_check can't be negative: -1s"),
    ("forward . 192.0.2.1 { / max_concurrent 1000 / }", "= . 192.0.2.1:53 max_concurrent 1000"),
    ("forward . 192.0.2.1 { / max_concurrent 0 / }", "= . 192.0.2.1:53"),
    ("forward . 192.0.2.1 { / max_concurrent -1 / }", "3: max_concurrent can't be negative: -1"),
    ("forward . 192.0.2.1 { / max_concurrent x / }", "3: 'x' is not a whole number"),
    ("forward . 192.0.2.1 { / max_concurrent / }", "3: Wrong argument count or unexpected line ending after 'max_concurrent'"),
    ("forward . 192.0.2.1 { / next NXDOMAIN / }", "=! . 192.0.2.1:53 next NXDOMAIN"),
    ("forward . 192.0.2.1 { / next / }", "3: Wrong argument count or unexpected line ending after 'next'"),
    ("forward . 192.0.2.1 { / next FOO / }", "3: FOO is not a valid rcode"),
    ("forward . 192.0.2.1 { / failover SERVFAIL REFUSED / }", "= . 192.0.2.1:53 failover SERVFAIL,REFUSED"),
    ("forward . 192.0.2.1 { / failover NOERROR / }", "3: NoError cannot be used in failover"),
    ("forward . 192.0.2.1 { / failover / }", "3: Wrong argument count or unexpected line ending after 'failover'"),
    ("forward . 192.0.2.1 { / failover FOO / }", "3: FOO is not a valid rcode"),
    ("forward . 192.0.2.1 { / failfast_all_unhealthy_upstreams / }", "= . 192.0.2.1:53 failfast"),
    ("forward . 192.0.2.1 { / failfast_all_unhealthy_upstreams x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("forward . 192.0.2.1 { / max_age 30s / }", "= . 192.0.2.1:53 max_age 30s"),
    ("forward . 192.0.2.1 { / max_age 5s / }", "3: max_age (5s) must not be less than expire (10s)"),
    ("forward . 192.0.2.1 { / max_age 0 / }", "= . 192.0.2.1:53"),
    ("forward . 192.0.2.1 { / max_age x / }", "3: time: invalid duration \"x\""),
    ("forward . 192.0.2.1 { / max_idle_conns 4 / }", "= . 192.0.2.1:53 max_idle_conns 4"),
    ("forward . 192.0.2.1 { / max_idle_conns -1 / }", "3: max_idle_conns can't be negative: -1"),
    ("forward . 192.0.2.1 { / max_idle_conns / }", "3: Wrong argument count or unexpected line ending after 'max_idle_conns'"),
    ("forward . 192.0.2.1 { / read_timeout 500ms / }", "= . 192.0.2.1:53 read_timeout 500ms"),
    ("forward . 192.0.2.1 { / read_timeout 0 / }", "3: read_timeout must be positive: 0"),
    ("forward . 192.0.2.1 { / read_timeout -1s / }", "3: read_timeout must be positive: -1s"),
    ("forward . 192.0.2.1 { / read_timeout / }", "3: Wrong argument count or unexpected line ending after 'read_timeout'"),
    ("forward . 192.0.2.1 { / source_address 192.0.2.9 / }", "= . 192.0.2.1:53 source_address 192.0.2.9"),
    ("forward . 192.0.2.1 { / source_address ::1 / }", "3: ::1 and upstream 192.0.2.1:53 are of different address families"),
    ("forward . 192.0.2.1 { / source_address x / }", "3: source_address \"x\" is not an IP address"),
    ("forward . 192.0.2.1 { / next_on_nodata / }", "=! . 192.0.2.1:53 next_on_nodata"),
    ("forward . 192.0.2.1 { / next_on_nodata x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("forward . 192.0.2.1 { / doh_method GET / }", "=! . 192.0.2.1:53"),
    ("forward . 192.0.2.1 { / doh_method POST / }", "=! . 192.0.2.1:53"),
    ("forward . 192.0.2.1 { / doh_method PUT / }", "3: doh_method must be either POST or GET"),
    ("forward . 192.0.2.1 { / resolver 192.0.2.53 / }", "3: option 'resolver' is not supported by nodelocaldns: host names are not resolved, because the resolver of the node may be this cache: write IP addresses, or the path of a file with nameserver lines"),
    ("forward . 192.0.2.1 { / blah / }", "3: unknown property 'blah'"),
    ("forward . 192.0.2.1 { / Force_tcp / }", "3: unknown property 'Force_tcp'"),
    ("forward . 192.0.2.1 { / force_tcp { / } / }", "3: nested block not allowed: an option has no block of its own"),
];
