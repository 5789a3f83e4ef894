//! Several addresses of `/health`, `/ready` and `/metrics`, as in Corefiles with one for each block.

use std::net::TcpListener;

use testkit::upstream::Upstream;

use crate::fixture::{DNS, DaemonProcess, HEALTH, Node, READY, WAIT_LIMIT, upstream, wait_until};
use crate::reload::reload;
use crate::responses::get;

/// Of `prometheus`.
const METRICS: u16 = 9253;

const ENDPOINTS: [(u16, &str); 3] = [(HEALTH, "/health"), (READY, "/ready"), (METRICS, "/metrics")];

/// Two blocks: one with endpoints on their ports, the other with endpoints `offset` ports further.
fn two_blocks(upstream: &Upstream, offset: u16) -> String {
    let block = |zone: &str, offset: u16| {
        let [health, ready, metrics] = [HEALTH, READY, METRICS].map(|port| port + offset);
        let endpoints = format!("health @:{health}\n ready @:{ready}\n prometheus @:{metrics}");
        format!("{zone}:{DNS} {{\n bind @\n {endpoints}\n forward . {}\n}}\n", upstream.addr())
    };
    block(".", 0) + &block("second.test", offset)
}

/// The paths that answer 200 on ports `offset` behind the usual ones.
fn served(daemon: &DaemonProcess, offset: u16) -> Vec<&'static str> {
    let is_served = |(port, path): &(u16, &str)| {
        get(daemon.addr(port + offset), path).is_some_and(|(status, _)| status == 200)
    };
    ENDPOINTS.into_iter().filter(is_served).map(|(_, path)| path).collect()
}

const ALL: [&str; 3] = ["/health", "/ready", "/metrics"];

#[test]
fn each_address_is_served_and_changed_by_a_reload() {
    let upstream = upstream();
    let daemon = DaemonProcess::start(&two_blocks(&upstream, 10));
    assert_eq!((served(&daemon, 0), served(&daemon, 10)), (ALL.to_vec(), ALL.to_vec()));
    reload(&daemon, &two_blocks(&upstream, 20));
    assert_eq!((served(&daemon, 0), served(&daemon, 20)), (ALL.to_vec(), ALL.to_vec()));
    assert!(wait_until(WAIT_LIMIT, || served(&daemon, 10).is_empty()), "removed addresses are closed");
    for port in [HEALTH + 30, READY + 30] {
        let other = TcpListener::bind(daemon.addr(port)).unwrap();
        reload(&daemon, &two_blocks(&upstream, 30));
        drop(other);
        assert_eq!((served(&daemon, 0), served(&daemon, 20)), (ALL.to_vec(), ALL.to_vec()));
        assert_eq!(served(&daemon, 30), Vec::<&str>::new(), "a reload is in force as a whole or not at all");
        let error = format!("listen tcp {}: bind: address already in use", daemon.addr(port));
        assert!(daemon.log_lines().iter().any(|line| line.contains(&error)), "{:?}", daemon.log_lines());
    }
    assert_eq!(daemon.metric("coredns_reload_failed_total"), 2);
    reload(&daemon, &two_blocks(&upstream, 30));
    assert_eq!(served(&daemon, 30), ALL);
}

#[test]
fn a_successor_serves_each_address() {
    let upstream = upstream();
    let (node, corefile) = (Node::new(), two_blocks(&upstream, 10));
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let successor = node.command(&corefile).spawn();
    successor.wait_for_log("took over");
    let successor = successor.wait_until_ready();
    assert_eq!(predecessor.terminate().code, Some(0));
    assert_eq!((served(&successor, 0), served(&successor, 10)), (ALL.to_vec(), ALL.to_vec()));
}
