//! Two instances on one node in states that no upgrade intends.

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

/// A Corefile with `/health` and this block of options.
fn health_corefile(upstream: &Upstream, health: &str) -> String {
    forward_corefile(upstream, "force_tcp").replace("ready", &format!("health @:{HEALTH} {health}\n ready"))
}

/// Starts a successor, which takes over from `predecessor`, and terminates that.
fn replace(node: &Node, corefile: &str, predecessor: DaemonProcess) -> DaemonProcess {
    let successor = node.command(corefile).spawn();
    successor.wait_for_log("took over");
    let successor = successor.wait_until_ready();
    assert_eq!(predecessor.terminate().code, Some(0));
    successor
}

#[test]
fn removed_handover_socket_is_created_again() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream, ""));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    fs::remove_file(node.directory.join(SOCKET_FILE)).unwrap();
    predecessor.wait_for_log("[WARNING] the hand-over socket was removed: created again");
    let successor = replace(&node, &corefile, predecessor);
    assert_eq!(successor.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn hidden_instance_listens_again_after_the_other_exits() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream, ""));
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
        let third = replace(&node, &corefile, first);
        assert_eq!(data(&third.query("ok-1.example.")), ["192.0.2.1"]);
        assert_eq!(third.terminate().code, Some(0));
    }
}

#[test]
fn instance_that_handed_back_answers_no_http_probes() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream, ""));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let successor = node.command(&corefile).spawn();
    successor.wait_for_log("took over");
    let successor = successor.wait_until_ready();
    // Keeps the instance from exiting at once.
    let mut client = successor.connect();
    client.send("ok-1.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert_eq!(data(&client.receive().unwrap()), ["192.0.2.1"]);
    successor.signal(Signal::SIGTERM);
    successor.wait_for_log("the predecessor keeps serving");
    let listen = move || client.receive().is_err();
    let waiting = Builder::new().name("client".to_owned()).spawn(listen).unwrap();
    while !waiting.is_finished() {
        assert_eq!(predecessor.ready(), Some(200));
        assert_eq!(get(predecessor.addr(HEALTH), "/health").unwrap().0, 200);
    }
    assert!(waiting.join().unwrap(), "the connection is closed without another response");
    assert_eq!(successor.wait_for_exit().code, Some(0));
    assert_eq!(predecessor.terminate().code, Some(0));
}

#[test]
fn failed_start_keeps_the_snapshot() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream, ""));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    assert_eq!(data(&predecessor.query("ok-1.example.")), ["192.0.2.1"]);
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"cache.snapshot".to_owned())));
    predecessor.signal(Signal::SIGKILL);
    predecessor.wait_for_exit();
    let port_holder = TcpListener::bind((node.ip, HEALTH)).unwrap();
    assert_eq!(node.command(&corefile).spawn().wait_for_exit().code, Some(1));
    drop(port_holder);
    let successor = node.command(&corefile).spawn().wait_until_ready();
    successor.wait_for_log("1 cache entries from a snapshot");
    assert_eq!(successor.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn successor_takes_over_during_lameduck() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), health_corefile(&upstream, "{\n lameduck 30s\n }"));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    assert_eq!(data(&predecessor.query("ok-1.example.")), ["192.0.2.1"]);
    predecessor.signal(Signal::SIGTERM);
    predecessor.wait_for_log("Going into lameduck mode");
    let successor = node.command(&corefile).spawn();
    successor.wait_for_log("1 cache entries");
    successor.wait_for_log("took over");
    assert_eq!(predecessor.wait_for_exit().code, Some(0), "long before the end of the lameduck");
    let successor = successor.wait_until_ready();
    successor.signal(Signal::SIGINT);
    successor.signal(Signal::SIGTERM);
    successor.wait_for_exit();
}
