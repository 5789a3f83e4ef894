//! Options of `forward` about connections: TLS, timeouts, source address.

use std::num::NonZeroUsize;
use std::time::Duration;

use corefile::ConfigErrors;
use corefile::settings::{ConnectionOptions, Forward, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::load::{COREFILE, first_line, load_for, load_from};

const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A CA certificate, a client certificate and its key, in PEM.
fn certificates() -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["node.test".to_owned()]).unwrap();
    let client = client.signed_by(&key, &authority).unwrap();
    [authority.pem(), client.pem(), key.serialize_pem()]
}

/// Loads a `forward` on a host with these files.
fn load(files: &[(&str, &str)], to: &str, lines: &str) -> Result<Settings, ConfigErrors> {
    let corefile = format!(". {{\n forward . {to} {{\n {lines}\n }}\n}}\n");
    load_from(&[files, &[(COREFILE, &corefile)]].concat())
}

fn forward(files: &[(&str, &str)], to: &str, options: &str) -> Forward {
    load(files, to, options).unwrap().blocks.remove(0).forwards.remove(0)
}

fn connection(options: &str) -> ConnectionOptions {
    forward(&[], "192.0.2.1", options).connection
}

fn error(files: &[(&str, &str)], to: &str, options: &str) -> String {
    first_line(load(files, to, options))
}

#[test]
fn connection_options_are_parsed_and_validated() {
    let unset = connection("policy random");
    assert_eq!((unset.expire, unset.max_age, unset.max_idle_conns), (Duration::from_secs(10), None, None));
    assert_eq!((unset.source_address, unset.tls), (None, None));
    assert_eq!(connection("max_age 30s").max_age, Some(Duration::from_secs(30)));
    assert_eq!(connection("max_age 0s").max_age, None);
    assert_eq!(connection("max_age 5s\n expire 5s").max_age, Some(Duration::from_secs(5)));
    assert_eq!(connection("max_idle_conns 3").max_idle_conns, NonZeroUsize::new(3));
    assert_eq!(connection("max_idle_conns 0").max_idle_conns, None);
    assert_eq!(connection("source_address 192.0.2.9").source_address, Some("192.0.2.9".parse().unwrap()));
    for (options, reason) in [
        ("max_age 5s", "max_age (5s) must not be less than expire (10s)"),
        ("max_age soon", "time: invalid duration \"soon\""),
        ("max_idle_conns -1", "max_idle_conns can't be negative: -1"),
        ("max_idle_conns", "Wrong argument count or unexpected line ending after 'max_idle_conns'"),
        ("source_address eth0", "source_address \"eth0\" is not an IP address"),
        ("source_address ::1", "::1 and upstream 192.0.2.1:53 are of different address families"),
    ] {
        let line = error(&[], "192.0.2.1", options);
        assert!(line.contains(":3 - ") && line.contains(reason), "{options}: {line}");
    }
}

#[test]
fn tls_upstreams_have_a_port_and_a_server_name() {
    let [roots, ..] = certificates();
    for (to, options, address, name) in [
        ("tls://192.0.2.1", "", "192.0.2.1:853", "192.0.2.1"),
        ("tls://192.0.2.1:8853", "", "192.0.2.1:8853", "192.0.2.1"),
        ("tls://192.0.2.1%dns.test", "", "192.0.2.1:853", "dns.test"),
        ("tls://192.0.2.1%dns.test:8853", "", "192.0.2.1:8853", "dns.test"),
        ("tls://2001:db8::1", "", "[2001:db8::1]:853", "2001:db8::1"),
        ("tls://[2001:db8::1]", "", "[2001:db8::1]:853", "2001:db8::1"),
        ("tls://[2001:db8::1]:8853", "", "[2001:db8::1]:8853", "2001:db8::1"),
        ("tls://2001:db8::1%dns.test", "", "[2001:db8::1]:853", "dns.test"),
        ("tls://[2001:db8::1%dns.test]:8853", "", "[2001:db8::1]:8853", "dns.test"),
        ("tls://[2001:db8::1]%dns.test:8853", "", "[2001:db8::1]:8853", "dns.test"),
        ("tls://192.0.2.1%dns.test", "tls_servername other.test", "192.0.2.1:853", "other.test"),
    ] {
        let forward = forward(&[(SYSTEM_ROOTS, &roots)], to, options);
        let address = address.parse().unwrap();
        assert_eq!(forward.upstreams, [address], "{to}");
        let tls = forward.connection.tls.unwrap();
        assert_eq!(tls.name(address).unwrap().to_str(), name, "{to}");
    }
    let mixed = forward(&[(SYSTEM_ROOTS, &roots)], "192.0.2.1 tls://192.0.2.2", "");
    let tls = mixed.connection.tls.unwrap();
    let has_name: Vec<bool> = mixed.upstreams.iter().map(|addr| tls.name(*addr).is_some()).collect();
    assert_eq!(has_name, [false, true]);
    for (to, reason) in [
        ("tls://dns.test", "tls:// needs an IP address: \"tls://dns.test\""),
        ("tls://192.0.2.1:0", "is not 1 to 65535"),
        ("tls://192.0.2.1%dns.test:https", "is not 1 to 65535"),
        ("tls://192.0.2.1%-.-", "\"-.-\" is not a valid server name"),
    ] {
        let line = error(&[(SYSTEM_ROOTS, &roots)], to, "");
        assert!(line.contains(":2 - ") && line.contains(reason), "{to}: {line}");
    }
}

#[test]
fn certificates_are_read_and_validated_at_load() {
    let [ca, certificate, key] = certificates();
    let [other_ca, _, other_key] = certificates();
    let files = [
        ("/tls/ca", &*ca),
        ("/tls/other-ca", &other_ca),
        ("/tls/certificate", &certificate),
        ("/tls/key", &key),
        ("/tls/other-key", &other_key),
        ("/tls/noise", "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"),
        ("/tls/no-certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("/tls/empty", ""),
    ];
    let tls = |words: &str| forward(&files, "tls://192.0.2.1", words).connection;
    assert_eq!(tls("tls /tls/ca"), tls("tls /tls/ca"));
    assert_ne!(tls("tls /tls/ca"), tls("tls /tls/other-ca"));
    assert_ne!(tls("tls /tls/ca"), tls("tls /tls/certificate /tls/key /tls/ca"));
    for (words, reason) in [
        ("tls /tls/none", "cannot read \"/tls/none\": entity not found"),
        ("tls /tls/empty", "/tls/empty contains no certificate in PEM"),
        ("tls /tls/noise", "/tls/noise is not PEM"),
        ("tls /tls/no-certificate", "/tls/no-certificate contains an invalid certificate"),
        ("tls /tls/certificate /tls/ca /tls/ca", "/tls/ca contains no private key in PEM"),
        ("tls /tls/certificate /tls/other-key /tls/ca", "/tls/certificate does not match /tls/other-key"),
        ("tls a b c d", "Wrong argument count or unexpected line ending after 'd'"),
    ] {
        let line = error(&files, "tls://192.0.2.1", words);
        assert!(line.contains(":3 - ") && line.contains(reason), "{words}: {line}");
        let without_tls = error(&files, "192.0.2.1", words);
        assert!(without_tls.contains(reason), "rejected without a TLS upstream, too: {words}: {without_tls}");
    }
}

#[test]
fn public_cas_are_trusted_where_the_system_has_no_ca_file() {
    let [ca, ..] = certificates();
    let tls = |files: &[(&str, &str)], options: &str| {
        forward(files, "tls://192.0.2.1", options).connection.tls.unwrap().identity
    };
    let compiled = tls(&[], "");
    assert_eq!(compiled, tls(&[], "tls"));
    let system = tls(&[("/etc/ssl/cert.pem", &ca)], "");
    assert_ne!(compiled, system, "the files of the system come first");
    let first = [(SYSTEM_ROOTS, &*ca), ("/etc/ssl/cert.pem", "")];
    assert_eq!(system, tls(&first, ""), "the first bundle is used");
    assert_eq!(system, tls(&[("/tls/ca", &ca)], "tls /tls/ca"), "CA comes before all others");
}

#[test]
fn ssl_cert_file_replaces_the_ca_files_of_the_system() {
    let ([ca, ..], [other, ..]) = (certificates(), certificates());
    let corefile = ". {\n forward . tls://192.0.2.1\n}\n";
    let files = [(SYSTEM_ROOTS, &*ca), ("/ca.pem", &other), ("/empty.pem", ""), (COREFILE, corefile)];
    let load = |file: &str| load_for(&["-conf", COREFILE], &files, &[("SSL_CERT_FILE", file)]);
    let identity = |file: &str| {
        let forward = load(file).unwrap().blocks.remove(0).forwards.remove(0);
        forward.connection.tls.unwrap().identity
    };
    assert_eq!(identity(SYSTEM_ROOTS), identity(""), "empty as if not set");
    assert_ne!(identity("/ca.pem"), identity(""));
    assert_ne!(identity("/absent.pem"), identity(""), "those compiled in");
    let line = load("/empty.pem").unwrap_err().to_string();
    assert!(line.contains("/empty.pem (no certificate in PEM)"), "{line}");
}

/// It may have been meant to restrict the trust, so that the CAs compiled in do not replace it.
#[test]
fn a_system_ca_file_without_certificates_is_rejected() {
    let line = error(&[(SYSTEM_ROOTS, "")], "tls://192.0.2.1", "tls");
    for part in [":2 - ", "needs CA certificates", SYSTEM_ROOTS, "no certificate in PEM", "'tls CA'"] {
        assert!(line.contains(part), "{line}");
    }
    let line = error(&[("/etc/ssl/cert.pem/file", "")], "tls://192.0.2.1", "");
    assert!(line.contains("/etc/ssl/cert.pem (is a directory)"), "{line}");
}

#[test]
fn tls_options_without_a_tls_upstream_cause_a_warning() {
    let [ca, ..] = certificates();
    let settings = load(&[("/tls/ca", &ca)], "192.0.2.1", "tls /tls/ca").unwrap();
    assert_eq!(settings.blocks[0].forwards[0].connection.tls, None);
    let warnings = settings.warnings;
    assert!(warnings[0].ends_with("no upstream uses tls://: tls has no effect"), "{warnings:?}");
    let warnings = load(&[], "192.0.2.1", "tls_servername dns.test").unwrap().warnings;
    assert!(warnings[0].ends_with("uses tls://: tls_servername has no effect"), "{warnings:?}");
}
