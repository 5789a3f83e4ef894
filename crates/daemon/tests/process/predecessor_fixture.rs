//! Fixture of the tests with a foreign predecessor.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{Domain, SockAddr, Socket, Type};
use testkit::client::QueryOptions;

use crate::fixture::{DNS, Node, forward_corefile, upstream};
use crate::foreign_peer::{ForeignPeer, accept_successor};
use crate::responses::data;

/// The log line for a predecessor without a usable offer.
pub(crate) fn not_used(reason: &str) -> String {
    format!("[WARNING] the predecessor does not hand over: {reason}; starting beside it")
}

/// Starts a daemon after a predecessor with this behaviour. It serves, and logs `lines` and no
/// other warning.
pub(crate) fn assert_starts(
    lines: &[String],
    behaviour: impl FnOnce(ForeignPeer, SocketAddr) + Send + 'static,
) {
    let (upstream, node) = (upstream(), Node::new());
    let address = (node.ip, DNS).into();
    let peer = accept_successor(&node, move |peer| behaviour(peer, address));
    let daemon = node.command(&forward_corefile(&upstream, "")).spawn().wait_until_ready();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(data(&daemon.query_with("ok-2.example.", &QueryOptions::tcp())), ["192.0.2.1"]);
    for line in lines {
        daemon.wait_for_log(line);
    }
    peer.join().unwrap();
    let warned = lines.iter().filter(|line| line.starts_with("[WARNING]")).count();
    assert_eq!(daemon.warnings().len(), warned, "{:?}", daemon.log_lines());
    let end = daemon.terminate();
    assert_eq!((end.code, end.stderr), (Some(0), Vec::new()));
    assert_eq!(node.files(), Vec::<String>::new());
}

/// UDP and TCP sockets as the active instance has them.
pub(crate) fn bind_sockets(address: SocketAddr) -> [Socket; 2] {
    [Type::DGRAM, Type::STREAM].map(|kind| {
        let socket = bind(kind, address);
        if kind == Type::STREAM {
            socket.listen(16).unwrap();
        }
        socket
    })
}

pub(crate) fn bind(kind: Type, address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SockAddr::from(address)).unwrap();
    socket
}

pub(crate) fn offer_sockets(peer: &mut ForeignPeer, address: SocketAddr) {
    let [udp, tcp] = bind_sockets(address);
    peer.send_socket(&format!("udp {address}"), &[udp.as_fd()]);
    peer.send_socket(&format!("tcp {address}"), &[tcp.as_fd()]);
}
