//! `nodelocaldns uninstall`, in network namespaces of their own.

use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::fixture::{
    DaemonCommand, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until,
};
use crate::namespace::{in_namespace, output_of, skip};

const ADDRESS: &str = "169.254.25.10";

/// The uninstaller's exit code and stdout.
fn uninstall(node: &Node, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_nodelocaldns"))
        .args(["uninstall", "-handover-dir", node.directory.to_str().unwrap()])
        .args(args)
        .env("XTABLES_LOCKFILE", lock_file(node))
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A lock file beside the directory of the hand-over, so that no program of the machine waits for it.
fn lock_file(node: &Node) -> PathBuf {
    node.directory.with_file_name(format!("{}.lock", node.ip))
}

/// Links, addresses and rules of the namespace, without counters.
fn state(node: &Node) -> Vec<String> {
    let programs = ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"];
    let saved = programs.map(|program| {
        let output =
            Command::new(format!("{program}-save")).env("XTABLES_LOCKFILE", lock_file(node)).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        // Without the counters of policies.
        let lines = lines.map(|line| line.split_once(" [").map_or(line, |(policy, _)| policy));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    });
    let listed = [output_of("ip", &["address"]), output_of("nft", &["-s", "list", "ruleset"])];
    listed.into_iter().flatten().chain(saved).collect()
}

fn iptables(node: &Node, command: &str) {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap());
    // An underscore stands for a space in a comment.
    program.args(words.map(|word| word.replace('_', " "))).env("XTABLES_LOCKFILE", lock_file(node));
    let output = program.output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
}

/// Whether the programs that the tests look with are installed; brings up the loopback link.
fn is_prepared(node: &Node, test: &str) -> bool {
    let is_installed = |program: &str| Command::new(program).arg("-V").output().is_ok();
    let programs = ["nft", "iptables-nft", "iptables-legacy"];
    if output_of("ip", &["link", "set", "lo", "up"]).is_none() || !programs.into_iter().all(is_installed) {
        skip(test, "no ip, nft or iptables command");
        return false;
    }
    fs::write(lock_file(node), "").unwrap();
    true
}

fn start(node: &Node) -> DaemonProcess {
    let upstream = upstream();
    let mut command: DaemonCommand = node.command(&forward_corefile(&upstream, "force_tcp"));
    for arg in ["-setupinterface=true", "-setupiptables=true", "-link-kind=bridge", "-watchdog=0"] {
        command = command.arg(arg);
    }
    let addresses = format!("-localip={ADDRESS},fd00:25::10,{}", node.ip);
    let daemon = command.arg(&addresses).spawn().wait_until_ready();
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"handover.sock".to_owned())));
    daemon
}

/// Rules of others, and of node-cache in each program.
fn add_rules_of_node_cache(node: &Node) {
    for program in ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"] {
        let comment = "-m comment --comment NodeLocal_DNS_Cache:";
        iptables(
            node,
            &format!("{program} -I INPUT -p udp --dport 53 {comment}_allow_DNS_traffic -j ACCEPT"),
        );
        iptables(
            node,
            &format!("{program} -t raw -I OUTPUT -p tcp --sport 53 {comment}_skip_conntrack -j NOTRACK"),
        );
    }
}

#[test]
fn a_node_is_as_before_after_a_crash_and_an_uninstall() {
    in_namespace(|| async {
        let node = Node::new();
        if !is_prepared(&node, "a_node_is_as_before_after_a_crash_and_an_uninstall") {
            return;
        }
        for program in ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"] {
            iptables(&node, &format!("{program} -N KUBE-FIREWALL"));
            iptables(&node, &format!("{program} -A INPUT -j KUBE-FIREWALL"));
            iptables(&node, &format!("{program} -t raw -A PREROUTING -p udp --dport 99 -j NOTRACK"));
        }
        let before = state(&node);
        let daemon = start(&node);
        add_rules_of_node_cache(&node);
        daemon.signal(Signal::SIGKILL);
        daemon.wait_for_exit();
        fs::write(node.directory.join("cache.snapshot"), "").unwrap();
        assert_ne!(state(&node), before);

        let (code, text) = uninstall(&node, &[]);
        let lines: Vec<&str> = text.lines().collect();
        let link = format!("link nodelocaldns: removed (bridge, {}, {ADDRESS}, fd00:25::10)", node.ip);
        let directory = node.directory.display();
        let files =
            format!("hand-over directory {directory}: removed (handover.sock, control.sock, cache.snapshot)");
        let removed = "removed (1 of filter INPUT, 1 of raw OUTPUT)";
        assert_eq!(
            lines,
            [
                "packet-filter table inet nodelocaldns: removed".to_owned(),
                format!("rules of node-cache in iptables-nft: {removed}"),
                format!("rules of node-cache in ip6tables-nft: {removed}"),
                format!("rules of node-cache in iptables-legacy: {removed}"),
                format!("rules of node-cache in ip6tables-legacy: {removed}"),
                link,
                files,
            ]
        );
        assert_eq!(code, Some(0));
        assert_eq!(state(&node), before);
        assert!(!node.directory.exists());

        let (code, text) = uninstall(&node, &[]);
        assert!(
            text.lines().all(|line| line.ends_with(": not there")) && text.lines().count() == 7,
            "{text}"
        );
        assert_eq!(code, Some(0));
        assert_eq!(state(&node), before);
    });
}

#[test]
fn nothing_is_removed_while_an_instance_is_active() {
    in_namespace(|| async {
        let node = Node::new();
        if !is_prepared(&node, "nothing_is_removed_while_an_instance_is_active") {
            return;
        }
        let daemon = start(&node);
        let rules = || state(&node).split_off(1);
        let before = rules();
        let refused = |text: &str| {
            text.starts_with("nothing is removed: an instance is active") && text.contains("-force")
        };
        let (code, text) = uninstall(&node, &[]);
        assert!(code == Some(1) && refused(&text), "{text}");
        // One that hangs.
        daemon.signal(Signal::SIGSTOP);
        let (code, text) = uninstall(&node, &[]);
        assert!(code == Some(1) && refused(&text), "{text}");
        assert_eq!(rules(), before);
        assert!(output_of("ip", &["address"]).unwrap().contains(ADDRESS));
        let (code, text) = uninstall(&node, &["-force"]);
        assert!(code == Some(0) && text.contains("link nodelocaldns: removed"), "{text}");
    });
}

#[test]
fn an_uninstall_that_waits_begins_when_the_instance_has_ended() {
    in_namespace(|| async {
        let node = Node::new();
        if !is_prepared(&node, "an_uninstall_that_waits_begins_when_the_instance_has_ended") {
            return;
        }
        let before = state(&node);
        let daemon = start(&node);
        let mut waiting = Command::new(env!("CARGO_BIN_EXE_nodelocaldns"))
            .args(["uninstall", "-wait", "60", "-handover-dir", node.directory.to_str().unwrap()])
            .env("XTABLES_LOCKFILE", lock_file(&node))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (code, text) = uninstall(&node, &["-wait", "1"]);
        assert!(code == Some(1) && text.starts_with("nothing is removed"), "{text}");
        assert!(waiting.try_wait().unwrap().is_none());
        daemon.signal(Signal::SIGKILL);
        daemon.wait_for_exit();
        assert_eq!(waiting.wait().unwrap().code(), Some(0));
        assert_eq!(state(&node), before);
    });
}

#[test]
fn nothing_is_removed_while_a_process_listens_on_an_address_of_the_link() {
    in_namespace(|| async {
        let node = Node::new();
        if !is_prepared(&node, "nothing_is_removed_while_a_process_listens_on_an_address_of_the_link") {
            return;
        }
        output_of("ip", &["link", "add", "nodelocaldns", "type", "bridge"]);
        output_of("ip", &["address", "add", &format!("{ADDRESS}/32"), "dev", "nodelocaldns"]);
        let socket = UdpSocket::bind((ADDRESS, 53)).unwrap();
        let (code, text) = uninstall(&node, &["-o", "json"]);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let refused = report["refused"].as_str().unwrap();
        let reason = format!(
            " (PID {}) listens on UDP {ADDRESS}:53: stop it first, or add -force",
            std::process::id()
        );
        assert!(refused.ends_with(&reason), "{text}");
        assert_eq!((&report["ok"], &report["items"]), (&false.into(), &serde_json::json!([])));
        assert_eq!(code, Some(1));
        drop(socket);
        // A process that another test starts at this moment has a copy of the descriptor until it execs.
        let (mut code, mut text) = (None, String::new());
        wait_until(WAIT_LIMIT, || {
            (code, text) = uninstall(&node, &["-o", "json"]);
            code == Some(0)
        });
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let link = serde_json::json!({
            "subject": "link nodelocaldns",
            "outcome": "removed",
            "detail": format!("bridge, {ADDRESS}"),
            "command": null,
        });
        assert_eq!(report["items"][5], link, "{text}");
        assert_eq!(
            (code, &report["ok"], &report["refused"]),
            (Some(0), &true.into(), &serde_json::Value::Null)
        );
    });
}

#[test]
fn what_belongs_to_others_is_kept() {
    in_namespace(|| async {
        let node = Node::new();
        if !is_prepared(&node, "what_belongs_to_others_is_kept") {
            return;
        }
        output_of("ip", &["link", "add", "nodelocaldns", "type", "veth", "peer", "name", "other"]);
        output_of("ip", &["address", "add", &format!("{ADDRESS}/32"), "dev", "nodelocaldns"]);
        output_of("ip", &["link", "add", "local0", "type", "bridge"]);
        fs::write(node.directory.join("other"), "").unwrap();
        let (code, text) = uninstall(&node, &["-interfacename=local0", "-localip", ADDRESS]);
        for line in [
            "link local0: removed (bridge)".to_owned(),
            format!("link nodelocaldns: kept, not ours: kind veth, or with ports; {ADDRESS} removed"),
            format!(
                "hand-over directory {}: kept, without files of ours: Directory not empty (os error 39)",
                node.directory.display()
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert_eq!(code, Some(0));
        assert!(node.directory.join("other").exists());
        assert!(!output_of("ip", &["address"]).unwrap().contains(ADDRESS));
        let (_, text) = uninstall(&node, &["-setupinterface=false", "-setupiptables=false"]);
        assert_eq!(text.lines().count(), 1, "{text}");
    });
}

#[test]
fn rules_that_cannot_be_removed_are_reported_with_a_command() {
    in_namespace(|| async {
        let node = Node::new();
        if !is_prepared(&node, "rules_that_cannot_be_removed_are_reported_with_a_command") {
            return;
        }
        add_rules_of_node_cache(&node);
        fs::remove_file(lock_file(&node)).unwrap();
        let (code, text) = uninstall(&node, &[]);
        let command =
            "iptables-legacy-save -c | grep -v -- 'NodeLocal DNS Cache:' | iptables-legacy-restore -c";
        let line =
            text.lines().find(|line| line.starts_with("rules of node-cache in iptables-legacy")).unwrap();
        assert!(line.contains("mount it; or run on the node: ") && line.ends_with(command), "{line}");
        assert_eq!(code, Some(1));
        fs::write(lock_file(&node), "").unwrap();
        let shell =
            Command::new("sh").args(["-c", command]).env("XTABLES_LOCKFILE", lock_file(&node)).output();
        assert!(shell.unwrap().status.success());
        let (code, text) = uninstall(&node, &[]);
        assert!(text.contains("iptables-legacy: not there"), "{text}");
        assert!(text.contains("ip6tables-legacy: removed (1 of filter INPUT, 1 of raw OUTPUT)"), "{text}");
        assert_eq!(code, Some(0));
    });
}

#[test]
fn wrong_command_lines_of_uninstall_exit_with_2_and_the_help_with_0() {
    let run = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_nodelocaldns")).arg("uninstall").args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let wrong = [
        &["-o", "xml"][..],
        &["-wibble", "x"],
        &["-force=maybe"],
        &["node-1"],
        &["-localip", "ten"],
        &["-wait", "1m"],
    ];
    for args in wrong {
        assert_eq!(run(args), (Some(2), String::new()), "{args:?}");
    }
    let (code, text) = run(&["-force", "-help"]);
    assert!(code == Some(0) && text.contains("-force"), "{text}");
}
