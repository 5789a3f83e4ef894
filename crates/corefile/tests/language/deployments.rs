//! Corefiles of NodeLocal DNSCache deployments.

use corefile::{ConfigErrors, Settings};
use resolver::policy::{ServeStaleMode, TransportPreference};

use super::load::{BASE, COREFILE, load_for, served};

/// Loads a Corefile with `-conf`, as kubespray does.
fn load_conf(text: &str) -> Result<Settings, ConfigErrors> {
    let args = ["-conf", COREFILE, "-upstreamsvc", "coredns"];
    load_for(&args, &[(COREFILE, text)], &[("MY_HOST_IP", "192.0.2.44")])
}

/// Loads a template with node-cache's variables, as the official add-on does.
fn load_template(text: &str, imports: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    let args = [
        "-localip",
        "169.254.20.10,10.96.0.10",
        "-conf",
        "/etc/Corefile",
        "-upstreamsvc",
        "kube-dns-upstream",
    ];
    let files: Vec<_> = [(BASE, text)].into_iter().chain(imports.iter().copied()).collect();
    load_for(&args, &files, &[("KUBE_DNS_UPSTREAM_SERVICE_HOST", "10.96.0.11")])
}

fn cluster_zones() -> Vec<String> {
    ["cluster.local.", "in-addr.arpa.", "ip6.arpa.", "."].map(str::to_owned).to_vec()
}

#[test]
fn kubespray_corefile_loads() {
    let settings = load_conf(include_str!("../corefiles/kubespray.Corefile")).unwrap();
    assert_eq!(served(&settings), [("dns://169.254.25.10:53".to_owned(), cluster_zones())]);
    assert_eq!(settings.health, ["169.254.25.10:9254".parse().unwrap()]);
    assert_eq!(settings.prometheus, ["[::]:9253".parse().unwrap()]);
    let transports =
        settings.blocks.iter().map(|block| block.forwards[0].options.transport).collect::<Vec<_>>();
    let tcp = TransportPreference::ForceTcp;
    assert_eq!(transports, [tcp, tcp, tcp, TransportPreference::SameAsClient]);
    assert!(settings.reload.is_some() && settings.warnings.is_empty());
}

#[test]
fn kubespray_corefile_with_external_zones_loads() {
    let settings = load_conf(include_str!("../corefiles/kubespray-external.Corefile")).unwrap();
    let zones = &served(&settings)[0].1;
    assert!(zones.contains(&"example.com.".to_owned()) && zones.contains(&"old.cluster.".to_owned()));
    assert_eq!(settings.prometheus, ["192.0.2.44:9253".parse().unwrap()]);
    let label = "dns://169.254.25.10:1053";
    assert!(settings.listeners.iter().any(|listener| listener.label == label));
}

#[test]
fn official_add_on_template_loads() {
    let settings = load_template(include_str!("../corefiles/addon.Corefile"), &[]).unwrap();
    assert_eq!(
        served(&settings),
        [
            ("dns://169.254.20.10:53".to_owned(), cluster_zones()),
            ("dns://10.96.0.10:53".to_owned(), cluster_zones()),
        ]
    );
    assert_eq!(settings.blocks[1].forwards[0].upstreams, ["10.96.0.11:53".parse().unwrap()]);
    assert_eq!(settings.health, ["169.254.20.10:8080".parse().unwrap()]);
}

#[test]
fn rke2_template_with_local_redirect_policy_loads() {
    let settings = load_template(include_str!("../corefiles/rke2-lrp.Corefile"), &[]).unwrap();
    assert_eq!(settings.listeners[0].label, "dns://0.0.0.0:53");
    assert_eq!(settings.health, ["[::]:8080".parse().unwrap()]);
}

#[test]
fn gardener_template_with_imports_loads() {
    let custom = [
        ("/etc/custom/log.override", "log\n"),
        (
            "/etc/generated-config/custom-server-block.server",
            "corp.test:53 {\n bind 169.254.20.10\n forward . 192.0.2.53\n}\n",
        ),
    ];
    let settings = load_template(include_str!("../corefiles/gardener.Corefile"), &custom).unwrap();
    assert!(settings.blocks[0].directives.contains(&"log"));
    assert_eq!(settings.blocks.last().unwrap().keys[0].zone.to_string(), "corp.test.");
    assert_eq!(settings.blocks[0].forwards[0].options.transport, TransportPreference::PreferUdp);
}

#[test]
fn elastisys_template_with_consolidated_errors_and_a_record_template_loads() {
    let settings = load_template(include_str!("../corefiles/elastisys.Corefile"), &[]).unwrap();
    assert!(settings.blocks[1].directives.contains(&"template"));
    assert_eq!(settings.blocks[1].plugins.len(), 1);
    let errors = settings.blocks[1].errors.as_ref().unwrap();
    assert_eq!(errors.consolidate.len(), 1);
    assert!(!settings.blocks[1].log[0].classes.success);
}

#[test]
fn deliveryhero_template_with_prefetch_and_serve_stale_loads() {
    let settings = load_template(include_str!("../corefiles/deliveryhero.Corefile"), &[]).unwrap();
    let cache = settings.blocks[0].cache.as_ref().unwrap();
    assert_eq!(cache.prefetch.unwrap().amount, 10);
    assert_eq!(cache.serve_stale.unwrap().mode, ServeStaleMode::Immediate);
    assert!(settings.warnings.is_empty());
}
