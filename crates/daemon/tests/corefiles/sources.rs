//! Which text is the Corefile, and the flags that choose it.

use std::ffi::OsString;
use std::time::Duration;

use daemon::config::system::Node;
use daemon::config::{ConfigError, Settings, load};
use daemon::environment::Environment;
use daemon::flags::{self, UsageError};

use super::machine::{COREFILE, Machine, flags, no_environment, served};

const BASE: &str = "/etc/coredns/Corefile.base";

fn load_for(args: &[&str], files: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let env: Environment = env.iter().copied().collect();
    load(&flags(args), &env, &Machine::with(files))
}

fn usage(args: &[&str]) -> UsageError {
    flags::parse(["nodelocaldns"].iter().chain(args).map(OsString::from)).unwrap_err()
}

#[test]
fn a_template_is_used_before_conf_with_its_variables_replaced() {
    let template = "a.test:53 {\n bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__\n \
                    forward . __PILLAR__CLUSTER__DNS__\n \
                    prometheus __PROMETHEUS__ENDPOINT__\n}\n.:53 {\n bind __PILLAR__LOCAL__DNS__\n \
                    forward . __PILLAR__UPSTREAM__SERVERS__\n}\n";
    let args =
        ["-localip", "169.254.20.10,10.96.0.10", "-conf", "/etc/Corefile", "-upstreamsvc=kube-dns-upstream"];
    let env = [("KUBE_DNS_UPSTREAM_SERVICE_HOST", "10.96.0.11")];
    let settings = load_for(&args, &[(BASE, template), ("/etc/Corefile", "bogus")], &env).unwrap();
    assert_eq!(settings.source, BASE);
    let labels: Vec<String> = served(&settings).into_iter().map(|(label, _)| label).collect();
    assert_eq!(labels, ["dns://169.254.20.10:53", "dns://10.96.0.10:53"]);
    assert_eq!(settings.blocks[0].forwards[0].upstreams, ["10.96.0.11:53".parse().unwrap()]);
    assert_eq!(settings.blocks[1].forwards[0].upstreams, ["192.0.2.1:53".parse().unwrap()]);
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap()]);
}

#[test]
fn imports_of_a_template_are_relative_to_conf_where_node_cache_writes_it() {
    let files = [(BASE, ". {\n import custom/*.override\n}\n"), ("/etc/custom/a.override", "errors\n")];
    let settings = load_for(&["-conf", "/etc/Corefile"], &files, &[]).unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors"]);
}

#[test]
fn a_template_that_needs_the_cluster_dns_says_where_it_is_missing() {
    let files = [(BASE, ". {\n forward . __PILLAR__CLUSTER__DNS__\n}\n")];
    let error = load_for(&["-upstreamsvc", "coredns"], &files, &[]).unwrap_err().to_string();
    for part in [BASE, "COREDNS_SERVICE_HOST", "Service 'coredns'", "-upstreamsvc"] {
        assert!(error.contains(part), "{error}");
    }
    let bad =
        load_for(&["-upstreamsvc", "coredns"], &files, &[("COREDNS_SERVICE_HOST", "None")]).unwrap_err();
    assert!(bad.to_string().contains("COREDNS_SERVICE_HOST is 'None', which is not an IP address"), "{bad}");
}

#[test]
fn conf_is_taken_as_it_is_and_must_be_there() {
    let settings = load_for(&["-conf", COREFILE], &[(COREFILE, ". {\n}\n")], &[]).unwrap();
    assert_eq!((settings.source.as_str(), settings.warnings.len()), (COREFILE, 0));
    let error = load_for(&["-conf", COREFILE], &[], &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the Corefile /etc/coredns/Corefile (-conf) is not there, and neither is the template \
         /etc/coredns/Corefile.base (-basecorefile)"
    );
    let alone = load_for(&["-corefile", "/x/Corefile"], &[("/x/Corefile", ". {\n}\n")], &[]).unwrap();
    assert_eq!(alone.source, "/x/Corefile");
}

#[test]
fn a_template_that_was_asked_for_must_be_there_unless_there_is_a_conf() {
    let args = ["-basecorefile", "/x/base"];
    assert_eq!(
        load_for(&args, &[], &[]).unwrap_err().to_string(),
        "the file of -basecorefile, /x/base, is not there"
    );
    let args = ["-basecorefile", "/x/base", "-conf", COREFILE];
    let settings = load_for(&args, &[(COREFILE, ". {\n}\n")], &[]).unwrap();
    let warning = "the file of -basecorefile, /x/base, is not there; /etc/coredns/Corefile is used as it is";
    assert_eq!(settings.warnings, [warning]);
}

#[test]
fn conf_stdin_reads_what_is_piped_in() {
    let mut machine = Machine::with(&[]);
    machine.stdin = ". {\n wibble\n}\n".to_owned();
    let error = load(&flags(&["-conf", "stdin"]), &no_environment(), &machine).unwrap_err().to_string();
    assert!(error.starts_with("stdin:2 - Error during parsing: Unknown directive 'wibble'"), "{error}");
}

#[test]
fn real_files_are_found_and_imported_ones_are_named_in_full() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corefiles");
    let corefile = format!("{directory}/imports.Corefile");
    let error = load(&flags(&["-conf", &corefile]), &no_environment(), &Node).unwrap_err().to_string();
    let line = format!("{directory}/parts/b.part:2 - Error during parsing: Unknown directive 'wibble'");
    assert_eq!(error.lines().next(), Some(line.as_str()));
}

#[test]
fn without_a_file_the_built_in_corefile_serves_the_cluster() {
    let env = [("COREDNS_SERVICE_HOST", "10.233.0.3")];
    let settings = load_for(&["-upstreamsvc", "coredns"], &[], &env).unwrap();
    let zones = ["cluster.local.", "in-addr.arpa.", "ip6.arpa.", "."].map(str::to_owned).to_vec();
    assert_eq!(served(&settings), [("dns://169.254.25.10:53".to_owned(), zones)]);
    assert_eq!(settings.blocks[0].forwards[0].upstreams, ["10.233.0.3:53".parse().unwrap()]);
    assert_eq!(settings.health.unwrap().address, "169.254.25.10:9254".parse().unwrap());
    assert_eq!(settings.ready, Some("169.254.25.10:8181".parse().unwrap()));
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap()]);
    assert_eq!((settings.source.as_str(), settings.reload), ("the built-in Corefile", None));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn without_the_cluster_dns_the_built_in_corefile_serves_the_rest_and_says_so() {
    let settings = load_for(&["-localip", "fd00::10,169.254.25.10"], &[], &[]).unwrap();
    assert_eq!(
        served(&settings),
        [
            ("dns://[fd00::10]:53".to_owned(), vec![".".to_owned()]),
            ("dns://169.254.25.10:53".to_owned(), vec![".".to_owned()]),
        ]
    );
    assert_eq!(settings.health.unwrap().address, "[fd00::10]:9254".parse().unwrap());
    assert!(settings.warnings[0].contains("KUBE_DNS_SERVICE_HOST"), "{:?}", settings.warnings);
}

#[test]
fn the_config_map_of_kube_dns_is_not_ignored_in_silence() {
    let files = [(COREFILE, ". {\n}\n"), ("/etc/kube-dns/stubDomains", "{}")];
    let error =
        load_for(&["-conf", COREFILE, "-kubednscm", "/etc/kube-dns"], &files, &[]).unwrap_err().to_string();
    assert!(error.starts_with("-kubednscm /etc/kube-dns: ") && error.contains("not supported"), "{error}");
    let settings = load_for(&["-conf", COREFILE], &files, &[]).unwrap();
    assert!(
        settings.warnings[0].starts_with("/etc/kube-dns/stubDomains is not read"),
        "{:?}",
        settings.warnings
    );
    load_for(&["-conf", COREFILE, "-kubednscm", "/nowhere"], &[(COREFILE, ". {\n}\n")], &[]).unwrap();
}

#[test]
fn the_hash_tells_an_edit_from_a_change_of_blanks_and_comments() {
    let hash = |text: &str, imported: &str| {
        let files = [(COREFILE, text), ("/etc/coredns/x", imported)];
        load_for(&["-conf", COREFILE], &files, &[]).unwrap().hash
    };
    let before = hash(". {\n errors\n import x\n}\n", "log\n");
    assert_eq!(before.len(), 128);
    assert_eq!(hash(".   {\n\terrors # all\n import x\n}\n\n", "log"), before);
    for (text, imported) in [
        (". {\n\n errors\n import x\n}\n", "log\n"),
        (". {\n errors\n import x\n}\n", "\nlog\n"),
        (". {\n errors\n import x\n}\n", "log a.test\n"),
        (". {\n errors\n log\n}\n", ""),
        (".:54 {\n errors\n import x\n}\n", "log\n"),
    ] {
        assert_ne!(hash(text, imported), before, "{text:?} {imported:?}");
    }
}

#[test]
fn flags_have_the_defaults_of_node_cache() {
    let flags = flags(&[]);
    assert_eq!(flags.local_ips, ["169.254.25.10".parse::<std::net::IpAddr>().unwrap()]);
    assert!(flags.setup_interface && flags.setup_iptables);
    assert!(!flags.skip_teardown && !flags.reload_with_signal && !flags.quiet);
    assert_eq!((flags.interface_name.as_str(), flags.link_kind.as_str()), ("nodelocaldns", "auto"));
    assert_eq!(flags.sync_interval, Duration::from_secs(60));
    assert_eq!((flags.base_corefile.as_str(), flags.corefile.as_str()), (BASE, "/etc/Corefile"));
    assert_eq!((flags.conf.as_str(), flags.kube_dns_config_map.as_str()), ("", ""));
    assert_eq!(flags.upstream_service, "kube-dns");
    assert_eq!(flags.metrics_listen_address, Some("0.0.0.0:9353".parse().unwrap()));
    assert_eq!(flags.prometheus_listen_address, ":9253");
    assert_eq!((flags.health_port, flags.dns_port), (8080, 53));
    assert_eq!((flags.pid_file, flags.cache_bytes), (None, None));
    assert!((1..=2).contains(&flags.workers));
}

#[test]
fn flags_are_read_in_every_spelling_of_go() {
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
        assert_eq!(flags.local_ips, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()], "{args:?}");
        assert!(!flags.setup_interface && flags.skip_teardown, "{args:?}");
    }
    assert_eq!(flags(&["-dns.port", "1053"]).dns_port, 1053);
    assert_eq!(flags(&["-p=1053"]).dns_port, 1053);
    assert_eq!(flags(&["-conf", "-x"]).conf, "-x");
    assert_eq!(flags(&["-cache-bytes", "64Mi", "-workers", "3"]).cache_bytes, Some(64 << 20));
    assert_eq!(flags(&["-metrics-listen-address=0"]).metrics_listen_address, None);
    assert_eq!(flags(&["-pidfile", "/tmp/x.pid"]).pid_file, Some("/tmp/x.pid".into()));
}

#[test]
fn the_sync_interval_counts_in_seconds_however_it_is_written() {
    for text in ["60", "60s", "60ns", "1m"] {
        assert_eq!(flags(&["-syncinterval", text]).sync_interval, Duration::from_secs(60), "{text}");
    }
    assert_eq!(usage(&["-localip", "::1", "-syncinterval", "500ms"]).code, 2);
    assert_eq!(usage(&["-localip", "::1", "-syncinterval", "18446744073709551615"]).code, 2);
}

#[test]
fn the_port_without_a_number_is_that_of_the_flag() {
    let settings =
        load_for(&["-conf", COREFILE, "-dns.port=1053"], &[(COREFILE, ". a.test:54 {\n}\n")], &[]).unwrap();
    assert_eq!(settings.blocks[0].keys.iter().map(|key| key.port).collect::<Vec<_>>(), [1053, 54]);
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_why() {
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
        let error = usage(args);
        assert_eq!(error.code, 2, "{args:?}");
        assert!(error.text.contains(part) && error.text.ends_with('\n'), "{args:?}: {}", error.text);
    }
}

#[test]
fn help_version_and_plugins_are_texts_that_end_with_0() {
    for (flag, part) in [
        ("-help", "--setupinterface"),
        ("--help", "--localip"),
        ("-h", "--dns.port"),
        ("-version", "nodelocaldns "),
        ("-plugins", "  dns.forward\n"),
    ] {
        let text = usage(&[flag]);
        assert_eq!(text.code, 0, "{flag}");
        assert!(text.text.contains(part), "{flag}: {}", text.text);
    }
}
