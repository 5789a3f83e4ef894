//! Two instances on one node in ways that no upgrade intends.

use std::fs;
use std::net::TcpListener;
use std::thread::Builder;

use nix::sys::signal::Signal;
use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::upstream::Upstream;

use crate::fixture::{DaemonProcess, HEALTH, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::foreign_peer::SOCKET_FILE;
use crate::responses::{data, get};

/// With `/health` too, and what it says in braces.
fn served(upstream: &Upstream, health: &str) -> String {
    forward_corefile(upstream, "force_tcp").replace("ready", &format!("health @:{HEALTH} {health}\n ready"))
}

/// A successor that has taken over from `before`, which leaves.
fn followed(node: &Node, corefile: &str, before: DaemonProcess) -> DaemonProcess {
    let after = node.command(corefile).spawn();
    after.wait_for_log("took over");
    let after = after.wait_until_ready();
    assert_eq!(before.terminate().code, Some(0));
    after
}

#[test]
fn removed_handover_socket_is_created_again() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream, ""));
    let before = node.command(&corefile).spawn().wait_until_ready();
    fs::remove_file(node.directory.join(SOCKET_FILE)).unwrap();
    before.wait_for_log("[WARNING] the hand-over socket was removed: created again");
    let after = followed(&node, &corefile, before);
    assert_eq!(after.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn hidden_instance_listens_again_after_the_other_exits() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream, ""));
    for end in [Signal::SIGTERM, Signal::SIGKILL] {
        let first = node.command(&corefile).spawn().wait_until_ready();
        first.signal(Signal::SIGSTOP);
        let second = node.command(&corefile).spawn();
        second.wait_for_log("starting beside it");
        second.wait_for_log("nodelocaldns-");
        first.signal(Signal::SIGCONT);
        let second = second.wait_until_ready();
        second.signal(end);
        second.wait_for_exit();
        first.wait_for_log("created again");
        let third = followed(&node, &corefile, first);
        assert_eq!(data(&third.query("ok-1.example.")), ["192.0.2.1"]);
        assert_eq!(third.terminate().code, Some(0));
    }
}

#[test]
fn instance_that_handed_back_answers_no_http_probes() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream, ""));
    let before = node.command(&corefile).spawn().wait_until_ready();
    let after = node.command(&corefile).spawn();
    after.wait_for_log("took over");
    let after = after.wait_until_ready();
    // It waits for this client before it ends.
    let mut client = after.connect();
    client.send("ok-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert_eq!(data(&client.receive().unwrap()), ["192.0.2.1"]);
    after.signal(Signal::SIGTERM);
    after.wait_for_log("the predecessor keeps serving");
    let listen = move || client.receive().is_err();
    let waiting = Builder::new().name("client".to_owned()).spawn(listen).unwrap();
    while !waiting.is_finished() {
        assert_eq!(before.ready(), Some(200));
        assert_eq!(get(before.addr(HEALTH), "/health").unwrap().0, 200);
    }
    assert!(waiting.join().unwrap(), "it is let go without another answer");
    assert_eq!(after.wait_for_exit().code, Some(0));
    assert_eq!(before.terminate().code, Some(0));
}

#[test]
fn failed_start_keeps_the_snapshot() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream, ""));
    let before = node.command(&corefile).spawn().wait_until_ready();
    assert_eq!(data(&before.query("ok-1.example.")), ["192.0.2.1"]);
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"cache.snapshot".to_owned())));
    before.signal(Signal::SIGKILL);
    before.wait_for_exit();
    let taken = TcpListener::bind((node.ip, HEALTH)).unwrap();
    assert_eq!(node.command(&corefile).spawn().wait_for_exit().code, Some(1));
    drop(taken);
    let after = node.command(&corefile).spawn().wait_until_ready();
    after.wait_for_log("1 cache entries from a snapshot");
    assert_eq!(after.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn successor_takes_over_during_lameduck() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), served(&upstream, "{\n lameduck 30s\n }"));
    let before = node.command(&corefile).spawn().wait_until_ready();
    assert_eq!(data(&before.query("ok-1.example.")), ["192.0.2.1"]);
    before.signal(Signal::SIGTERM);
    before.wait_for_log("Going into lameduck mode");
    let after = node.command(&corefile).spawn();
    after.wait_for_log("1 cache entries");
    after.wait_for_log("took over");
    assert_eq!(before.wait_for_exit().code, Some(0), "long before the lameduck is over");
    let after = after.wait_until_ready();
    after.signal(Signal::SIGINT);
    after.signal(Signal::SIGTERM);
    after.wait_for_exit();
}
