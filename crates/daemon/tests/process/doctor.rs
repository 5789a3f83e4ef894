//! `nodelocaldns doctor`, in network namespaces of their own.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;

use crate::fixture::{DNS, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::namespace::{in_namespace, output_of, skip};

const ADDRESS: &str = "169.254.25.10";

/// Runs the doctor for a Corefile; returns its exit code and stdout.
fn doctor(node: &Node, corefile: &str, args: &[&str]) -> (Option<i32>, String) {
    let path = node.directory.with_file_name(format!("{}.Corefile", node.ip));
    fs::write(&path, corefile).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nodelocaldns"))
        .args(["doctor", "-localip", ADDRESS, "-conf", path.to_str().unwrap()])
        .args(["-handover-dir", node.directory.to_str().unwrap()])
        .args(args)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn has_programs(test: &str) -> bool {
    let has = output_of("ip", &["link", "set", "lo", "up"]).is_some()
        && output_of("nft", &["list", "tables"]).is_some();
    if !has {
        skip(test, "no ip or nft command");
    }
    has
}

fn corefile(upstream: &str) -> String {
    format!("cluster.local {{\n bind {ADDRESS}\n forward . {upstream} {{\n  force_tcp\n }}\n}}\n")
}

#[test]
fn upstreams_are_queried_over_both_transports() {
    in_namespace(|| async {
        if !has_programs("upstreams_are_queried_over_both_transports") {
            return;
        }
        let node = Node::new();
        let upstream = upstream();
        let address = upstream.addr().to_string();
        let (_, text) = doctor(&node, &corefile(&address), &[]);
        assert!(text.contains(&format!("✓ {address} responds over UDP and TCP")), "{text}");
        let port = upstream.addr().port().to_string();
        output_of("nft", &["add", "table", "ip", "t"]);
        output_of("nft", &["add", "chain", "ip", "t", "out", "{ type filter hook output priority 0 ; }"]);
        output_of("nft", &["add", "rule", "ip", "t", "out", "udp", "dport", &port, "drop"]);
        let (_, text) = doctor(&node, &corefile(&address), &[]);
        assert!(text.contains(&format!("! {address} responds over TCP, but not over UDP")), "{text}");
        drop(upstream);
        let (code, text) = doctor(&node, &corefile(&address), &[]);
        assert!(text.contains(&format!("✗ {address} does not respond over UDP and TCP")), "{text}");
        assert_eq!(code, Some(2));
    });
}

#[test]
fn other_listeners_loops_and_firewalls_are_found() {
    in_namespace(|| async {
        if !has_programs("other_listeners_loops_and_firewalls_are_found") {
            return;
        }
        let node = Node::new();
        output_of("ip", &["address", "add", &format!("{ADDRESS}/32"), "dev", "lo"]);
        let _socket = UdpSocket::bind((ADDRESS, 53)).unwrap();
        output_of("nft", &["add", "table", "inet", "fw"]);
        output_of(
            "nft",
            &["add", "chain", "inet", "fw", "input", "{ type filter hook input priority 0 ; policy drop ; }"],
        );
        output_of("ip", &["link", "add", "bpfin.cali", "type", "bridge"]);
        let before = output_of("nft", &["list", "ruleset"]);
        let (code, text) = doctor(&node, &corefile(ADDRESS), &["-o", "json"]);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &report["worst"]), (Some(2), &"problem".into()), "{text}");
        let of_status = |status: &str| -> Vec<&str> {
            let findings = report["findings"].as_array().unwrap().iter();
            let found = findings.filter(|finding| finding["status"] == status);
            found.map(|finding| finding["message"].as_str().unwrap()).collect()
        };
        let (problems, warnings) = (of_status("problem"), of_status("warning"));
        let early =
            "no fail-open: Calico in eBPF mode translates addresses of Services before the packet filter";
        assert!(warnings.contains(&early) && warnings.contains(&"Calico in eBPF mode"), "{warnings:?}");
        let has = |part: &str| problems.iter().any(|problem| problem.contains(part));
        assert!(has(&format!("(PID {}) listens on UDP {ADDRESS}:53", std::process::id())), "{problems:?}");
        assert!(has(&format!("inet fw input drops DNS packets to {ADDRESS}, by its policy")), "{problems:?}");
        assert!(has(&format!("the upstream {ADDRESS}:53 is an address of ours")), "{problems:?}");
        assert_eq!(output_of("nft", &["list", "ruleset"]), before, "nothing is changed");
    });
}

#[test]
fn an_active_instance_is_recognized_and_logs_what_it_finds() {
    in_namespace(|| async {
        if !has_programs("an_active_instance_is_recognized_and_logs_what_it_finds") {
            return;
        }
        output_of("nft", &["add", "table", "inet", "fw"]);
        output_of("nft", &["add", "chain", "inet", "fw", "input", "{ type filter hook input priority 0 ; }"]);
        for protocol in ["udp", "tcp"] {
            let rule = ["add", "rule", "inet", "fw", "input", "ip", "daddr", ADDRESS, protocol, "dport"];
            output_of("nft", &[&rule[..], &[&DNS.to_string(), "drop"]].concat());
        }
        let (node, upstream) = (Node::new(), upstream());
        let mut command = node.command(&forward_corefile(&upstream, "force_tcp"));
        for arg in ["-setupinterface=true", "-link-kind=bridge", "-watchdog=0", "-dns.port=5300"] {
            command = command.arg(arg);
        }
        let daemon = command.arg(&format!("-localip={ADDRESS},{}", node.ip)).spawn().wait_until_ready();
        assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"handover.sock".to_owned())));
        let (_, text) = doctor(&node, &corefile("192.0.2.1"), &["-dns.port=5300"]);
        assert!(text.contains("✓ an instance is active"), "{text}");
        assert!(text.contains("✓ only the active instance listens on port 5300"), "{text}");
        let line = daemon.wait_for_log("doctor: ");
        assert!(
            line.starts_with("[ERROR] doctor: inet fw input drops DNS packets to 169.254.25.10"),
            "{line}"
        );
    });
}

#[test]
fn wrong_command_lines_of_doctor_exit_with_3_and_the_help_with_0() {
    for (args, code) in
        [(&["-o", "xml"][..], 3), (&["-wibble", "x"], 3), (&["-localip", "ten"], 3), (&["-help"], 0)]
    {
        let output =
            Command::new(env!("CARGO_BIN_EXE_nodelocaldns")).arg("doctor").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}
