//! Changes of the listen addresses that cannot be made: nothing changes.

use std::fs;
use std::net::{SocketAddr, TcpStream, UdpSocket};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use testkit::upstream::Upstream;

use crate::fixture::{
    DNS, DaemonCommand, DaemonProcess, HEALTH, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until,
};
use crate::load::Load;
use crate::namespace::{in_namespace, output_of, skip};
use crate::reload::reload;
use crate::responses::data;

const FAILED: &str = "coredns_reload_failed_total";
const REASON: &str =
    "bind: cannot assign requested address (the address is neither in -localip nor on the node)";

/// A Corefile whose third line binds the daemon's address and this one.
fn corefile_with(upstream: &Upstream, address: &str) -> String {
    forward_corefile(upstream, "force_tcp").replace("bind @", &format!("\n bind @ {address}"))
}

/// The line about an address that the node does not have.
fn rejected(daemon: &DaemonProcess, address: &str) -> String {
    format!("{}:3 - Listen: listen {address}:{DNS}: {REASON}", daemon.file("Corefile").display())
}

fn descriptors(daemon: &DaemonProcess) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count()
}

/// True when a UDP and a TCP socket that do not share their port can be bound: nobody has it.
fn is_free(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
}

/// Reloads a Corefile that cannot be applied, and expects the line, the counter, and the sockets
/// and descriptors of before.
fn assert_reload_fails(daemon: &DaemonProcess, corefile: &str, line: &str) {
    let (failed, open) = (daemon.metric(FAILED), descriptors(daemon));
    reload(daemon, corefile);
    let last = daemon.log_lines().into_iter().rfind(|line| line.starts_with("[ERROR]")).unwrap();
    assert_eq!(last, format!("[ERROR] plugin/reload: Corefile changed but reload failed: {line}"));
    assert_eq!(daemon.metric(FAILED), failed + 1);
    assert!(wait_until(WAIT_LIMIT, || descriptors(daemon) <= open), "{} of {open}", descriptors(daemon));
}

#[test]
fn wrong_bind_at_start_exits_with_its_line() {
    let upstream = upstream();
    for (corefile, line) in [
        (
            corefile_with(&upstream, "203.0.113.77"),
            format!("3 - Listen: listen 203.0.113.77:{DNS}: {REASON}"),
        ),
        (
            forward_corefile(&upstream, "").replace("errors", "health 203.0.113.77:8080"),
            format!("3 - listen tcp 203.0.113.77:8080: {REASON}"),
        ),
    ] {
        let daemon = DaemonCommand::new(&corefile).spawn();
        let line = format!("{}:{line}", daemon.file("Corefile").display());
        let end = daemon.wait_for_exit();
        assert_eq!((end.code, end.stderr), (Some(1), vec![line]), "{:?}", end.stdout);
    }
}

#[test]
fn wrong_bind_by_reload_keeps_the_old_configuration() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let daemon = DaemonProcess::with_two_workers(&corefile);
    let load = Load::start(daemon.addr(DNS));
    for edit in [
        corefile_with(&upstream, "203.0.113.77"),
        // In place of the right one, and after another one that could be bound.
        corefile_with(&upstream, "127.99.9.9 203.0.113.77").replace("@ 127", "127"),
    ] {
        load.wait_for_progress();
        assert_reload_fails(&daemon, &edit, &rejected(&daemon, "203.0.113.77"));
        assert!(is_free(SocketAddr::from(([127, 99, 9, 9], DNS))));
    }
    load.wait_for_progress();
    load.stop().assert_no_loss();
    assert_eq!(daemon.ready(), Some(200));
}

#[test]
fn wrong_bind_in_a_hand_over_leaves_the_predecessor_in_service() {
    let upstream = upstream();
    let node = Node::new();
    let predecessor = node.command(&forward_corefile(&upstream, "force_tcp")).spawn().wait_until_ready();
    let load = Load::start((node.ip, DNS).into());
    let lacking = corefile_with(&upstream, "127.99.9.8").replace("@ 127", "127");
    for corefile in [&corefile_with(&upstream, "203.0.113.77"), &lacking] {
        load.wait_for_progress();
        let successor = node.command(corefile).arg("-workers=3").spawn();
        let line = if *corefile == lacking {
            let (file, address) = (successor.file("Corefile"), predecessor.addr(DNS));
            format!(
                "{} - the active instance serves {address}, and no server block here does: not taking over (bind \
                 the address here, or remove it from the Corefile of the active instance first)",
                file.display()
            )
        } else {
            rejected(&successor, "203.0.113.77")
        };
        let end = successor.wait_for_exit();
        assert_eq!((end.code, end.stderr), (Some(1), vec![line]), "{:?}", end.stdout);
        predecessor
            .wait_for_log("[WARNING] a successor has not taken over: the peer has closed the connection");
    }
    load.wait_for_progress();
    load.stop().assert_no_loss();
    assert_eq!(predecessor.metric("nodelocaldns_handovers_total{event=\"handed_over\"}"), 0);
    assert_eq!(predecessor.ready(), Some(200));
}

#[test]
fn a_successor_that_does_not_answer_hands_back() {
    in_namespace(|| async {
        if output_of("ip", &["link", "set", "lo", "up"]).is_none()
            || output_of("nft", &["add", "table", "ip", "filter"]).is_none()
        {
            return skip("a_successor_that_does_not_answer_hands_back", "no ip or nft command");
        }
        let (upstream, node) = (upstream(), Node::new());
        let corefile = forward_corefile(&upstream, "force_tcp");
        let predecessor = node.command(&corefile).spawn().wait_until_ready();
        let chain = "{ type filter hook input priority 0 ; }";
        output_of("nft", &["add", "chain", "ip", "filter", "input", chain]);
        for protocol in ["udp", "tcp"] {
            let rule = ["add", "rule", "ip", "filter", "input", protocol, "dport", &DNS.to_string(), "drop"];
            output_of("nft", &rule);
            let end = node.command(&corefile).spawn().wait_for_exit();
            let line = format!(
                "no response to a query of our own on {}, which the active instance serves: not taking over",
                predecessor.addr(DNS)
            );
            assert_eq!((end.code, end.stderr), (Some(1), vec![line]), "{:?}", end.stdout);
            predecessor.wait_for_log("active again");
            output_of("nft", &["flush", "chain", "ip", "filter", "input"]);
            assert_eq!(data(&predecessor.query(&format!("ok-{protocol}.example."))), ["192.0.2.1"]);
        }
        assert_eq!(predecessor.metric("nodelocaldns_handovers_total{event=\"resumed\"}"), 2);
        let successor = node.command(&corefile).spawn();
        successor.wait_for_log("took over");
        assert_eq!(data(&successor.query("ok-1.example.")), ["192.0.2.1"]);
    });
}

#[test]
fn a_reload_names_an_address_that_it_removes() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let daemon = DaemonProcess::start(&corefile);
    reload(&daemon, &corefile.replace("bind @", "bind 127.99.9.7"));
    daemon.wait_for_log(&format!(
        "[WARNING] plugin/bind: {} is not served any more: pods that use it have no DNS",
        daemon.addr(DNS)
    ));
    reload(&daemon, &corefile);
    assert_eq!(daemon.warnings().len(), 1, "{:?}", daemon.warnings());
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
}

#[test]
fn reload_without_enough_descriptors_changes_nothing() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let command = DaemonCommand::new(&corefile).arg("-workers=2").descriptors(200);
    let daemon = command.spawn().wait_until_ready();
    let many: String = (1..100).map(|number| format!(" 127.99.8.{number}")).collect();
    let edit = corefile_with(&upstream, &many);
    let reason = "Too many open files (os error 24) (raise the limit of open files, or bind fewer addresses)";
    assert_reload_fails(&daemon, &edit, &format!("no descriptors for the listening sockets: {reason}"));
    for number in 1..100 {
        assert!(is_free(SocketAddr::from(([127, 99, 8, number], DNS))), "{number}");
    }
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    reload(&daemon, &corefile_with(&upstream, "127.99.8.1"));
    daemon.wait_for_log("Reloading complete");
}

/// Stops one thread of a process until dropped.
struct StoppedThread(Pid);

impl StoppedThread {
    fn named(name: &str, process: u32) -> Option<Self> {
        let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let is_named = |path: &std::path::Path| fs::read_to_string(path.join("comm")).unwrap().trim() == name;
        let path = threads.map(|thread| thread.unwrap().path()).find(|path| is_named(path)).unwrap();
        let thread = Pid::from_raw(path.file_name().unwrap().to_str().unwrap().parse().unwrap());
        ptrace::seize(thread, ptrace::Options::empty()).ok()?;
        ptrace::interrupt(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        Some(Self(thread))
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        ptrace::detach(self.0, None).unwrap();
    }
}

#[test]
fn a_reload_that_a_worker_is_late_for_changes_nothing() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "force_tcp");
    let daemon = DaemonProcess::with_two_workers(&corefile);
    let second = SocketAddr::from(([127, 99, 9, 6], DNS));
    let Some(stopped) = StoppedThread::named("worker-1", daemon.id()) else {
        return skip("a_reload_that_a_worker_is_late_for_changes_nothing", "not allowed to trace a process");
    };
    let edit = corefile_with(&upstream, "127.99.9.6").replace("force_tcp", "prefer_udp");
    let line = "worker 1: a worker thread does not respond to commands";
    assert_reload_fails(&daemon, &edit, line);
    assert!(is_free(second) && TcpStream::connect(second).is_err());
    drop(stopped);
    reload(&daemon, &edit);
    daemon.wait_for_log("Reloading complete");
    assert!(!is_free(second));
    assert_eq!(daemon.metric(FAILED), 1);
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
}

#[test]
fn wrong_health_address_by_reload_keeps_the_old_one() {
    let upstream = upstream();
    let corefile =
        forward_corefile(&upstream, "force_tcp").replace("ready", &format!("health @:{HEALTH}\n ready"));
    let daemon = DaemonProcess::start(&corefile);
    let edit = corefile.replace(&format!("@:{HEALTH}"), "203.0.113.77:9254");
    let line = format!("listen tcp 203.0.113.77:9254: {REASON}");
    assert_reload_fails(&daemon, &edit, &format!("{}:9 - {line}", daemon.file("Corefile").display()));
    let health = crate::responses::get(daemon.addr(HEALTH), "/health");
    assert_eq!(health.map(|(status, _)| status), Some(200));
}
