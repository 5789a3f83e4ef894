//! Which file is the Corefile, by flags.

use corefile::{Environment, load};

use super::fake_host::FakeHost;
use super::load::{BASE, COREFILE, load_for, options, served};

#[test]
fn template_takes_precedence_over_conf_and_is_rendered() {
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
fn imports_of_a_template_are_relative_to_conf() {
    let files = [(BASE, ". {\n import custom/*.override\n}\n"), ("/etc/custom/a.override", "errors\n")];
    let settings = load_for(&["-conf", "/etc/Corefile"], &files, &[]).unwrap();
    assert_eq!(settings.blocks[0].directives, ["errors"]);
}

#[test]
fn template_without_a_cluster_dns_address_is_rejected_with_a_remedy() {
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
fn conf_is_used_unrendered_and_must_exist() {
    let settings = load_for(&["-conf", COREFILE], &[(COREFILE, ". {\n}\n")], &[]).unwrap();
    assert_eq!((settings.source.as_str(), settings.warnings.len()), (COREFILE, 0));
    let error = load_for(&["-conf", COREFILE], &[], &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the Corefile /etc/coredns/Corefile (-conf) does not exist, and neither does the template \
         /etc/coredns/Corefile.base (-basecorefile)"
    );
    let alone = load_for(&["-corefile", "/x/Corefile"], &[("/x/Corefile", ". {\n}\n")], &[]).unwrap();
    assert_eq!(alone.source, "/x/Corefile");
}

#[test]
fn configured_template_must_exist_unless_conf_is_given() {
    let args = ["-basecorefile", "/x/base"];
    assert_eq!(
        load_for(&args, &[], &[]).unwrap_err().to_string(),
        "the file of -basecorefile, /x/base, does not exist"
    );
    let args = ["-basecorefile", "/x/base", "-conf", COREFILE];
    let settings = load_for(&args, &[(COREFILE, ". {\n}\n")], &[]).unwrap();
    let warning =
        "the file of -basecorefile, /x/base, does not exist; /etc/coredns/Corefile is used as it is";
    assert_eq!(settings.warnings, [warning]);
}

#[test]
fn conf_stdin_reads_standard_input() {
    let mut host = FakeHost::with(&[]);
    host.stdin = ". {\n wibble\n}\n".to_owned();
    let error = load(&options(&["-conf", "stdin"]), &Environment::default(), &host).unwrap_err().to_string();
    assert!(error.starts_with("stdin:2 - Error during parsing: Unknown directive 'wibble'"), "{error}");
}

#[test]
fn built_in_corefile_is_used_without_a_file() {
    let env = [("COREDNS_SERVICE_HOST", "10.233.0.3")];
    let settings = load_for(&["-upstreamsvc", "coredns"], &[], &env).unwrap();
    let zones = ["cluster.local.", "in-addr.arpa.", "ip6.arpa.", "."].map(str::to_owned).to_vec();
    assert_eq!(served(&settings), [("dns://169.254.25.10:53".to_owned(), zones)]);
    assert_eq!(settings.blocks[0].forwards[0].upstreams, ["10.233.0.3:53".parse().unwrap()]);
    assert_eq!(settings.health, ["169.254.25.10:9254".parse().unwrap()]);
    assert_eq!(settings.ready, ["169.254.25.10:8181".parse().unwrap()]);
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap()]);
    assert_eq!((settings.source.as_str(), settings.reload), ("the built-in Corefile", None));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn built_in_corefile_without_cluster_dns_forwards_all_names_with_a_warning() {
    let settings = load_for(&["-localip", "fd00::10,169.254.25.10"], &[], &[]).unwrap();
    assert_eq!(
        served(&settings),
        [
            ("dns://[fd00::10]:53".to_owned(), vec![".".to_owned()]),
            ("dns://169.254.25.10:53".to_owned(), vec![".".to_owned()]),
        ]
    );
    assert_eq!(settings.health, ["[fd00::10]:9254".parse().unwrap()]);
    assert!(settings.warnings[0].contains("KUBE_DNS_SERVICE_HOST"), "{:?}", settings.warnings);
}

#[test]
fn hash_changes_with_words_and_lines_but_not_with_spaces_and_comments() {
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
fn dns_port_flag_is_the_port_of_keys_without_one() {
    let settings =
        load_for(&["-conf", COREFILE, "-dns.port=1053"], &[(COREFILE, ". a.test:54 {\n}\n")], &[]).unwrap();
    assert_eq!(settings.blocks[0].keys.iter().map(|key| key.port).collect::<Vec<_>>(), [1053, 54]);
}
