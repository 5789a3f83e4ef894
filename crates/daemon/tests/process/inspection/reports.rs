//! `nodelocaldns dump`, and the page of the metrics addresses.

use std::io::Read;

use serde_json::Value;

use super::{output, run, start};
use crate::fixture::{Node, forward_corefile, upstream};
use crate::responses::get;

/// The names and contents of the files in an archive.
fn untar(octets: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(octets);
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        (name, content)
    });
    files.collect()
}

#[test]
fn a_dump_has_everything_with_names_hashed_on_request() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = start(&node, &forward_corefile(&upstream, "force_tcp"));
    daemon.query("ok-secret.example.");
    let file = node.directory.with_file_name(format!("{}.tar", node.ip));
    assert_eq!(output(&node, &["dump", "-f", file.to_str().unwrap()]), (Some(0), String::new()));
    let files = untar(&std::fs::read(&file).unwrap());
    std::fs::remove_file(&file).unwrap();
    let names: Vec<&str> = files.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        names,
        [
            "status.json",
            "status.txt",
            "config.json",
            "Corefile",
            "insight.json",
            "metrics.txt",
            "cache.json",
            "doctor.json"
        ]
    );
    let has = |files: &[(String, String)], name: &str, part: &str| {
        files.iter().any(|(file, content)| file == name && content.contains(part))
    };
    for (name, part) in [
        ("status.json", "\"hit_ratio\""),
        ("Corefile", "forward . "),
        ("insight.json", "ok-secret.example."),
        ("metrics.txt", "coredns_build_info{"),
        ("cache.json", "\"ok-secret.example.\""),
        ("doctor.json", "\"findings\""),
    ] {
        assert!(has(&files, name, part), "{part} in {name} of {files:?}");
    }
    let hashed = run(&node, &["dump", "-hash-names"]);
    assert_eq!((hashed.status.code(), &*hashed.stderr), (Some(0), &b""[..]));
    let hashed = untar(&hashed.stdout);
    assert_eq!(hashed.len(), files.len());
    assert!(!hashed.iter().any(|(_, content)| content.contains("secret")), "{hashed:?}");
}

#[test]
fn the_metrics_addresses_serve_a_page_of_the_status_unless_it_is_off() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = start(&node, &forward_corefile(&upstream, ""));
    daemon.query("ok-secret.example.");
    for port in [9253, 9353] {
        let (code, page) = get(daemon.addr(port), "/").unwrap();
        assert_eq!(code, 200);
        for outside in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(outside), "{outside}");
        }
        let (code, status) = get(daemon.addr(port), "/status.json").unwrap();
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!((code, &status["ready"], &status["cache"]["misses"]), (200, &true.into(), &1.into()));
        assert!(!status.to_string().contains("secret"));
    }
    let node = Node::new();
    let without = node.command(&forward_corefile(&upstream, "")).arg("-status-page=false").spawn();
    let without = without.wait_until_ready();
    assert_eq!(["/", "/status.json"].map(|path| get(without.addr(9353), path).unwrap().0), [404, 404]);
}
