#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]
//! The programs `cluster-zone` and `ask`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A running `cluster-zone` and its address.
struct Zone(Child, String);

impl Zone {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cluster-zone"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split([' ', ',']).find(|word| word.starts_with("127.")).unwrap();
        Self(child, address.to_owned())
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ask")).args(["--server", &self.1]).args(arguments).output().unwrap()
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn service_is_found_from_another_namespace_by_its_qualified_name() {
    let zone = Zone::start();
    let found = zone.ask(&["--namespace", "dev", "myweb-svc.default", "A", "MX"]);
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(found.status.success(), "{text}");
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        names,
        [
            "myweb-svc.default.dev.svc.cluster.local. A",
            "myweb-svc.default.svc.cluster.local. A",
            "myweb-svc.default.dev.svc.cluster.local. MX",
            "myweb-svc.default.svc.cluster.local. MX",
            "myweb-svc.default.cluster.local. MX",
            "myweb-svc.default. MX",
        ]
    );
    assert!(text.contains("\n      myweb-svc.default.svc.cluster.local. 5 IN A 10.233.18.231\n"), "{text}");
    assert!(text.contains("NXDOMAIN  flags: qr aa rd ra"), "{text}");
}

#[test]
fn missing_name_or_invalid_type_fails() {
    let zone = Zone::start();
    assert!(!zone.ask(&["--tcp", "myweb-svc.dev"]).status.success());
    assert!(!zone.ask(&["myweb-svc", "NONSENSE"]).status.success());
}
