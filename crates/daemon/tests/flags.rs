#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
//! Command-line flags: node-cache's defaults, Go's syntax, errors.

use std::ffi::OsString;
use std::time::Duration;

use daemon::flags::{self, Flags, UsageError};

fn flags(args: &[&str]) -> Flags {
    let words = ["nodelocaldns", "-localip", "169.254.25.10"].into_iter().chain(args.iter().copied());
    flags::parse(words.map(OsString::from)).unwrap()
}

fn usage_error(args: &[&str]) -> UsageError {
    flags::parse(["nodelocaldns"].iter().chain(args).map(OsString::from)).unwrap_err()
}

#[test]
fn flag_defaults_are_those_of_node_cache() {
    let flags = flags(&[]);
    assert_eq!(flags.options.local_ips, ["169.254.25.10".parse::<std::net::IpAddr>().unwrap()]);
    assert!(flags.setup_interface && flags.setup_iptables);
    assert!(!flags.skip_teardown && !flags.reload_with_signal && !flags.quiet);
    assert_eq!((flags.interface_name.as_str(), flags.link_kind.as_str()), ("nodelocaldns", "auto"));
    assert_eq!(flags.sync_interval, Duration::from_secs(60));
    assert_eq!(
        (flags.options.base_corefile.as_str(), flags.options.corefile.as_str()),
        ("/etc/coredns/Corefile.base", "/etc/Corefile")
    );
    assert_eq!((flags.options.conf.as_str(), flags.options.kube_dns_config_map.as_str()), ("", ""));
    assert_eq!(flags.options.upstream_service, "kube-dns");
    assert_eq!(flags.metrics_listen_address, Some("0.0.0.0:9353".parse().unwrap()));
    assert_eq!(flags.options.prometheus_listen_address, ":9253");
    assert_eq!((flags.health_port, flags.options.dns_port), (8080, 53));
    assert!(flags.options.stale_on_outage);
    assert_eq!((flags.pid_file, flags.cache_bytes), (None, None));
    assert!((1..=2).contains(&flags.workers));
}

#[test]
fn flags_accept_every_form_of_go_syntax() {
    for args in [
        &["-localip", "10.0.0.1", "-setupinterface=false", "-skipteardown"][..],
        &["--localip=10.0.0.1", "--setupinterface=0", "--skipteardown=T"],
        &["-localip=10.0.0.1", "--setupinterface=f", "-skipteardown=true"],
        &[
            "-localip",
            "10.9.9.9",
            "--localip",
            "10.0.0.1",
            "-setupinterface",
            "-setupinterface=FALSE",
            "-skipteardown=1",
        ],
    ] {
        let flags = flags::parse(["nodelocaldns"].iter().chain(args).map(OsString::from)).unwrap();
        assert_eq!(flags.options.local_ips, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()], "{args:?}");
        assert!(!flags.setup_interface && flags.skip_teardown, "{args:?}");
    }
    assert_eq!(flags(&["-dns.port", "1053"]).options.dns_port, 1053);
    assert_eq!(flags(&["-p=1053"]).options.dns_port, 1053);
    assert_eq!(flags(&["-conf", "-x"]).options.conf, "-x");
    assert_eq!(flags(&["-cache-bytes", "64Mi", "-workers", "3"]).cache_bytes, Some(64 << 20));
    assert!(!flags(&["-stale-on-outage=false"]).options.stale_on_outage);
    assert_eq!(flags(&["-metrics-listen-address=0"]).metrics_listen_address, None);
    assert_eq!(flags(&["-pidfile", "/tmp/x.pid"]).pid_file, Some("/tmp/x.pid".into()));
}

#[test]
fn sync_interval_is_in_seconds_in_every_notation() {
    for text in ["60", "60s", "60ns", "1m"] {
        assert_eq!(flags(&["-syncinterval", text]).sync_interval, Duration::from_secs(60), "{text}");
    }
    assert_eq!(usage_error(&["-localip", "::1", "-syncinterval", "500ms"]).code, 2);
    assert_eq!(usage_error(&["-localip", "::1", "-syncinterval", "18446744073709551615"]).code, 2);
}

#[test]
fn wrong_command_line_exits_with_2_and_a_reason() {
    for (args, part) in [
        (&["-localip", "node"][..], "invalid localip specified - \"node\""),
        (&[], "invalid localip specified - \"\""),
        (&["-localip", "::1", "-wibble", "x"], "--wibble"),
        (&["-localip", "::1", "-setupinterface=maybe"], "neither true nor false"),
        (&["-localip", "::1", "extra"], "extra"),
        (&["-localip", "::1", "-p", "65536"], "65536"),
        (&["-localip", "::1", "-workers", "0"], "1..=256"),
        (&["-localip", "::1", "-interfacename", "a-name-that-is-too-long"], "1 to 15"),
        (&["-localip", "::1", "-metrics-listen-address", "here"], "-metrics-listen-address"),
        (&["-localip", "::1", "-cache-bytes", "much"], "not a number of octets"),
        (&["-localip"], "--localip"),
    ] {
        let error = usage_error(args);
        assert_eq!(error.code, 2, "{args:?}");
        assert!(error.text.contains(part) && error.text.ends_with('\n'), "{args:?}: {}", error.text);
    }
}

#[test]
fn help_version_and_plugins_exit_with_0() {
    for (flag, part) in [
        ("-help", "--setupinterface"),
        ("--help", "--localip"),
        ("-h", "--dns.port"),
        ("-version", "nodelocaldns "),
        ("-plugins", "  dns.forward\n"),
    ] {
        let text = usage_error(&[flag]);
        assert_eq!(text.code, 0, "{flag}");
        assert!(text.text.contains(part), "{flag}: {}", text.text);
    }
}
