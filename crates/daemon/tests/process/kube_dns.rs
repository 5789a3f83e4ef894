//! The ConfigMap of kube-dns, mounted as the kubelet mounts it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use testkit::upstream::Upstream;

use crate::fixture::{DNS, DaemonProcess, Node, READY, WAIT_LIMIT, upstream, wait_until};
use crate::responses::data;

/// Replaces `stubDomains` in a mounted ConfigMap: `..data` is a link to a directory for each version,
/// and another link is renamed over it.
fn mount(directory: &Path, version: &str, stub_domains: &str) {
    let files = directory.join(version);
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("stubDomains"), stub_domains).unwrap();
    symlink(version, directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    if !directory.join("stubDomains").exists() {
        symlink("..data/stubDomains", directory.join("stubDomains")).unwrap();
    }
}

/// Whether a query for this name reaches this upstream.
fn reaches(daemon: &DaemonProcess, name: &str, upstream: &Upstream) -> bool {
    assert_eq!(data(&daemon.query(name)), ["192.0.2.1"]);
    upstream.query_count(name) == 1
}

#[test]
fn edits_of_the_config_map_of_kube_dns_are_followed() {
    let (root, stub, node) = (upstream(), upstream(), Node::new());
    let template = format!(
        ".:{DNS} {{\n reload 2s 1s\n bind __PILLAR__LOCAL__DNS__\n forward . {}\n ready {}:{READY}\n}}\n",
        root.addr(),
        node.ip
    );
    let (base, config_map) = (node.directory.join("Corefile.base"), node.directory.join("kube-dns"));
    fs::write(&base, template).unwrap();
    let command = node.command("").arg(&format!("-basecorefile={}", base.display()));
    let command = command.arg(&format!("-kubednscm={}", config_map.display()));
    let daemon = command.arg(&format!("-dns.port={DNS}")).spawn().wait_until_ready();
    assert!(reaches(&daemon, "ok-1.stub.test.", &root), "the directory does not exist yet");

    mount(&config_map, "..1", &format!("{{\"stub.test\": [\"{}\"]}}", stub.addr()));
    daemon.wait_for_log("Reloading complete");
    assert!(reaches(&daemon, "ok-2.stub.test.", &stub));
    assert!(reaches(&daemon, "ok-2.example.", &root));

    mount(&config_map, "..2", "{\"stub.test\":");
    let line = daemon.wait_for_log("reload failed");
    assert!(line.contains("/kube-dns/stubDomains:1 - invalid JSON"), "{line}");
    assert!(reaches(&daemon, "ok-3.stub.test.", &stub), "the running configuration stays");
    assert_eq!(daemon.metric("coredns_nodecache_setup_errors_total{errortype=\"configmap\"}"), 1);

    mount(&config_map, "..3", "{}");
    let mut queries = 3;
    let removed = wait_until(WAIT_LIMIT, || {
        queries += 1;
        reaches(&daemon, &format!("ok-{queries}.stub.test."), &root)
    });
    assert!(removed, "{:?}", daemon.log_lines());
    assert_eq!(daemon.warnings().len(), 1, "logged once: {:?}", daemon.warnings());
}
