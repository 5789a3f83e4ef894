//! Who listens on the DNS port of our addresses.

use std::net::IpAddr;

use super::finding::Finding;
use crate::control::node_sockets::{self, NodeSocket};

const GROUP: &str = "port";
const PROGRAM: &str = "nodelocaldns";

/// The sockets of other programs on the port, and on the wildcard address, which take queries from us
/// or keep us from binding. `is_active`: an instance serves.
pub(super) fn conflicts(addresses: &[IpAddr], port: u16, is_active: bool) -> Vec<Finding> {
    let sockets = node_sockets::list();
    let mut findings: Vec<Finding> = sockets
        .iter()
        .filter(|socket| concerns(socket, addresses, port))
        .filter_map(|socket| conflict(socket, is_active))
        .collect();
    findings.dedup();
    if findings.is_empty() {
        let served = if is_active { "only the active instance listens" } else { "no other program listens" };
        findings.push(Finding::ok(GROUP, format!("{served} on port {port} of our addresses")));
    }
    findings
}

fn concerns(socket: &NodeSocket, addresses: &[IpAddr], port: u16) -> bool {
    let ip = socket.address.ip();
    socket.address.port() == port && (addresses.contains(&ip) || ip.is_unspecified())
}

fn conflict(socket: &NodeSocket, is_active: bool) -> Option<Finding> {
    let owner = node_sockets::owner(socket.inode);
    let is_ours = match &owner {
        Some(owner) => owner.name == PROGRAM,
        // Processes of other containers are not visible.
        None => is_active && !socket.address.ip().is_unspecified(),
    };
    if is_ours {
        return None;
    }
    let owner = owner.map_or_else(|| "a process of another container".to_owned(), |owner| owner.to_string());
    let message = format!("{owner} listens on {socket}");
    let remedy = match socket.address.ip().is_unspecified() {
        true => "have it listen on addresses of its own: the port of ours may not be bound beside it",
        false => "stop it: it receives some of the queries",
    };
    Some(if is_active {
        Finding::warning(GROUP, message, remedy)
    } else {
        Finding::problem(GROUP, message, remedy)
    })
}
